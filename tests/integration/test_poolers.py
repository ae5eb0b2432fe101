"""PgBouncer as the distribution ships it: which setting fits which mode, and that the wrong one is refused with the fix."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import psycopg2
import pytest
from sqlalchemy import select, text

from aura.settings import get_settings
from aura.web import health
from db import jobs, reading, transaction
from db.database import dispose, engine
from db.migrate import migrate
from db.models import Job
from db.pooler import WrongPoolerMode, find_mode
from db.postgresql import pooler_mode
from tests.postgresql_servers import PgBouncer
from tests.services import PostgreSQL

FITTING = [("session", "true"), ("session", "false"), ("transaction", "false")]


@pytest.fixture(scope="module", params=["session", "transaction", "statement"])
def pgbouncer(request: pytest.FixtureRequest, postgresql: PostgreSQL) -> Iterator[PgBouncer]:
    postgresql.start()
    with PgBouncer(postgresql, request.param) as pgbouncer:
        yield pgbouncer


@pytest.fixture
def through(pgbouncer: PgBouncer, postgresql: PostgreSQL, configure: Callable[..., Any]) -> Iterator[Callable[[str], None]]:
    """Return a function that uses an empty database through the pooler, with AURA_DATABASE_PREPARE."""
    name = postgresql.create_database().rpartition("/")[2]

    def through(prepare: str) -> None:
        configure(DATABASE_URL=pgbouncer.database_url(name), AURA_DATABASE_PREPARE=prepare)

    yield through
    dispose()
    postgresql.drop_database(postgresql.database_url(name))


def test_the_mode_is_found(pgbouncer: PgBouncer, postgresql: PostgreSQL):
    for server, mode in ((pgbouncer, pgbouncer.mode), (postgresql, "none")):
        with closing(psycopg2.connect(server.url)) as raw:
            raw.autocommit = True
            assert find_mode(raw, lambda server=server: psycopg2.connect(server.url)) == mode


@pytest.mark.parametrize("prepare", ["true", "false"])
def test_a_fitting_setting_migrates_and_works_and_another_is_refused_with_the_fix(
    pgbouncer: PgBouncer, through: Callable[[str], None], prepare: str
):
    through(prepare)
    if (pgbouncer.mode, prepare) not in FITTING:
        with pytest.raises(WrongPoolerMode, match="pool_mode = session"), transaction():
            engine().connect()
        found = health.check_database()
        assert not found.ok
        assert "AURA_DATABASE_PREPARE=false" in found.detail
        return

    migrate()
    for number in range(5):
        with transaction() as session:
            jobs.enqueue(session, [jobs.NewJob("classify", str(number))])
        with transaction() as session:
            [ids] = [list(session.scalars(select(Job.id).where(Job.lease.is_(None))))]
            assert len(jobs.claim(session, "classify", ids, f"lease{number}", "worker")) == 1
    assert pooler_mode(engine()) == pgbouncer.mode
    found = health.check_database()
    assert (found.ok, f"a pooler in {pgbouncer.mode} mode" in found.detail) == (True, True), found


def test_times_are_utc_on_each_connection_of_the_server(pgbouncer: PgBouncer, through: Callable[[str], None]):
    if pgbouncer.mode == "statement":
        pytest.skip("refused")
    through("false")
    with reading() as first, reading() as second, transaction() as third:
        zones = [each.scalar(text("SHOW timezone")) for each in (first, second, third, first)]

    assert set(zones) == {"UTC"}
    assert get_settings().database_prepare is False
