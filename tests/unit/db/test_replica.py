"""The read replica: searches and reports read it while it is fresh, and the primary otherwise; the age is shown."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from aura.settings import SettingsError
from aura.web.data_age import HEADER
from db import fence, replica, transaction
from db.database import dispose, engine, reporting, searching
from db.migrate import migrate
from tests.conftest import wait_until
from tests.embedded import web_app
from tests.postgresql_servers import Standby, session
from tests.services import PostgreSQL, free_port
from tests.unit.web.clients import local_client

IN_RECOVERY = text("SELECT pg_is_in_recovery()")


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[PostgreSQL, Standby]]:
    with PostgreSQL() as primary, Standby(primary) as standby:
        yield primary, standby


@pytest.fixture
def pair(servers: tuple[PostgreSQL, Standby], configure: Callable[..., Any]) -> Iterator[tuple[PostgreSQL, Standby]]:
    primary, standby = servers
    configure(DATABASE_URL=primary.url, AURA_DATABASE_READ_URL=standby.url)
    migrate()
    with transaction() as writing:
        fence.beat(writing)
    wait_until(standby.caught_up, 20, "the standby receives everything")
    yield servers
    dispose()


@pytest.mark.integration
def test_searches_and_reports_read_the_replica_and_writes_the_primary(pair: tuple[PostgreSQL, Standby]):
    with searching() as found, reporting() as report, transaction() as writing:
        assert [each.scalar(IN_RECOVERY) for each in (found, report, writing)] == [True, True, False]
    with transaction() as writing, reporting() as joined:
        assert joined is writing


@pytest.mark.integration
def test_a_page_and_an_answer_say_how_old_their_data_is(pair: tuple[PostgreSQL, Standby]):
    client = local_client(web_app())
    with client:
        answer = client.get("/api/v1/tickets")
        page = client.get("/", headers={"Accept": "text/html"})
        single = client.get("/api/v1/tickets/1")

    assert answer.status_code == 200
    assert int(answer.headers[HEADER]) <= 60
    assert f"up to {page.headers[HEADER]} s old" in page.text
    assert HEADER not in single.headers, "a ticket is read from the primary"


@pytest.mark.integration
def test_a_replica_that_is_behind_is_passed_over(pair: tuple[PostgreSQL, Standby], configure: Callable[..., Any]):
    primary, standby = pair
    configure(DATABASE_URL=primary.url, AURA_DATABASE_READ_URL=standby.url, AURA_DATABASE_READ_MAX_AGE="0.000001")
    dispose()

    with searching() as found:
        assert found.scalar(IN_RECOVERY) is False


@pytest.mark.integration
def test_a_replica_that_does_not_answer_is_passed_over_and_used_again(
    pair: tuple[PostgreSQL, Standby], configure: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
):
    primary, standby = pair
    port = free_port()
    configure(DATABASE_URL=primary.url, AURA_DATABASE_READ_URL=standby.url.replace(str(standby.port), str(port)))
    dispose()
    with reporting() as report:
        assert report.scalar(IN_RECOVERY) is False
    found = replica.replica()
    assert found is not None
    assert found.usable_age() is None

    found.engine = engine()  # it answers again
    found._next = 0.0
    assert found.usable_age() == 0.0


@pytest.mark.integration
def test_a_conflict_with_the_replay_sends_the_next_search_to_the_primary(pair: tuple[PostgreSQL, Standby]):
    with suppress(SQLAlchemyError), searching() as found:
        pid = found.scalar(text("SELECT pg_backend_pid()"))
        with session(pair[1].url) as cursor:
            cursor.execute(f"SELECT pg_terminate_backend({pid})")
        found.execute(text("SELECT 1"))

    with searching() as found:
        assert found.scalar(IN_RECOVERY) is False


def test_a_replica_of_a_file_or_of_another_database_is_refused(configure: Callable[..., Any]):
    for variables, what in (
        ({"AURA_DATABASE_READ_URL": "postgresql://u@db/desk"}, "needs DATABASE_URL to be PostgreSQL"),
        ({"AURA_DATABASE_READ_URL": "sqlite:///copy.db"}, "postgresql://"),
    ):
        with pytest.raises(SettingsError, match=what):
            configure(**variables)
