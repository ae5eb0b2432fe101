"""What somebody typed in as an address never leads into our own network."""

from __future__ import annotations

import http.server
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from notices import outward
from notices.outward import NotAllowed, NotSent, addresses, check, post

PEM = Path(__file__).parents[1] / "data" / "localhost.pem"
#: Sixty ways to say "a machine of yours".
FORMS = [
    *("http://example.com/", "ftp://example.com/", "file:///etc/passwd", "gopher://example.com/", "//example.com/", ""),
    *("https://127.0.0.1/", "https://127.1/", "https://2130706433/", "https://0x7f000001/", "https://0x7f.0.0.1/"),
    *("https://0177.0.0.1/", "https://017700000001/", "https://127.0.0.1./", "https://0/", "https://0.0.0.0/"),
    *("https://localhost/", "https://LOCALHOST/", "https://localhost./", "https://foo.localhost/", "https://intranet/"),
    *("https://printer.local/", "https://db.internal/", "https://metadata.google.internal/", "https://router.lan/"),
    *("https://10.0.0.1/", "https://172.16.0.1/", "https://172.31.255.255/", "https://192.168.1.1/", "https://100.64.0.1/"),
    *("https://169.254.169.254/latest/meta-data/", "https://169.254.170.2/", "https://192.0.0.192/", "https://198.18.0.1/"),
    *("https://224.0.0.1/", "https://255.255.255.255/", "https://240.0.0.1/", "https://192.0.2.1/", "https://203.0.113.9/"),
    *("https://[::1]/", "https://[::]/", "https://[fe80::1]/", "https://[fe80::1%25eth0]/", "https://[fc00::1]/"),
    *("https://[fd00:ec2::254]/", "https://[ff02::1]/", "https://[fec0::1]/", "https://[2001:db8::1]/"),
    *("https://[::ffff:127.0.0.1]/", "https://[::ffff:a9fe:a9fe]/", "https://[::127.0.0.1]/", "https://[::ffff:0:7f00:1]/"),
    *("https://[64:ff9b::7f00:1]/", "https://[64:ff9b:1::a9fe:a9fe]/", "https://[2002:7f00:1::]/"),
    *("https://[2001:0:0:0:0:0:80ff:fffe]/", "https://192.88.99.1/", "https://[3fff::1]/", "https://user@example.com/", "https://example.com@127.0.0.1/"),
    *("https://example.com:22/", "https://example.com:0/", "https://example.com:99999/", "https:///path", "https://a b.com/"),
    *("https://example.com\\@127.0.0.1/", "https://example.com\t/", "https://example.com\r\nHost: x/", "https://①②⑦.0.0.1/"),
    *("https://127。0。0。1/", "https://%31%32%37.0.0.1/", "https://[::ffff:169.254.169.254]:443/"),
]  # fmt: skip


