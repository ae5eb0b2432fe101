"""Limits of the HTTP server, on real connections."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from aura.settings import Settings
from aura.web import server
from aura.web.server import HEADER_BYTES, HEADER_LINES, PIPELINED, LimitedProtocol
from tests.services import wait_until

#: Ends the requests of /slow.
_released = threading.Event()


async def _app(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer 401 to /unread without reading, 10 MB to /large, the client to /client, and the bytes of the body to the rest."""
    size, more = 0, scope["path"] != "/unread"
    while more:
        message = await receive()
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
    while scope["path"] == "/slow" and not _released.is_set():
        await asyncio.sleep(0.02)
    body = b"x" * 10_000_000 if scope["path"] == "/large" else b"%d" % size
    body = str(scope["client"][0]).encode() if scope["path"] == "/client" else body
    status = 401 if scope["path"] == "/unread" else 200
    length = (b"content-length", b"%d" % len(body))
    await send({"type": "http.response.start", "status": status, "headers": [length]})
    await send({"type": "http.response.body", "body": body})


class _Server:
    def __init__(self, port: int, state: Any) -> None:
        self.port, self.state = port, state

    def connect(self, data: bytes = b"") -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self.port))
        connection.settimeout(20)
        connection.sendall(data)
        return connection

    def ask(self, data: bytes) -> tuple[int, bytes]:
        """Return the status and the body of the answer, which ends the connection."""
        with self.connect(data) as connection:
            return answer_of(connection)

    @property
    def connections(self) -> int:
        return len(self.state.connections)


def answer_of(connection: socket.socket) -> tuple[int, bytes]:
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while part := connection.recv(65_536):
            received += part
    head, _, body = received.partition(b"\r\n\r\n")
    return (int(head.split()[1]) if head else 0), body


@pytest.fixture
def running() -> Iterator[_Server]:
    yield from _run()


@pytest.fixture
def behind_any_proxy(configure: Callable[..., Settings]) -> Iterator[_Server]:
    configure(FORWARDED_ALLOW_IPS="*")
    yield from _run(forwarded_allow_ips="*")


def _run(**options: Any) -> Iterator[_Server]:
    _released.clear()
    config = uvicorn.Config(_app, port=0, http=LimitedProtocol, ws="none", lifespan="off", log_config=None, **options)
    process = uvicorn.Server(config)
    thread = threading.Thread(target=process.run)
    thread.start()
    wait_until(lambda: process.started, 20, "the server does not start")
    yield _Server(process.servers[0].sockets[0].getsockname()[1], process.server_state)
    _released.set()
    process.should_exit = process.force_exit = True
    thread.join(20)


def test_an_endless_header_is_refused_after_the_limit(running: _Server) -> None:
    with running.connect(b"GET / HTTP/1.1\r\nX: ") as connection:
        sent = 0
        with contextlib.suppress(OSError):
            while sent < 50_000_000:
                sent += connection.send(b"a" * 8192)
        assert sent < 20_000_000
    wait_until(lambda: running.connections == 0, 10, "the connection stays open")


@pytest.mark.parametrize(
    "header",
    [
        b"X: " + b"y" * HEADER_BYTES + b"\r\n",
        b"".join(b"X%d: y\r\n" % number for number in range(HEADER_LINES + 1)),
        b"X: y\r\n" * (HEADER_LINES + 1),
        b"X: " + b"y" * HEADER_BYTES,
    ],
    ids=["long", "many", "repeated", "incomplete"],
)
def test_a_header_over_the_limit_is_answered_with_431_that_names_the_limit(running: _Server, header: bytes) -> None:
    status, body = running.ask(b"GET / HTTP/1.1\r\nHost: a\r\n" + header + b"\r\n")
    assert status == 431
    assert str(HEADER_BYTES) in json.loads(body)["detail"]


def test_a_url_over_the_limit_is_answered_with_431(running: _Server) -> None:
    assert running.ask(b"GET /" + b"a" * HEADER_BYTES + b" HTTP/1.1\r\nHost: a\r\n\r\n")[0] == 431


def test_a_header_below_the_limits_is_accepted(running: _Server) -> None:
    header = b"".join(b"X%d: %s\r\n" % (number, b"y" * 250) for number in range(HEADER_LINES - 2))
    assert running.ask(b"GET / HTTP/1.1\r\nConnection: close\r\n" + header + b"\r\n") == (200, b"0")


def test_endless_trailers_and_chunk_extensions_are_refused(running: _Server) -> None:
    head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    for rest in (b"1\r\na\r\n0\r\n", b"1;"):
        with running.connect(head) as connection, contextlib.suppress(OSError):
            connection.sendall(rest)
            sent = 0
            while sent < 50_000_000:
                sent += connection.send(b"X: y\r\n" * 1000 if rest.endswith(b"\n") else b"a" * 8000)
            pytest.fail("everything was read")


def test_a_body_larger_than_the_limit_of_headers_is_accepted(running: _Server) -> None:
    body = b"b" * (HEADER_BYTES * 4)
    head = b"POST / HTTP/1.1\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body)
    assert running.ask(head + body) == (200, b"%d" % len(body))


@pytest.mark.parametrize("begin", [b"", b"GET / HTTP/1.1\r\nX: y"], ids=["silent", "half"])
def test_a_header_that_does_not_arrive_in_time_ends_the_connection(
    running: _Server, begin: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "HEADER_SECONDS", 0.3)
    assert running.ask(begin)[0] == 408


