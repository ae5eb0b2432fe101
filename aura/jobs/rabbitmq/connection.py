"""Connections to RabbitMQ: their parameters, and a reader that survives headers which pika cannot decode."""

from __future__ import annotations

import struct
from typing import Any

import pika
from pika.adapters.select_connection import SelectConnection

from aura.settings import Settings, SettingsError, first_line

#: Seconds to wait for a connection.
CONNECT_SECONDS = 10.0
#: Errors of pika when the broker is away.
AWAY = (AssertionError, pika.exceptions.AMQPError, OSError)


def parameters(settings: Settings) -> pika.URLParameters:
    """Return connection parameters with a heartbeat, and with a bound on how long a full broker may block us.

    Raises SettingsError without RABBITMQ_URL.
    """
    if settings.rabbitmq_url is None:
        raise SettingsError("RABBITMQ_URL: not set; workers, and commands that read RabbitMQ, need it in production")
    try:
        params = pika.URLParameters(settings.rabbitmq_url.get_secret_value())
    except (ValueError, TypeError):
        # not pika's own text, which quotes the URL
        raise SettingsError("RABBITMQ_URL: an option behind the ? has an invalid value") from None
    params.heartbeat = 10  # seconds; a connection that died without a word is noticed after two or three
    params.blocked_connection_timeout = 20
    params.socket_timeout = CONNECT_SECONDS
    params.stack_timeout = CONNECT_SECONDS
    params.connection_attempts = 1
    params.client_properties = {"connection_name": "aura"}
    return params


def describe(error: BaseException) -> str:
    """Return the error in one line; pika leaves many messages empty, and none may hold the URL's password."""
    return f"RabbitMQ: {first_line(error)[:200]}"


def open_blocking(settings: Settings) -> pika.BlockingConnection:
    """Open a blocking connection that survives any header. Raises one of AWAY."""
    return pika.BlockingConnection(parameters(settings), _impl_class=LenientConnection)


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