@pytest.mark.parametrize("url", FORMS)
def test_no_connection_is_made(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def connected(*_: Any, **__: Any) -> None:
        raise AssertionError("a connection was made")

    monkeypatch.setattr(outward.socket, "create_connection", connected)
    monkeypatch.setattr(outward.socket, "getaddrinfo", connected)
    with pytest.raises(NotAllowed):
        post(url, b"{}", {})


def test_there_are_sixty_forms() -> None:
    assert len(set(FORMS)) >= 60


INNER = [
    *("127.0.0.1", "10.1.2.3", "169.254.169.254", "192.168.0.1", "0.0.0.0", "::1", "fe80::1%eth0", "fd00::1"),
    *("::ffff:10.0.0.1", "64:ff9b::a00:1", "2002:a00:1::", "224.0.0.1", "100.64.0.1", "::ffff:0:a00:1"),
]


@pytest.mark.parametrize("address", INNER)
def test_a_name_that_leads_inside_is_refused_also_beside_a_public_address(address: str) -> None:
    with pytest.raises(NotAllowed, match="no public address"):
        addresses("hooks.example.com", 443, lambda _host, _port: ["93.184.215.14", address])


def test_what_is_public_is_allowed() -> None:
    for url in (
        "https://hooks.example.com/a?b=c",
        "https://93.184.215.14/",
        "https://[2606:2800:21f:cb07:6820:80da:af6b:8b2c]/",
    ):
        assert check(url).scheme == "https"
    public = ["93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c", "64:ff9b::5db8:d70e"]
    assert addresses("hooks.example.com", 443, lambda _host, _port: public) == public


def test_a_name_without_an_address_may_have_one_later() -> None:
    def unknown(_host: str, _port: int) -> list[str]:
        raise OSError("Name or service not known")

    for resolve in (unknown, lambda _host, _port: []):
        with pytest.raises(NotSent, match="has no address"):
            addresses("hooks.example.com", 443, resolve)


class Receiver(http.server.BaseHTTPRequestHandler):
    """Answers POST by path: /ok, /redirect, /huge."""

    seen: list[tuple[str, str, bytes]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        type(self).seen.append((self.path, self.headers["Host"], body))
        if self.path == "/redirect":
            self.send_response(302)
            self.send_header("Location", "https://169.254.169.254/")
            self.end_headers()
            return
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"x" * (10_000_000 if self.path == "/huge" else 2))

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[type[Receiver], int]]:
    """A real https server on this machine, which counts as public for this test alone."""
    handler = type("Handler", (Receiver,), {"seen": []})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(PEM)
    server.socket = tls.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(outward, "_public", lambda _address: None)
    create = outward.socket.create_connection

    def here(address: tuple[str, int], timeout: float) -> Any:
        return create((address[0], server.server_address[1]), timeout)

    monkeypatch.setattr(outward.socket, "create_connection", here)
    yield handler, server.server_address[1]
    server.shutdown()
    server.server_close()


def send(path: str, name: str = "localhost.test") -> outward.Answer:
    context = ssl.create_default_context(cafile=str(PEM))
    context.check_hostname = False
    return post(f"https://{name}{path}", b'{"a": 1}', {}, resolve=lambda _h, _p: ["127.0.0.1"], context=context)


def test_what_is_sent_arrives_with_its_name(receiver: tuple[type[Receiver], int]) -> None:
    monkey = receiver[0]
    with pytest.raises(NotAllowed):
        check("https://localhost/")
    assert send("/ok", "hooks.example.com").body == b"xx"
    assert monkey.seen == [("/ok", "hooks.example.com", b'{"a": 1}')]


def test_a_redirect_is_not_followed(receiver: tuple[type[Receiver], int]) -> None:
    answer = send("/redirect", "hooks.example.com")
    assert (answer.status, answer.headers["location"]) == (302, "https://169.254.169.254/")
    assert len(receiver[0].seen) == 1


def test_an_answer_is_read_up_to_its_limit(receiver: tuple[type[Receiver], int]) -> None:
    assert len(send("/huge", "hooks.example.com").body) == outward.LONGEST_ANSWER


def test_the_name_is_looked_up_once_and_the_checked_address_is_used(receiver: tuple[type[Receiver], int]) -> None:
    looked: list[str] = []

    def rebinding(host: str, _port: int) -> list[str]:
        looked.append(host)
        return ["127.0.0.1"] if len(looked) == 1 else ["169.254.169.254"]

    context = ssl.create_default_context(cafile=str(PEM))
    context.check_hostname = False
    post("https://hooks.example.com/ok", b"{}", {}, resolve=rebinding, context=context)
    assert looked == ["hooks.example.com"]


def test_a_certificate_of_somebody_else_is_refused(receiver: tuple[type[Receiver], int]) -> None:
    with pytest.raises(NotSent, match="SSLCertVerificationError"):
        post("https://hooks.example.com/ok", b"{}", {}, resolve=lambda _h, _p: ["127.0.0.1"])
    assert receiver[0].seen == []
