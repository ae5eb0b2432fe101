"""Connections to RabbitMQ: their parameters, and headers that pika cannot decode."""

from __future__ import annotations

import pika
import pytest
from pika.exceptions import InvalidFrameError

from aura.jobs.rabbitmq.connection import LenientConnection, parameters, without_headers
from aura.settings import given

SETTINGS = given(
    env="development", RABBITMQ_URL="amqp://a:b@127.0.0.1:1/?heartbeat=0", DATABASE_URL="postgresql://a:b@127.0.0.1:1/a"
)


def test_a_connection_that_dies_in_silence_or_is_blocked_is_noticed():
    [found] = parameters(SETTINGS)
    assert 0 < found.heartbeat <= 15
    assert 0 < found.blocked_connection_timeout <= 30


def header_frame(table: bytes) -> bytes:
    """Return the frame of a message's properties, with a field table in the place of its headers."""
    properties = pika.BasicProperties(
        content_type="application/json", headers={"placeholder": 1}, priority=7, message_id="m-1"
    )
    frame = pika.frame.Header(1, 9, properties).marshal()
    good = b"".join(pika.BasicProperties(headers={"placeholder": 1}).encode())[2:]
    assert frame.count(good) == 1
    body = frame[7:-1].replace(good, len(table).to_bytes(4, "big") + table)
    return frame[:3] + len(body).to_bytes(4, "big") + body + frame[-1:]


def decode(data: bytes) -> tuple[int, pika.frame.Header]:
    connection = LenientConnection.__new__(LenientConnection)
    connection._frame_buffer = data
    return connection._read_frame()


@pytest.mark.parametrize(
    "table",
    [b"\x01aT" + (2**60).to_bytes(8, "big"), b"\x01a?\xff", b"\x01aF\x00\x00\x0f\xff", b"\x01a", b"\x05a"],
    ids=["a date beyond 9999", "an unknown type", "a table that is longer than its outer one", "no value", "no name"],
)
def test_headers_that_pika_cannot_decode_are_dropped_and_the_message_is_read(table: bytes):
    data = header_frame(table)
    length, frame = decode(data + b"the next frame")

    assert length == len(data)
    assert (frame.channel_number, frame.body_size) == (1, 9)
    found = frame.properties
    assert (found.content_type, found.priority, found.message_id, found.headers) == ("application/json", 7, "m-1", None)


def test_good_headers_are_read_as_they_are():
    data = header_frame(b"\x01bI" + (7).to_bytes(4, "big"))
    length, frame = decode(data)
    assert (length, frame.properties.headers, frame.properties.message_id) == (len(data), {"b": 7}, "m-1")


def test_a_frame_that_is_broken_elsewhere_is_an_error():
    data = pika.frame.Header(1, 9, pika.BasicProperties(content_type="x" * 20)).marshal()
    with pytest.raises(InvalidFrameError):
        without_headers(data)
