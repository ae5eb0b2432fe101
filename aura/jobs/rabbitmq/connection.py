"""Connections to RabbitMQ: to one of its hosts, and with a reader that survives headers which pika cannot decode.

The hosts of a cluster are tried in random order, those that failed last at the end. pika's own list of hosts has no memory,
so that each new connection would wait for the same dead host again.
"""

from __future__ import annotations

import random
import ssl
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar
from urllib.parse import SplitResult, parse_qs, urlencode

import pika
import structlog
from pika.adapters.select_connection import SelectConnection

from aura.amqp_urls import split_urls
from aura.jobs import process_state
from aura.jobs.transport import PublishFailed
from aura.settings import Settings, SettingsError, first_line

logger = structlog.get_logger("aura.rabbitmq")

Opened = TypeVar("Opened")

#: Seconds to wait for a connection: to the only host, and to one of several.
CONNECT_SECONDS, CONNECT_SECONDS_EACH = 10.0, 4.0
#: Seconds that the broker may take to answer a declaration or another call.
RPC_SECONDS = 15.0
#: Seconds for which a host that failed is tried last.
FAILED_SECONDS = 60.0
#: Errors of pika when the broker is away.
AWAY = (AssertionError, pika.exceptions.AMQPError, OSError)
#: Query parameters of RabbitMQ's URIs (https://www.rabbitmq.com/docs/uri-query-parameters) that pika does not know.
URI_PARAMETERS = ("cacertfile", "certfile", "keyfile", "server_name_indication", "verify", "auth_mechanism")


def parameters(settings: Settings) -> list[pika.URLParameters]:
    """Return the connection parameters of each host, with a heartbeat, and a bound on how long a full broker may block us.

    Raises SettingsError without RABBITMQ_URL, or when one of its options is wrong.
    """
    if settings.rabbitmq_url is None:
        raise SettingsError("RABBITMQ_URL: not set; workers, and commands that read RabbitMQ, need it in production")
    urls = split_urls(settings.rabbitmq_url.get_secret_value())
    seconds = CONNECT_SECONDS if len(urls) == 1 else CONNECT_SECONDS_EACH
    return [_parameters(url, seconds) for url in urls]


def _parameters(url: SplitResult, seconds: float) -> pika.URLParameters:
    if url.username and url.password is None:
        url = url._replace(netloc=url.netloc.replace("@", ":@", 1))  # pika expects both, also beside a certificate
    options = parse_qs(url.query, keep_blank_values=True)
    ours = {name: options.pop(name)[-1] for name in URI_PARAMETERS if name in options}
    try:
        params = pika.URLParameters(url._replace(query=urlencode(options, doseq=True)).geturl())
    except (ValueError, TypeError, SyntaxError, OSError):
        # not pika's own text, which quotes the URL
        raise SettingsError("RABBITMQ_URL: an option behind the ? is unknown or has an invalid value") from None
    if ours:
        _apply(ours, params, tls=url.scheme.lower() == "amqps")
    params.heartbeat = 10  # seconds; a connection that died without a word is noticed after two or three
    params.blocked_connection_timeout = 20
    params.socket_timeout = seconds
    params.stack_timeout = seconds
    params.connection_attempts = 1
    params.client_properties = {"connection_name": "aura"}
    return params


def _apply(options: dict[str, str], params: pika.URLParameters, *, tls: bool) -> None:
    """Apply RabbitMQ's own query parameters. Raises SettingsError, which names the option."""
    if not tls:
        raise SettingsError(f"RABBITMQ_URL: {', '.join(options)} needs amqps://")
    if options.get("verify", "verify_peer") != "verify_peer":
        raise SettingsError("RABBITMQ_URL: verify must be verify_peer; name a private authority by cacertfile")
    mechanism = options.get("auth_mechanism", "plain").lower()
    if mechanism not in ("plain", "external"):
        raise SettingsError("RABBITMQ_URL: auth_mechanism must be plain, or external (the client certificate)")
    if ("keyfile" in options or mechanism == "external") and "certfile" not in options:
        raise SettingsError("RABBITMQ_URL: keyfile and auth_mechanism=external need certfile")
    context = ssl.create_default_context()
    try:
        option = "cacertfile"
        if option in options:
            context = ssl.create_default_context(cafile=options[option])  # this authority alone
        option = "certfile"
        if option in options:
            context.load_cert_chain(options[option], options.get("keyfile"), password=_no_password)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        reason = getattr(error, "strerror", None) or getattr(error, "reason", None) or type(error).__name__
        raise SettingsError(f"RABBITMQ_URL: {option}={options[option]} cannot be used: {reason}") from None
    params.ssl_options = pika.SSLOptions(context, options.get("server_name_indication") or params.host)
    if mechanism == "external":
        params.credentials = pika.credentials.ExternalCredentials()


def _no_password() -> str:
    raise ValueError("the key has a passphrase")  # else OpenSSL asks for it on the terminal


