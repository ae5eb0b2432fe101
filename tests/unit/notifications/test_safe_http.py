"""Safe HTTP: no URL reaches the private network."""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from aura.notifications import safe_http
from aura.notifications.safe_http import ForbiddenAddress, RequestFailed, addresses, check, post
from tests.receiver import PEM, Receiver, Reply

#: Ways to say "a machine of yours" that the text alone gives away.
FORMS = [
    # no https, or no host
    *("http://example.com/", "ftp://example.com/", "file:///etc/passwd", "gopher://example.com/", "//example.com/", ""),
    *("https:///path", "https://./", "https://", "https:example.com"),
    # IPv4 in decimal, octal, hexadecimal, and with parts left out
    *("https://127.0.0.1/", "https://127.1/", "https://2130706433/", "https://0x7f000001/", "https://0x7f.0.0.1/"),
    *("https://0177.0.0.1/", "https://017700000001/", "https://127.0.0.1./", "https://0/", "https://0.0.0.0/"),
    *("https://0xA9FEA9FE/", "https://169.254.43518/", "https://127.0.0.0x1/", "https://0000127.0.0.1/", "HTTPS://127.0.0.1/"),
    *("https://127.0.0.1../", "https://127.0.1/", "https://0300.0250.0.1/", "https://0x7f000001./"),
    # names of an inner network
    *("https://localhost/", "https://LOCALHOST/", "https://localhost./", "https://foo.localhost/", "https://intranet/"),
    *("https://printer.local/", "https://db.internal/", "https://metadata.google.internal/", "https://router.lan/"),
    # private, shared, link-local, multicast, reserved, documentation
    *("https://10.0.0.1/", "https://172.16.0.1/", "https://172.31.255.255/", "https://192.168.1.1/", "https://100.64.0.1/"),
    *("https://169.254.169.254/latest/meta-data/", "https://169.254.170.2/", "https://192.0.0.192/", "https://198.18.0.1/"),
    *("https://224.0.0.1/", "https://255.255.255.255/", "https://240.0.0.1/", "https://192.0.2.1/", "https://203.0.113.9/"),
    *("https://192.88.99.1/",),
    # IPv6, with zones, and with an IPv4 address inside
    *("https://[::1]/", "https://[::]/", "https://[fe80::1]/", "https://[fe80::1%25eth0]/", "https://[fc00::1]/"),
    *("https://[fd00:ec2::254]/", "https://[ff02::1]/", "https://[fec0::1]/", "https://[2001:db8::1]/", "https://[3fff::1]/"),
    *("https://[::1%25lo]/", "https://[2606:2800:21f:cb07:6820:80da:af6b:8b2c%25eth0]/", "https://[::1]:443/"),
    *("https://[::ffff:127.0.0.1]/", "https://[::ffff:a9fe:a9fe]/", "https://[::127.0.0.1]/", "https://[::ffff:0:7f00:1]/"),
    *("https://[0:0:0:0:0:ffff:127.0.0.1]/", "https://[::ffff:169.254.169.254]:443/", "https://[::ffff:0:169.254.169.254]/"),
    *("https://[64:ff9b::7f00:1]/", "https://[64:ff9b:1::a9fe:a9fe]/", "https://[64:ff9b:1:7f00:0:100:5db8:d70e]/"),
    *("https://[2002:7f00:1::]/", "https://[2002:a9fe:a9fe::]/", "https://[2001:0:0:0:0:0:80ff:fffe]/"),
    *("https://[2001:0:4136:e378:8000:63bf:3fff:fdd2]/",),
    # user and password, and what looks like them
    *("https://user@example.com/", "https://user:password@example.com/", "https://@example.com/", "https://example.com@127.0.0.1/"),
    *("https://127.0.0.1:443@example.com/", "https://127.0.0.1#@example.com/", "https://127.0.0.1?@example.com/"),
    *("https://example.com\\@127.0.0.1/", "https://127.0.0.1%2f@example.com/"),
    # ports
    *("https://example.com:22/", "https://example.com:0/", "https://example.com:99999/", "https://example.com:443:22/"),
    *("https://example.com:-1/", "https://example.com:6379/"),
    # digits and dots of other alphabets, percent signs, white space, line breaks
    *("https://①②⑦.0.0.1/", "https://127。0。0。1/", "https://１２７.0.0.1/", "https://%31%32%37.0.0.1/"),
    *("https://ⓛocalhost/", "https://a b.com/", "https://example.com\t/", "https://example.com\r\nHost: x/", "https://127.0.0.1\0.example.com/"),
]  # fmt: skip

#: Names whose text is fine, and that lead inside all the same.
NAMES = ["https://127.0.0.1.nip.io/", "https://localtest.me/", "https://hooks.example.com./", "https://a.example#@b/"]

