"""URLs of PostgreSQL: several hosts, both ways to write them, options, and what is refused by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from aura.database_url import READABLE, parse, session_parameters
from aura.settings import SettingsError


@pytest.mark.parametrize(
    ("url", "arguments"),
    [
        (
            "postgresql://u:p%40ss%2F@db1:5432,db2:5433/desk?target_session_attrs=primary",
            {"host": "db1,db2", "port": "5432,5433", "password": "p@ss/", "target_session_attrs": "primary"},
        ),
        ("postgresql://u@db1,db2/desk", {"host": "db1,db2", "target_session_attrs": "read-write"}),
        ("postgresql://u@db1,db2:5433/desk", {"port": ",5433"}),
        ("postgresql://u@[::1]:5432,[fe80::1]/desk", {"host": "::1,fe80::1", "port": "5432,"}),
        ("postgresql://u@/desk?host=db1:5432&host=db2:5433", {"host": "db1,db2", "port": "5432,5433"}),
        ("postgresql://u@/desk?host=db1,db2&port=5433", {"host": "db1,db2", "port": "5433,5433"}),
        ("postgresql:///desk?host=/run/postgresql", {"host": "/run/postgresql", "dbname": "desk"}),
        ("postgresql://u@%2Frun%2Fpostgresql/desk", {"host": "/run/postgresql"}),
        ("postgresql:///?user=u&password=p&dbname=desk", {"user": "u", "password": "p", "dbname": "desk"}),
        ("postgresql://u@db/desk?connect_timeout=2", {"connect_timeout": "2"}),
    ],
)
def test_a_url_is_read_as_libpq_reads_it(url: str, arguments: dict[str, str]):
    found = parse(url).arguments()

    assert arguments.items() <= found.items()


def test_one_host_may_be_a_standby_so_that_pages_can_be_read():
    assert "target_session_attrs" not in parse("postgresql://u@db/desk").arguments()


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("postgresql://u:w0/rt@db/desk", "%2F"),
        ("postgresql://u:w0#rt@db/desk", "%2F"),
        ("postgresql://u@db1:5432,,db2/desk", "empty host"),
        ("postgresql://u@db1:99999/desk", "65535"),
        ("postgresql://u@db1:54x2/desk", "brackets"),
        ("postgresql://u@::1/desk", "brackets"),
        ("postgresql://u@/desk?host=a,b,c&port=1,2", "3 hosts and 2 ports"),
        ("postgresql://u@a,b/desk?target_session_attrs=standby", "target_session_attrs must be one of any, read-write"),
        ("postgresql://u@a/desk?options=-c%20timezone%3DEurope/Berlin", "timezone"),
        ("postgresql://u@a/desk?options=--default-transaction-read-only%3Don", "default_transaction_read_only"),
        ("postgresql://u@a/desk%00", "%00"),
    ],
)
def test_a_wrong_url_is_refused_with_the_reason_and_without_its_password(url: str, text: str):
    with pytest.raises(ValueError, match=text) as error:
        parse(url)

    assert "w0" not in str(error.value)


def test_a_reader_may_prefer_a_standby():
    assert parse("postgresql://u@a,b/desk?target_session_attrs=prefer-standby", READABLE).hosts == (
        ("a", ""),
        ("b", ""),
    )


def test_the_shown_url_has_every_host_and_neither_password_nor_parameters():
    url = parse("postgresql+psycopg2://u:secret@db1:5432,[::1]:5433/desk?sslpassword=secret")

    assert url.shown() == "postgresql://u:***@db1:5432,[::1]:5433/desk"


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ("-c search_path=desk -csearch_path=other", {"search_path": "other"}),
        ("--search-path=desk", {"search_path": "desk"}),
        ("-c jit=off -c 'work_mem=1 MB'", {"jit": "off", "work_mem": "1 MB"}),
        ("endpoint=ep-cool-1", {}),
        ("-c", {}),
        ("-c 'unclosed=1", {}),
    ],
)
def test_the_parameters_of_options(options: str, found: dict[str, str]):
    assert session_parameters(options).items() >= found.items()


@pytest.mark.parametrize("url", ["sqlite:///:memory:", "sqlite://", "sqlite:///:memory:?cache=shared"])
def test_a_database_in_memory_is_refused_by_name(url: str, configure: Callable[..., Any]):
    with pytest.raises(SettingsError, match="DATABASE_URL: must name a file"):
        configure(DATABASE_URL=url)


def test_a_long_url_takes_linear_time():
    parse(
        "postgresql://u@" + ",".join(f"db{n}:5432" for n in range(5_000)) + "/desk?options=" + "-c%20a%3D1%20" * 5_000
    )
