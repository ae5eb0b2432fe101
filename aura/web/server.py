"""The HTTP server of the web process: uvicorn, with limits on headers, on time and on the number of connections.

uvicorn has two parsers of its own. h11 limits the bytes of a header, but takes a quarter to a half more processor time for a
new ticket (docs/reference/limits.md); httptools limits nothing, and joins the parts of a header in quadratic time.
`LimitedProtocol` adds the limits to httptools. Bytes and lines are those of nginx and Apache.
"""

from __future__ import annotations

import asyncio
import ctypes
import resource
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from aura.settings import get_settings

#: The most bytes and the most lines of a request's header; the same bytes bound chunk extensions and trailers.
HEADER_BYTES, HEADER_LINES = 32_768, 100
#: The most requests of a connection that wait for the one before them (pipelining, which no browser does). uvicorn has no limit:
#: 350,000 requests of one connection took half a gigabyte.
PIPELINED = 10
#: Seconds within which a header must arrive, counted from the connection or from the header's first byte.
HEADER_SECONDS = 10.0
#: Seconds that a connection may stay open between two requests.
KEEP_ALIVE_SECONDS = 5
#: Seconds within which a client must read on, once its connection is full.
WRITE_SECONDS = 30.0
#: Seconds during which the rest of a refused body is read and dropped, so that the client gets the answer.
LINGER_SECONDS = 2.0
#: Connections that the kernel queues for the process, and seconds that a stop waits for running requests.
BACKLOG, SHUTDOWN_SECONDS = 2048, 20
#: Open files of a process beside its connections: database, log, listening sockets.
OTHER_FILES = 64

#: Numbers of parameters in malloc.h.
_MMAP_THRESHOLD, _ARENA_MAX = -3, -8

_REFUSALS = {
    400: (b"Bad Request", "the request is not valid HTTP"),
    408: (b"Request Timeout", f"the header of the request did not arrive within {HEADER_SECONDS:g} seconds"),
    431: (
        b"Request Header Fields Too Large",
        f"the header of the request has more than {HEADER_BYTES} bytes or {HEADER_LINES} lines; send fewer or shorter ones",
    ),
    503: (b"Service Unavailable", "too many connections (AURA_WEB_CONNECTIONS); try again in a second"),
}


