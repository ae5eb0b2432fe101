"""Connections to RabbitMQ: their parameters, and headers that pika cannot decode."""

from __future__ import annotations

import pika
import pytest
from pika.exceptions import InvalidFrameError

from aura.jobs import process_state
from aura.jobs.rabbitmq import connection
from aura.jobs.rabbitmq.connection import (
    LenientConnection,
    by_health,
    describe,
    open_any,
    parameters,
    place,
    without_headers,
)
from aura.settings import Settings, SettingsError, given
from tests.receiver import PEM

SETTINGS = given(
    env="development", RABBITMQ_URL="amqp://a:b@127.0.0.1:1/?heartbeat=0", DATABASE_URL="postgresql://a:b@127.0.0.1:1/a"
)


def test_a_connection_that_dies_in_silence_or_is_blocked_is_noticed():
    [found] = parameters(SETTINGS)
    assert 0 < found.heartbeat <= 15
    assert 0 < found.blocked_connection_timeout <= 30


def at(url: str) -> Settings:
    return given(env="development", RABBITMQ_URL=url, DATABASE_URL="postgresql://a:b@127.0.0.1:1/a")


def test_hosts_are_tried_in_random_order_and_those_that_failed_last():
    every = parameters(at("amqp://a:b@one,two,three/v"))
    assert {place(by_health(every)[0]) for _ in range(200)} == {"one:5672", "two:5672", "three:5672"}

    connection.note_failure(every[0])
    assert {place(by_health(every)[-1]) for _ in range(50)} == {"one:5672"}
    connection.note_failure(every[1])
    assert [place(each) for each in by_health(every)] == ["three:5672", "one:5672", "two:5672"]


def test_a_host_that_failed_long_ago_is_tried_like_the_others():
    every = parameters(at("amqp://a:b@one,two/v"))
    connection.note_failure(every[0])
    process_state.failed_hosts["one:5672"] -= connection.FAILED_SECONDS

    assert {place(by_health(every)[0]) for _ in range(100)} == {"one:5672", "two:5672"}


def test_a_connection_opens_to_the_first_host_that_answers():
    asked = []

    def connect(params: pika.URLParameters) -> str:
        asked.append(place(params))
        if params.host != "two":
            raise pika.exceptions.AMQPConnectionError
        return "open"

    settings = at("amqp://a:b@one,two,three/v")
    for _ in range(20):
        assert open_any(settings, connect) == "open"
    assert asked[-1] == "two:5672" and asked.count("one:5672") <= 1, "a dead host is not asked again and again"
    assert set(process_state.failed_hosts) <= {"one:5672", "three:5672"}


def test_the_last_error_is_raised_when_no_host_answers():
    def connect(params: pika.URLParameters) -> None:
        raise ConnectionRefusedError(111, params.host)

    with pytest.raises(ConnectionRefusedError):
        open_any(at("amqp://a:b@one,two/v"), connect)


def test_several_hosts_share_the_patience_of_one():
    [alone] = parameters(at("amqp://a:b@one/"))
    assert {each.stack_timeout for each in parameters(at("amqp://a:b@one,two/"))} < {alone.stack_timeout, 4.0}


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("cacertfile=/nowhere.pem", "cacertfile=/nowhere.pem cannot be used: No such file"),
        ("certfile=/nowhere.pem", "certfile=/nowhere.pem cannot be used: No such file"),
        (f"cacertfile={__file__}", "cacertfile=.* cannot be used"),
        (f"keyfile={PEM}", "need certfile"),
        ("auth_mechanism=external", "need certfile"),
        ("auth_mechanism=magic", "auth_mechanism must be plain, or external"),
        ("verify=verify_none", "verify must be verify_peer"),
        ("cacert=/x", "unknown or has an invalid value"),
        ("heartbeat=x", "unknown or has an invalid value"),
        ("ssl_options=(", "unknown or has an invalid value"),
        ("ssl_options={'cafile':'/nowhere.pem'}", "unknown or has an invalid value"),
    ],
)
def test_a_wrong_option_is_named(query: str, reason: str):
    with pytest.raises(SettingsError, match=f"RABBITMQ_URL: .*{reason}"):
        parameters(at(f"amqps://a:b@one/?{query}"))


def test_options_of_certificates_need_tls():
    with pytest.raises(SettingsError, match="cacertfile needs amqps://"):
        parameters(at(f"amqp://a:b@one/?cacertfile={PEM}"))


def test_a_client_certificate_may_replace_the_password():
    [found] = parameters(at(f"amqps://aura@one/?certfile={PEM}&keyfile={PEM}&cacertfile={PEM}&auth_mechanism=external"))

    assert found.credentials.TYPE == "EXTERNAL"
    assert found.ssl_options.server_hostname == "one"
    assert found.ssl_options.context.check_hostname
    assert [each["subject"] for each in found.ssl_options.context.get_ca_certs()], "the private authority"


def test_the_name_in_the_certificate_may_be_another():
    for each in parameters(
        at(f"amqps://a:b@10.0.0.1,10.0.0.2/?cacertfile={PEM}&server_name_indication=mq.example.com")
    ):
        assert each.ssl_options.server_hostname == "mq.example.com"


def test_the_reason_inside_pikas_errors_is_described():
    inner = pika.exceptions.AMQPConnectionError(ConnectionRefusedError(111, "Connection refused"))
    assert describe(pika.exceptions.AMQPConnectionError(inner)) == "RabbitMQ: [Errno 111] Connection refused"
    assert describe(pika.exceptions.AMQPConnectionError()) == "RabbitMQ: AMQPConnectionError"


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