INNER = [
    *("127.0.0.1", "10.1.2.3", "169.254.169.254", "192.168.0.1", "0.0.0.0", "::1", "fe80::1%eth0", "fd00::1"),
    *("::ffff:10.0.0.1", "64:ff9b::a00:1", "2002:a00:1::", "224.0.0.1", "100.64.0.1", "::ffff:0:a00:1"),
    *("64:ff9b:1:a00:0:100:5db8:d70e", "2001:0:4136:e378:8000:63bf:f5ff:fffe", "::a00:1", "fec0::1", "192.0.0.192"),
]


class Inside:
    """A machine of ours that listens. Every name and every address leads to it, and each try to connect is counted."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.listening.setblocking(False)
        self.tries: list[Any] = []
        connect = socket.socket.connect

        def counted(one: socket.socket, address: Any) -> None:
            self.tries.append(address)
            connect(one, self.listening.getsockname())
            raise ConnectionResetError  # that it got here is all there is to know

        here = [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", ("127.0.0.1", 443))]
        monkeypatch.setattr(socket.socket, "connect", counted)
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: here)

    def visited(self) -> bool:
        """Return whether a connection has arrived since the last time."""
        try:
            self.listening.accept()[0].close()
        except BlockingIOError:
            return False
        return True


@pytest.fixture
def inside(monkeypatch: pytest.MonkeyPatch) -> Iterator[Inside]:
    machine = Inside(monkeypatch)
    yield machine
    machine.listening.close()


@pytest.mark.parametrize("url", [*FORMS, *NAMES])
def test_a_request_to_a_private_address_opens_no_connection(url: str, inside: Inside) -> None:
    with pytest.raises(ForbiddenAddress):
        post(url, b"{}", {})
    assert inside.tries == []
    assert not inside.visited()


def test_the_url_alone_reveals_more_than_sixty_forms_of_private_addresses() -> None:
    assert len(set(FORMS)) == len(FORMS) >= 60
    for url in FORMS:
        with pytest.raises(ForbiddenAddress):
            check(url)
    for url in NAMES:
        assert check(url)


def test_with_the_check_off_private_addresses_are_reached(inside: Inside, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test above can fail: without the checks, the same forms reach the machine inside."""
    monkeypatch.setattr(safe_http, "check", lambda url, _internal_hosts=(): urlsplit(url))
    monkeypatch.setattr(safe_http, "_public", lambda _address: None)
    reached = 0
    for url in [*FORMS, *NAMES]:
        try:
            post(url, b"{}", {})
        except RequestFailed:
            reached += inside.visited()
        except (ValueError, http.client.HTTPException):
            continue  # no URL, whoever reads it
    assert reached == len(inside.tries) > 90


