"""An HTTP server for webhooks that stores each request and answers as configured.

with Receiver() as receiver:
    receiver.reply = lambda arrived: Reply(429, {"Retry-After": "7"})
"""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self

#: A key and a certificate for 127.0.0.1 that nobody trusts unless SSL_CERT_FILE names it.
PEM = Path(__file__).parent / "data" / "localhost.pem"


@dataclass(frozen=True, slots=True)
class Arrived:
    """One request, with its headers in lower case."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Reply:
    """What is answered; status 0 closes the connection without a word."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b"ok"


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        arrived = Arrived(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
        self.server.receiver.arrived.append(arrived)
        reply = self.server.receiver.reply(arrived)
        if not reply.status:
            return
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(reply.body)

    def log_message(self, *_words: object) -> None:
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    receiver: Receiver

    def handle_error(self, *_about: object) -> None:
        """Say nothing of a sender that hung up: some tests are about that."""


class Receiver:
    """Listens on a port of its own, over TLS with `tls`."""

    def __init__(self, *, tls: bool = False) -> None:
        self.arrived: list[Arrived] = []
        self.reply: Callable[[Arrived], Reply] = lambda arrived: Reply()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.receiver = self
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(PEM)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.host = f"127.0.0.1:{self._server.server_port}"
        self.url = f"{'https' if tls else 'http'}://{self.host}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="receiver", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()
