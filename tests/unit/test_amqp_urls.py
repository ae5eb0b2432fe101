"""URLs of RabbitMQ: hosts, virtual hosts, passwords and addresses of any form."""

from __future__ import annotations

from urllib.parse import unquote

import pika
import pytest

from aura.amqp_urls import assemble, redact_urls, split_urls
from aura.settings import given

ODD = "p@ss/w#rd:%2 ?&=ü$x,;"


def hosts(value: str) -> list[tuple[str | None, int | None]]:
    return [(parts.hostname, parts.port) for parts in split_urls(value)]


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("amqp://mq", [("mq", None)]),
        ("amqp://u:p@mq1,mq2:5673/desk", [("mq1", None), ("mq2", 5673)]),
        ("amqps://u:p@[2001:db8::1]:5671,[::1]/", [("2001:db8::1", 5671), ("::1", None)]),
        ("amqp://u:p@[fe80::1%25eth0]/", [("fe80::1%25eth0", None)]),
        ("amqp://a:b@one/v, amqps://a:b@two:1/v", [("one", None), ("two", 1)]),
        ("amqp://a:b@one/;amqp://a:b@two/", [("one", None), ("two", None)]),
        ("AMQP://a:b@one/", [("one", None)]),
        ("amqp://u:a,b;c@mq1,mq2/", [("mq1", None), ("mq2", None)]),
    ],
)
def test_each_host_is_a_url_of_its_own(value: str, found: list[tuple[str, int | None]]):
    assert hosts(value) == found


def test_every_host_has_the_login_the_virtual_host_and_the_options():
    first, second = split_urls("amqps://desk:p%40ss@mq1,mq2:1/a%2Fb?cacertfile=/etc/ca.pem&x=1,2")

    assert (first.scheme, first.username, first.password, first.path, first.query) == (
        "amqps",
        "desk",
        "p%40ss",
        "/a%2Fb",
        "cacertfile=/etc/ca.pem&x=1,2",
    )
    assert second[2:] == first[2:] and second.username == first.username


@pytest.mark.parametrize("value", ["amqp://a:b@mq//", "amqp://a:b@mq/%2F", "amqp://a:b@mq/", "amqp://a:b@mq"])
def test_the_default_virtual_host_has_four_forms(value: str):
    [parts] = split_urls(value)

    assert pika.URLParameters(parts.geturl()).virtual_host == "/"


@pytest.mark.parametrize(
    "value",
    [
        "",
        "http://mq/",
        "mq:5672",
        "amqp://",
        "amqp:///vhost",
        "amqp://a:b@/v",
        "amqp://a:b@mq1,/v",
        "amqp://a:b@mq1,,mq2/v",
        "amqp://a:secret@mq:port/",
        "amqp://a:secret@mq:99999/",
        "amqp://a:secret@::1/",
        "amqp://a:secret@[::1/",
        "amqp://a:secret@[not]/",
        "amqp://a:sec/ret@mq/",
        "amqp://a:sec#ret@mq/",
        "amqp://a:sec?ret@mq/",
        "amqp://a:secret@mq/a/b",
        "amqp://a:secret@mq/v#x",
        "amqp://a:secret@m q/",
        "amqp://a:secret@mq1/ amqp://a:secret@mq2/",
    ],
)
def test_a_wrong_value_is_refused_without_its_password(value: str):
    with pytest.raises(ValueError, match=r"must start with|is not a URL") as caught:
        split_urls(value)

    assert "ret" not in str(caught.value)
    assert caught.value.__context__ is None, "the original error may hold the password"


def test_a_long_value_takes_time_in_proportion():
    assert len(split_urls("amqp://a:b@" + ",".join(["mq"] * 50_000))) == 50_000


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("amqp://desk:secret@mq1,mq2:1/v?cacertfile=/x", "amqp://desk:***@mq1,mq2:1/v"),
        ("amqp://desk:secret@[::1]:5672/", "amqp://desk:***@[::1]:5672/"),
        ("amqp://one:secret@a/;amqps://two:secret@b/", "amqp://one:***@a/;amqps://two:***@b/"),
        ("amqps://desk@mq/", "amqps://desk@mq/"),
    ],
)
def test_logs_show_hosts_and_no_password(value: str, shown: str):
    assert redact_urls(value) == shown


@pytest.mark.parametrize(
    ("host", "netloc"),
    [
        ("mq", "mq:5672"),
        ("::1", "[::1]:5672"),
        ("[::1]", "[::1]:5672"),
        ("mq1, mq2:1", "mq1:5672,mq2:1"),
        ("fe80::1", "[fe80::1]:5672"),
    ],
)
def test_a_url_is_assembled_from_hosts_of_any_form(host: str, netloc: str):
    assert assemble(host, 5672, "u", "p", "") == f"amqp://u:p@{netloc}/"


@pytest.mark.parametrize("host", ["", "mq/", "a b", "mq:port", "mq,", "user@mq", "[::1"])
def test_a_wrong_host_is_named_by_its_own_variable(host: str):
    with pytest.raises(ValueError, match="RABBITMQ_HOST must be"):
        assemble(host, 5672, "u", "p", "")


@pytest.mark.parametrize("vhost", ["a/b", "/lead", "sp ace", "ünï", "%2F", "with?#@,;", "/"])
def test_user_password_and_virtual_host_may_have_any_character(vhost: str):
    settings = given(
        env="development",
        RABBITMQ_USER="us@er,;",
        RABBITMQ_PASSWORD=ODD,
        RABBITMQ_HOST="::1,mq2",
        RABBITMQ_VHOST=vhost,
        DATABASE_URL="postgresql://a:b@127.0.0.1:1/a",
    )
    assert settings.rabbitmq_url is not None
    urls = split_urls(settings.rabbitmq_url.get_secret_value())

    assert [parts.hostname for parts in urls] == ["::1", "mq2"]
    for parts in urls:
        found = pika.URLParameters(parts.geturl())
        assert (found.credentials.username, found.credentials.password) == ("us@er,;", ODD)
        assert found.virtual_host == vhost
        assert unquote(parts.path[1:]) in (vhost, "")