def test_a_slow_second_header_ends_its_connection_but_no_running_answer(
    running: _Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "HEADER_SECONDS", 0.3)
    with running.connect(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n") as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nX: y")
        threading.Timer(1.0, _released.set).start()
        status, body = answer_of(connection)
    assert (status, body[:1]) == (200, b"0")


def test_a_new_connection_takes_the_place_of_the_one_that_is_idle_for_the_longest_time(
    running: _Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "connection_limit", lambda: 5)
    idle = []
    for _ in range(5):
        idle.append(running.connect(b"GET / HTTP/1.1\r\n"))
        wait_until(lambda: running.connections == len(idle), 10, "no connection")
    assert running.ask(b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n") == (200, b"0")
    assert answer_of(idle[0])[0] == 0, "the oldest is still open"
    idle[4].sendall(b"Connection: close\r\n\r\n")
    assert answer_of(idle[4]) == (200, b"0")
    for connection in idle:
        connection.close()


def test_a_connection_over_the_limit_is_answered_with_503_while_all_are_at_work(
    running: _Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "connection_limit", lambda: 2)
    slow = [running.connect(b"GET /slow HTTP/1.1\r\nConnection: close\r\n\r\n") for _ in range(2)]
    wait_until(lambda: all(each.cycle is not None for each in list(running.state.connections)), 10, "no request")
    wait_until(lambda: running.connections == 2, 10, "no connection")
    with running.connect() as refused:
        status, body = answer_of(refused)
    assert (status, b"AURA_WEB_CONNECTIONS" in body) == (503, True)
    _released.set()
    assert [answer_of(each)[0] for each in slow] == [200, 200]
    for connection in slow:
        connection.close()


def test_a_few_requests_may_be_sent_at_once(running: _Server) -> None:
    requests = [b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n%s" % (size, b"x" * size) for size in range(PIPELINED)]
    with running.connect(b"".join(requests) + b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n") as connection:
        received = b""
        while part := connection.recv(65_536):
            received += part
    answers = [each.partition(b"\r\n\r\n")[2] for each in received.split(b"HTTP/1.1 200 OK")[1:]]
    assert answers == [b"%d" % size for size in range(PIPELINED)] + [b"0"]


def test_more_requests_at_once_end_the_connection(running: _Server) -> None:
    with running.connect(b"GET /slow HTTP/1.1\r\n\r\n" + b"GET / HTTP/1.1\r\n\r\n" * (PIPELINED + 1)) as connection:
        assert answer_of(connection) == (0, b"")
    wait_until(lambda: running.connections == 0, 10, "the connection stays open")
    assert running.ask(b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n") == (200, b"0")


def test_an_answer_to_a_client_that_has_gone_is_no_error(running: _Server, caplog: pytest.LogCaptureFixture) -> None:
    with running.connect(b"GET /slow HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n") as connection:
        wait_until(lambda: running.connections == 1, 10, "no connection")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    wait_until(lambda: running.connections == 0, 10, "the connection stays open")
    _released.set()
    wait_until(lambda: not running.state.tasks, 10, "the request is not answered")
    assert [each.getMessage() for each in caplog.records if each.levelname == "ERROR"] == []


@pytest.mark.parametrize(
    ("headers", "client"),
    [
        (b"", b"127.0.0.1"),
        (b"X-Forwarded-For: 192.0.2.1\r\n", b"192.0.2.1"),
        (b"X-Forwarded-For: 198.51.100.9, 192.0.2.1\r\n", b"192.0.2.1"),
        (b"X-Forwarded-For: 198.51.100.9\r\nx-forwarded-for: 192.0.2.1\r\n", b"127.0.0.1"),
        (b"X-Forwarded-For: 198.51.100.9, 198.51.100.8,2001:db8::1\r\n", b"2001:db8::1"),
    ],
)
def test_behind_any_proxy_the_address_that_it_wrote_last_counts(
    headers: bytes, client: bytes, behind_any_proxy: _Server
) -> None:
    request = b"GET /client HTTP/1.1\r\nConnection: close\r\n%s\r\n" % headers
    assert behind_any_proxy.ask(request) == (200, client)


def test_the_rest_of_a_refused_body_is_dropped_until_the_client_has_its_answer(
    running: _Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "LINGER_SECONDS", 0.3)
    # more than a client can send within the limit below
    with running.connect(b"POST /unread HTTP/1.1\r\nContent-Length: 900000000000\r\n\r\n") as connection:
        ended = False
        started = time.monotonic()
        while not ended and time.monotonic() - started < 15:
            try:
                connection.sendall(b"x" * 100_000)
            except OSError:
                ended = True
        assert ended, "the server reads on"


def test_a_client_that_reads_nothing_is_disconnected(running: _Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "WRITE_SECONDS", 0.3)
    with running.connect(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n"):
        wait_until(lambda: running.connections == 1, 10, "no connection")
        wait_until(lambda: running.connections == 0, 10, "the connection stays open")


def test_the_limit_of_connections_leaves_files_for_the_database(
    monkeypatch: pytest.MonkeyPatch, configure: Callable[..., Settings]
) -> None:
    configure(AURA_WEB_CONNECTIONS="500")
    monkeypatch.setattr("resource.getrlimit", lambda _: (10_000, 10_000))
    assert server.connection_limit() == 500
    monkeypatch.setattr("resource.getrlimit", lambda _: (256, 256))
    assert server.connection_limit() == 256 - server.OTHER_FILES - 10
