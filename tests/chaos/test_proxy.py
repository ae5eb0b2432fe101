"""The proxy breaks what passes through it in the way it says, and nothing else."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest

from tests.chaos.proxy import Proxy
from tests.services import wait_until

#: Seconds after which nothing is going to come any more, and in which a busy machine passes on what does come.
SILENCE, PATIENCE = 0.3, 30.0


class Echo:
    """A server that says everything twice, and remembers what it heard."""

    def __init__(self) -> None:
        self.heard = b""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            while data := connection.recv(1024):
                self.heard += data
                connection.sendall(data * 2)

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@pytest.fixture
def echo() -> Iterator[Echo]:
    echo = Echo()
    yield echo
    echo.close()


@pytest.fixture
def proxy(echo: Echo) -> Iterator[Proxy]:
    proxy = Proxy(echo.port)
    yield proxy
    proxy.close()


@pytest.fixture
def client(proxy: Proxy) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=PATIENCE) as client:
        assert ask(client, b"hi") == b"hihi"
        yield client


def ask(client: socket.socket, words: bytes) -> bytes:
    """Say something, and return the answer, which has twice its length."""
    client.sendall(words)
    return receive(client, 2 * len(words))


def receive(client: socket.socket, length: int) -> bytes:
    found = b""
    while len(found) < length and (some := client.recv(length - len(found))):
        found += some
    return found


def assert_silent(client: socket.socket, words: bytes) -> None:
    """Say something, and check that nothing comes back for a while."""
    client.sendall(words)
    client.settimeout(SILENCE)
    with pytest.raises(TimeoutError):
        client.recv(1)
    client.settimeout(PATIENCE)


def test_a_cut_resets_every_connection_and_allows_new_ones(proxy: Proxy, client: socket.socket) -> None:
    proxy.cut()
    with pytest.raises(ConnectionResetError):
        client.recv(1)
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=PATIENCE) as again:
        assert ask(again, b"hi") == b"hihi"


def test_a_black_hole_swallows_both_directions_until_it_is_healed(
    proxy: Proxy, client: socket.socket, echo: Echo
) -> None:
    proxy.black_hole()
    assert_silent(client, b"lost?")
    assert echo.heard == b"hi"
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=PATIENCE) as accepted:
        assert_silent(accepted, b"")
    proxy.heal()
    assert receive(client, 10) == b"lost?lost?"


def test_half_open_means_that_the_server_hears_and_is_not_heard(
    proxy: Proxy, client: socket.socket, echo: Echo
) -> None:
    proxy.half_open()
    assert_silent(client, b"!")
    wait_until(lambda: echo.heard == b"hi!", message="the server hears")
    proxy.heal()
    assert receive(client, 2) == b"!!"


def test_an_abandoned_connection_stays_silent_and_a_new_one_works(proxy: Proxy, client: socket.socket) -> None:
    proxy.abandon()
    proxy.heal()
    assert_silent(client, b"anybody?")
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=PATIENCE) as again:
        assert ask(again, b"hi") == b"hihi"


def test_a_server_that_is_gone_looks_gone(proxy: Proxy, echo: Echo) -> None:
    echo.close()
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=PATIENCE) as client:
        assert_ended(client)


def assert_ended(client: socket.socket) -> None:
    """Check that the other side ended the connection, by a reset or in order."""
    with suppress(ConnectionResetError):
        assert client.recv(1) == b""


def test_more_than_the_buffers_hold_arrives_whole(proxy: Proxy) -> None:
    much = b"x" * 3_000_000
    received = 0
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=PATIENCE) as client:
        sender = threading.Thread(target=client.sendall, args=(much,))
        sender.start()
        while received < 2 * len(much):
            received += len(client.recv(65536))
        sender.join(30)
    assert received == 2 * len(much)
