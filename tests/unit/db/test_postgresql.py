"""The engine for PostgreSQL: useless sessions are discarded, options are joined, statement names are those of their text."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import psycopg2
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from db import database, reading, transaction
from db.database import dispose, engine, make_engine
from db.migrate import migrate
from db.postgresql import discards
from tests.chaos.proxy import Proxy
from tests.postgresql_servers import scalar, session
from tests.services import PostgreSQL, free_port

pytestmark = pytest.mark.integration


@pytest.fixture
def own_url(postgresql: PostgreSQL, configure: Callable[..., Any]) -> Iterator[str]:
    """The URL of an empty database of this test alone, that the settings name."""
    url = postgresql.start().create_database()
    configure(DATABASE_URL=url)
    yield url
    dispose()
    postgresql.drop_database(url)


def _read_only(url: str, on: bool) -> None:
    name = url.rpartition("/")[2]
    with session(url.replace(name, "postgres")) as cursor:
        cursor.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = {'on' if on else 'off'}")


def _write() -> None:
    with transaction() as writing:
        writing.execute(text("CREATE TABLE IF NOT EXISTS written (id int)"))
        writing.execute(text("INSERT INTO written VALUES (1)"))


def test_a_session_that_became_read_only_is_discarded_and_the_next_write_succeeds(own_url: str):
    _read_only(own_url, True)
    for _ in range(3):
        with pytest.raises(DBAPIError) as error:
            _write()
        assert error.value.connection_invalidated
    _read_only(own_url, False)

    _write()  # no session of the pool is one of those that only read


def test_each_session_of_the_pool_is_discarded_not_only_the_one_that_failed(own_url: str):
    _read_only(own_url, True)
    with reading() as first, reading() as second:
        for each in (first, second):
            each.execute(text("SELECT 1"))
    _read_only(own_url, False)
    with pytest.raises(SQLAlchemyError):
        _write()

    with transaction() as one:
        one.execute(text("CREATE TABLE one (id int)"))
        with engine().begin() as two:
            two.execute(text("CREATE TABLE two (id int)"))


def test_a_terminated_session_counts_as_discarded(own_url: str):
    _write()
    before = discards.count
    with suppress(SQLAlchemyError), transaction() as writing:
        pid = writing.scalar(text("SELECT pg_backend_pid()"))
        scalar(own_url, f"SELECT pg_terminate_backend({pid})")
        writing.execute(text("SELECT 1"))

    assert discards.count > before
    _write()


def test_options_of_the_url_are_joined_with_the_settings_of_a_session(own_url: str, configure: Callable[..., Any]):
    with session(own_url) as cursor:
        cursor.execute("CREATE SCHEMA desk")
    configure(DATABASE_URL=f"{own_url}?options=-csearch_path%3Ddesk%20-c%20jit%3Don")
    dispose()

    migrate()

    with reading() as found:
        names = ("timezone", "enable_seqscan", "jit", "search_path")
        assert [found.scalar(text(f"SHOW {name}")) for name in names] == ["UTC", "off", "on", "desk"]
        schemas = found.scalars(
            text("SELECT DISTINCT schemaname FROM pg_tables WHERE tablename IN ('jobs', 'tickets')")
        )
        assert schemas.all() == ["desk"]


def test_a_connection_sends_no_options_at_its_start(own_url: str, monkeypatch: pytest.MonkeyPatch):
    sent: list[dict[str, Any]] = []
    connect = psycopg2.connect

    def note(*given: Any, **named: Any) -> Any:
        sent.append(named)
        return connect(*given, **named)

    monkeypatch.setattr(psycopg2, "connect", note)
    _write()

    assert sent
    assert not any("options" in named for named in sent)


def test_the_first_host_that_accepts_writes_is_used(
    own_url: str, configure: Callable[..., Any], postgresql: PostgreSQL
):
    name = own_url.rpartition("/")[2]
    configure(DATABASE_URL=f"postgresql://postgres@127.0.0.1:1,127.0.0.1:{postgresql.port}/{name}")
    dispose()

    _write()


def test_a_host_that_closes_each_connection_is_passed_over(
    own_url: str, configure: Callable[..., Any], postgresql: PostgreSQL
):
    name = own_url.rpartition("/")[2]
    proxy = Proxy(free_port())  # accepts, and has no server behind it
    configure(DATABASE_URL=f"postgresql://postgres@127.0.0.1:{proxy.port},127.0.0.1:{postgresql.port}/{name}")
    dispose()

    _write()
    proxy.close()


def test_a_failed_checkout_of_a_wrong_password_or_name_says_so(own_url: str):
    made = make_engine(own_url.replace("/test_", "/missing_").replace("postgresql:", "postgresql+psycopg2:"))

    with pytest.raises(SQLAlchemyError, match="does not exist"):
        made.connect()
    made.dispose()


def test_the_pools_of_a_process_are_those_of_the_setting(own_url: str, configure: Callable[..., Any]):
    configure(DATABASE_URL=own_url, AURA_DATABASE_POOL="3")
    dispose()

    assert engine().pool.size() == 3  # type: ignore[attr-defined]
    assert database._searcher().pool.size() <= 2  # type: ignore[attr-defined]