class LimitedProtocol(HttpToolsProtocol):
    """One connection: refuses headers that are too long or too slow, and makes room when too many are open."""

    #: Bytes since the last complete part of a request; False once the header is complete.
    _unparsed, _in_header = 0, True
    #: When the connection began to wait for a request.
    _idle_since = 0.0
    _refusal = 400
    #: Whether the client sent anything since its connection is full.
    _received = False
    #: The request that is being answered; `cycle` is the last one that arrived.
    _running: Any = None
    _header_timer: asyncio.TimerHandle | None = None
    _write_timer: asyncio.TimerHandle | None = None

    @property
    def _idle(self) -> bool:
        """Whether no request is being answered."""
        cycle: Any = self.cycle  # None before the first request, against its annotation
        return cycle is None or cycle.response_complete

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        super().connection_made(transport)
        self._idle_since = time.monotonic()
        if len(self.connections) > connection_limit() and not self._make_room():
            self._refuse(503)
            return
        self._header_timer = self.loop.call_later(HEADER_SECONDS, self._header_is_late)

    def _make_room(self) -> bool:
        """Close the connection that has waited for a request for the longest time. Returns False if all are at work."""
        idle = [
            each for each in self.connections if isinstance(each, LimitedProtocol) and each is not self and each._idle
        ]
        if not idle:
            return False
        oldest = min(idle, key=lambda each: each._idle_since)
        self.connections.discard(oldest)
        oldest.transport.abort()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in (self._header_timer, self._write_timer):
            if timer is not None:
                timer.cancel()
        self._end_requests()
        super().connection_lost(exc)

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def _end_requests(self) -> None:
        """Forget the requests that wait, and have the running one write no more. uvicorn ends the last one alone."""
        self.pipeline.clear()
        if self._running is not None and not self._running.response_complete:
            self._running.disconnected = True
            self._running.message_event.set()

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        self._received = True
        self._unparsed += len(data)
        super().data_received(data)
        if self._unparsed > HEADER_BYTES and not self.transport.is_closing():
            self._refuse(431)
        elif self._in_header and self._header_timer is None and self._unparsed:
            self._header_timer = self.loop.call_later(HEADER_SECONDS, self._header_is_late)

    def _keep_nearest_address(self) -> None:
        """Keep the last address of X-Forwarded-For: the proxy wrote it, and the client may have written those before it.

        uvicorn takes the first one where every proxy is trusted, and Heroku's router appends to what the client sent: to the
        first of several headers. Of several none counts, for another proxy may append to the last one.
        """
        found = [value for name, value in self.headers if name == b"x-forwarded-for"]
        if found:
            kept = [each for each in self.headers if each[0] != b"x-forwarded-for"]
            if len(found) == 1:
                kept.append((b"x-forwarded-for", found[0].rpartition(b",")[2].strip()))
            self.headers[:] = kept  # in place, because the scope of the request has this list

    def _unsupported_upgrade_warning(self) -> None:
        """Answer as if no upgrade were asked for, as RFC 9110 allows. Called by uvicorn."""

    def on_headers_complete(self) -> None:
        # what arrives at once is limited by the socket's buffer only
        if self._unparsed > HEADER_BYTES or len(self.headers) > HEADER_LINES:
            size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
            if size > HEADER_BYTES or len(self.headers) > HEADER_LINES:
                self._refusal = 431
                raise ValueError("the header is too large")  # httptools stops, and send_400_response() answers
        if len(self.pipeline) >= PIPELINED:
            raise ValueError("too many requests wait")
        self._unparsed, self._in_header = 0, False
        if self._header_timer is not None:
            self._header_timer.cancel()
            self._header_timer = None
        if "*" in get_settings().forwarded_allow_ips:
            self._keep_nearest_address()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._unparsed = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._unparsed, self._in_header = 0, True
        super().on_message_complete()

    def on_response_complete(self) -> None:
        self._idle_since = time.monotonic()
        body_is_incomplete = not self._in_header
        super().on_response_complete()
        if body_is_incomplete and not self.transport.is_closing():
            self._unset_keepalive_if_required()
            self.loop.call_later(LINGER_SECONDS, self._linger_ended)

    def _linger_ended(self) -> None:
        if self.transport.is_closing() or not self._idle:
            return
        if not self._in_header:
            self.transport.close()
        elif self.timeout_keep_alive_task is None and not self._unparsed:
            self.timeout_keep_alive_task = self.loop.call_later(KEEP_ALIVE_SECONDS, self.timeout_keep_alive_handler)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._received = False
        self._write_timer = self.loop.call_later(WRITE_SECONDS, self._answer_is_not_read)

    def resume_writing(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None
        super().resume_writing()

    def _answer_is_not_read(self) -> None:
        if self._received:  # a client that sends its whole bulk request before it reads
            self._received = False
            self._write_timer = self.loop.call_later(WRITE_SECONDS, self._answer_is_not_read)
        else:
            self.transport.abort()

    def _header_is_late(self) -> None:
        self._header_timer = None
        if self.transport.is_closing():
            return
        if self._idle:
            self._refuse(408)
        else:  # the next request of a connection whose present one is being answered
            self._header_timer = self.loop.call_later(HEADER_SECONDS, self._header_is_late)

    def send_400_response(self, msg: str) -> None:
        """Answer a request that httptools refuses. Called by uvicorn."""
        self._refuse(self._refusal)

    def _refuse(self, status: int) -> None:
        """Answer with a problem document and close the connection; the running response, if any, is cut off."""
        phrase, detail = _REFUSALS[status]
        if self._idle:
            body = (
                f'{{"type":"about:blank","title":"{phrase.decode()}","status":{status},"detail":"{detail}"}}'.encode()
            )
            retry = b"Retry-After: 1\r\n" if status == 503 else b""
            head = (
                b"HTTP/1.1 %d %s\r\nContent-Type: application/problem+json\r\nContent-Length: %d\r\n%sConnection: close"
            )
            self.transport.write(head % (status, phrase, len(body), retry) + b"\r\n\r\n" + body)
        self._end_requests()
        self.transport.close()


def connection_limit() -> int:
    """Return how many connections a process accepts: AURA_WEB_CONNECTIONS, or fewer if it may open fewer files."""
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return max(1, min(get_settings().web_connections, files - OTHER_FILES - get_settings().database_pool))


def return_memory() -> None:
    """Have glibc return blocks of a megabyte to the system when they are free, instead of keeping them for the next ones."""
    with suppress(OSError, AttributeError):  # another C library
        mallopt = ctypes.CDLL(None).mallopt
        for parameter, value in ((_MMAP_THRESHOLD, 1 << 20), (_ARENA_MAX, 2)):
            mallopt(parameter, value)


def serve(app: Any, host: str, port: int, on_started: Callable[[], None] | None = None) -> None:
    """Run the web process until SIGTERM or SIGINT. `app` is an import string if WEB_CONCURRENCY is more than one.

    A process that has the application itself calls `on_started` when it listens.
    """
    import uvicorn

    settings = get_settings()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = settings.web_connections + settings.database_pool + OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    options: dict[str, Any] = {
        "host": host,
        "port": port,
        "http": LimitedProtocol,
        "ws": "none",
        "lifespan": "on",
        "log_config": None,
        "access_log": False,
        "server_header": False,
        "proxy_headers": bool(settings.forwarded_allow_ips),
        "forwarded_allow_ips": ",".join(settings.forwarded_allow_ips),
        "backlog": BACKLOG,
        "timeout_keep_alive": KEEP_ALIVE_SECONDS,
        "timeout_graceful_shutdown": SHUTDOWN_SECONDS,
    }
    if isinstance(app, str):
        uvicorn.run(app, workers=settings.web_concurrency, **options)
        return

    class Server(uvicorn.Server):
        async def startup(self, sockets: Any = None) -> None:
            await super().startup(sockets)
            if on_started is not None:
                on_started()

    # uvicorn raises SIGINT again when its requests are finished
    with suppress(KeyboardInterrupt):
        Server(uvicorn.Config(app, **options)).run()