def describe(error: BaseException) -> str:
    """Return the error in one line; pika leaves many messages empty, and none may hold the URL's password."""
    if isinstance(error, PublishFailed):
        return first_line(error)
    cause: BaseException | None = error
    # pika wraps the error of the socket twice
    while cause is not None and first_line(cause) == type(cause).__name__:
        inner = getattr(cause, "exception", None) or next(iter(cause.args), None)
        cause = inner if isinstance(inner, BaseException) else None
    return f"RabbitMQ: {first_line(error if cause is None else cause)[:200]}"


def by_health(every: list[pika.URLParameters]) -> list[pika.URLParameters]:
    """Return the hosts in random order, those that failed at the end, the longest ago first."""
    recent = time.monotonic() - FAILED_SECONDS
    failed = {host: at for host, at in process_state.failed_hosts.items() if at > recent}
    return sorted(random.sample(every, len(every)), key=lambda each: failed.get(place(each), 0.0))


def place(params: pika.ConnectionParameters) -> str:
    """Return host and port, as an address is written."""
    return f"[{params.host}]:{params.port}" if ":" in params.host else f"{params.host}:{params.port}"


def note_failure(params: pika.ConnectionParameters) -> None:
    """Try the host last the next time: a connection to it failed, or broke."""
    process_state.failed_hosts[place(params)] = time.monotonic()


def open_any(settings: Settings, connect: Callable[[pika.URLParameters], Opened]) -> Opened:
    """Return the connection to the first host that `connect` reaches. Raises its last error, one of AWAY or PublishFailed."""
    for left, params in _counted(by_health(parameters(settings))):
        try:
            opened = connect(params)
        except (*AWAY, PublishFailed) as error:
            note_failure(params)
            if not left:
                raise
            logger.warning("RabbitMQ host failed; trying the next one", host=place(params), error=describe(error))
        else:
            process_state.failed_hosts.pop(place(params), None)
            return opened
    raise AssertionError("a URL has a host")


def _counted(every: list[pika.URLParameters]) -> Iterator[tuple[int, pika.URLParameters]]:
    return zip(range(len(every) - 1, -1, -1), every, strict=True)


def open_blocking(settings: Settings) -> pika.BlockingConnection:
    """Open a blocking connection, to any host, that survives any header. Raises one of AWAY."""
    return open_any(settings, open_one)


def open_one(params: pika.URLParameters) -> pika.BlockingConnection:
    """Open a blocking connection to this host. Raises one of AWAY."""
    return pika.BlockingConnection(params, _impl_class=LenientConnection)


@contextmanager
def bounded(connection: Any, seconds: float) -> Iterator[None]:
    """Abort the connection when the block takes longer: pika's calls wait without end for a broker that does not answer."""
    loop, inner = connection._impl.ioloop, connection._impl
    error = pika.exceptions.AMQPConnectionError(f"no answer within {seconds:.0f} s")
    timer = loop.call_later(seconds, lambda: None if inner.is_closed else inner._terminate_stream(error))
    try:
        yield
    finally:
        loop.remove_timeout(timer)


class LenientConnection(SelectConnection):  # type: ignore[misc]
    """A connection that drops the headers of a message when pika cannot decode them.

    Dates beyond the year 9999 and tables a thousand levels deep are examples. pika would close the connection at every
    delivery of such a message, so that one message would stop a consumer.
    """

    def _read_frame(self) -> tuple[int, Any]:
        try:
            frame: tuple[int, Any] = super()._read_frame()
            return frame
        except Exception:
            if self._frame_buffer[0] != pika.spec.FRAME_HEADER:
                raise
            return without_headers(self._frame_buffer)


def without_headers(data: bytes) -> tuple[int, Any]:
    """Decode a content header frame without the table of headers in it. Returns its length and the frame."""
    _kind, _channel, size = struct.unpack_from(">BHL", data)
    start, end = pika.spec.FRAME_HEADER_SIZE, pika.spec.FRAME_HEADER_SIZE + size
    body = data[start:end]
    # class, weight and body size, then the flags of the properties; the table follows two short strings
    (flags,) = struct.unpack_from(">H", body, 12)
    if not flags & pika.BasicProperties.FLAG_HEADERS:
        raise pika.exceptions.InvalidFrameError("a frame without headers cannot be decoded")
    table = 14
    for flag in (pika.BasicProperties.FLAG_CONTENT_TYPE, pika.BasicProperties.FLAG_CONTENT_ENCODING):
        if flags & flag:
            table += 1 + body[table]
    behind = table + 4 + struct.unpack_from(">I", body, table)[0]
    rest = body[:12] + struct.pack(">H", flags & ~pika.BasicProperties.FLAG_HEADERS) + body[14:table] + body[behind:]
    frame = data[:3] + struct.pack(">L", len(rest)) + rest + data[end : end + pika.spec.FRAME_END_SIZE]
    _, decoded = pika.frame.decode_frame(frame)
    return end + pika.spec.FRAME_END_SIZE, decoded
