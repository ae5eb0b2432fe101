"""PgBouncer as the distribution ships it: which setting fits which mode, and that the wrong one is refused with the fix."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
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
from tests.conftest import ROOT
from tests.postgresql_servers import PgBouncer, documented_poolers
from tests.services import PostgreSQL

FITTING = documented_poolers()


@pytest.fixture(scope="module", params=["session", "transaction", "statement"])
def pgbouncer(request: pytest.FixtureRequest, postgresql: PostgreSQL) -> Iterator[PgBouncer]:
    postgresql.start()
    with PgBouncer(postgresql, request.param) as pgbouncer:
        yield pgbouncer


@pytest.fixture
def through(
    pgbouncer: PgBouncer, postgresql: PostgreSQL, configure: Callable[..., Any]
) -> Iterator[Callable[[str], None]]:
    """Return a function that uses an empty database through the pooler, with AURA_DATABASE_PREPARE."""
    name = postgresql.create_database().rpartition("/")[2]

    def through(prepare: str) -> None:
        configure(DATABASE_URL=pgbouncer.database_url(name), AURA_DATABASE_PREPARE=prepare)

    yield through
    dispose()
    postgresql.drop_database(postgresql.database_url(name))


def test_the_documentation_names_three_settings_that_work():
    assert FITTING == [("session", "true"), ("session", "false"), ("transaction", "false")]


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


def test_a_migration_leaves_no_setting_and_no_lock_in_the_sessions_of_a_pooler(
    pgbouncer: PgBouncer, through: Callable[[str], None]
):
    if pgbouncer.mode != "transaction":
        pytest.skip("for sessions that clients share")
    through("false")
    migrate()

    with transaction() as first, engine().connect() as second:
        for each in (first, second):
            assert each.execute(text("SHOW lock_timeout")).scalar() == "0"
            locks = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'")
            assert each.execute(locks).scalar() == 0


@pytest.mark.parametrize(
    "command", [["aura", "web"], ["aura", "scheduler"], ["aura", "migrate"], ["dramatiq", "actors", "--processes", "1"]]
)
def test_a_process_does_not_start_with_the_wrong_setting_and_names_the_fix(
    pgbouncer: PgBouncer, postgresql: PostgreSQL, command: list[str]
):
    if pgbouncer.mode != "transaction":
        pytest.skip("the other modes have no wrong setting, or are refused, too")
    variables = {"DATABASE_URL": pgbouncer.url, "AURA_ENV": "development", "RABBITMQ_URL": "amqp://a:b@127.0.0.1:1/"}
    hidden = {name: value for name, value in os.environ.items() if not name.startswith("AURA_")}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    program = subprocess.run(
        command, env=hidden | variables | {"PATH": path}, cwd=ROOT, capture_output=True, text=True, timeout=60
    )

    assert program.returncode != 0
    assert "AURA_DATABASE_PREPARE=false" in program.stdout + program.stderr
    assert "Traceback" not in program.stderr or command[0] == "dramatiq"


def test_doctor_names_the_wrong_setting_once_and_ends_in_order(pgbouncer: PgBouncer, through: Callable[[str], None]):
    if pgbouncer.mode != "transaction":
        pytest.skip("the other modes have no wrong setting, or are refused, too")
    through("true")

    found = [each for each in health.checks() if not each.ok]

    assert found[0].name == "database"
    assert [each.name for each in found if "AURA_DATABASE_PREPARE=false" in each.detail] == ["database"]