@pytest.mark.parametrize("url", NAMES)
def test_with_the_check_of_addresses_off_a_name_leads_inside(
    url: str, inside: Inside, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(safe_http, "_public", lambda _address: None)
    with pytest.raises(RequestFailed):
        post(url, b"{}", {})
    assert inside.visited()


@pytest.mark.parametrize("address", INNER)
def test_a_name_that_leads_inside_is_refused_also_beside_a_public_address(address: str, inside: Inside) -> None:
    with pytest.raises(ForbiddenAddress, match="is not a public address"):
        post("https://hooks.example.com/", b"{}", {}, resolve=lambda _host, _port: ["93.184.215.14", address])
    assert inside.tries == []


def test_public_addresses_are_allowed() -> None:
    for url in (
        "https://hooks.example.com/a?b=c",
        "https://hooks.example.com:8443/",
        "https://93.184.215.14/",
        "https://[2606:2800:21f:cb07:6820:80da:af6b:8b2c]/",
    ):
        assert check(url).scheme == "https"
    public = ["93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c", "64:ff9b::5db8:d70e", "::ffff:93.184.215.14"]
    assert addresses("hooks.example.com", 443, lambda _host, _port: public) == public


def test_a_host_of_our_own_is_reached_by_its_name_and_port_alone(inside: Inside) -> None:
    allowed = ["hooks.intranet:8080", "[fd00::1]:443"]
    for url in ("http://hooks.intranet:8080/a", "https://[fd00::1]/"):
        with pytest.raises(RequestFailed):
            post(url, b"{}", {}, internal_hosts=allowed)
        assert inside.visited()
    for url in (
        "http://hooks.intranet/",
        "http://hooks.intranet:8081/",
        "https://hooks.intranet/",
        "ftp://hooks.intranet:8080/",
        "http://user@hooks.intranet:8080/",
        "http://hooks.intranet:8080@10.0.0.1/",
    ):
        with pytest.raises(ForbiddenAddress):
            post(url, b"{}", {}, internal_hosts=allowed)
    assert not inside.visited()


def test_a_name_without_an_address_may_have_one_later() -> None:
    def unknown(_host: str, _port: int) -> list[str]:
        raise OSError("Name or service not known")

    for resolve in (unknown, lambda _host, _port: []):
        with pytest.raises(RequestFailed, match="has no address"):
            addresses("hooks.example.com", 443, resolve)


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """A real https server on this machine, which counts as public for this test alone, on whatever port."""
    with Receiver(tls=True) as receiver:
        monkeypatch.setattr(safe_http, "_public", lambda _address: None)
        create, port = socket.create_connection, int(receiver.host.rpartition(":")[2])
        monkeypatch.setattr(socket, "create_connection", lambda to, timeout: create((to[0], port), timeout))
        yield receiver


def send(path: str = "/", resolve: safe_http.Resolve = lambda _host, _port: ["127.0.0.1"]) -> safe_http.Answer:
    context = ssl.create_default_context(cafile=str(PEM))
    context.check_hostname = False  # the certificate is for 127.0.0.1
    return post(f"https://hooks.example.com{path}", b'{"a": 1}', {}, resolve=resolve, context=context)


def test_a_request_contains_the_host_name(receiver: Receiver) -> None:
    assert send("/ok?a=b").body == b"ok"
    [arrived] = receiver.arrived
    assert (arrived.path, arrived.headers["host"], arrived.body) == ("/ok?a=b", "hooks.example.com", b'{"a": 1}')


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(receiver: Receiver, status: int) -> None:
    receiver.reply = lambda _: Reply(status, {"Location": "https://169.254.169.254/"})
    assert send().status == status
    assert len(receiver.arrived) == 1


def test_an_answer_is_read_up_to_its_limit(receiver: Receiver) -> None:
    receiver.reply = lambda _: Reply(body=b"x" * 10_000_000)
    assert len(send().body) == safe_http.ANSWER_LIMIT


def test_the_name_is_looked_up_once_and_the_checked_address_is_used(receiver: Receiver) -> None:
    looked: list[str] = []

    def rebinding(host: str, _port: int) -> list[str]:
        looked.append(host)
        return ["127.0.0.1"] if len(looked) == 1 else ["169.254.169.254"]

    send(resolve=rebinding)
    assert looked == ["hooks.example.com"]
    assert len(receiver.arrived) == 1


def test_the_next_address_is_tried_after_a_refused_connection(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    create, tried = socket.create_connection, []

    def connect(to: tuple[str, int], timeout: float) -> socket.socket:
        tried.append(to[0])
        if to[0] == "203.0.113.9":
            raise ConnectionRefusedError
        return create(to, timeout)

    monkeypatch.setattr(socket, "create_connection", connect)
    assert send(resolve=lambda _host, _port: ["203.0.113.9", "127.0.0.1"]).status == 200
    assert tried == ["203.0.113.9", "127.0.0.1"]


def test_a_certificate_of_another_host_is_refused(receiver: Receiver) -> None:
    with pytest.raises(RequestFailed, match="SSLCertVerificationError") as caught:
        post("https://hooks.example.com/ok", b"{}", {}, resolve=lambda _h, _p: ["127.0.0.1"])
    assert not caught.value.in_doubt
    assert receiver.arrived == []


def test_a_server_that_sends_slowly_ends_at_the_total_limit(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a server whose every byte comes well within the patience for one, and that never ends
    monkeypatch.setattr(safe_http, "TOTAL_SECONDS", 0.2)
    dripping, gone = threading.Event(), threading.Event()

    class AlarmWhileItDrips(threading.Timer):
        """The limit counts from the first byte: a slow machine may take longer than that to open the connection."""

        def run(self) -> None:
            assert dripping.wait(30)
            super().run()

    monkeypatch.setattr(safe_http.threading, "Timer", AlarmWhileItDrips)

    class Drip(dict[str, str]):
        def items(self) -> Any:
            number = 0
            dripping.set()
            while not gone.wait(0.01):
                number += 1
                yield f"X-{number}", "x" * 1000

    # each header is sent as it comes: nothing is ended by a limit on their number before
    monkeypatch.setattr("http.client._MAXHEADERS", 10**9)
    monkeypatch.setattr("http.server.BaseHTTPRequestHandler.send_header", _send_at_once)
    receiver.reply = lambda _: Reply(200, Drip())
    with pytest.raises(RequestFailed) as caught:
        send()
    gone.set()
    assert caught.value.in_doubt


def _send_at_once(handler: Any, name: str, value: str) -> None:
    handler.wfile.write(f"{name}: {value}\r\n".encode())
