"""Sessions: nested transactions, concurrent readers and writers, callbacks after commit, prepared statements."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest
from sqlalchemy import func, select, text

from aura.settings import get_settings
from db import database, jobs, transaction
from db.database import after_commit, dispose, engine, make_engine
from db.jobs import NewJob
from db.models import Job
from tests.conftest import ROOT
from tests.embedded import count, crash_before_commit, enqueue

pytestmark = pytest.mark.usefixtures("database")


def test_an_inner_transaction_is_part_of_the_outer_one():
    with crash_before_commit() as outer, transaction() as inner:
        assert inner is outer
        jobs.enqueue(inner, [NewJob("classify", "1")])

    assert count(Job) == 0


def test_a_reader_inside_a_transaction_sees_its_writes():
    with transaction() as session:
        jobs.enqueue(session, [NewJob("classify", "1")])
        assert count(Job) == 1

    with crash_before_commit():
        enqueue(NewJob("classify", "2"))
        assert count(Job) == 2
    assert count(Job) == 1


def test_a_thread_has_its_own_transaction():
    seen: list[int] = []

    with transaction() as session:
        session.execute(select(Job))
        thread = threading.Thread(target=lambda: seen.append(count(Job)))
        jobs.enqueue(session, [NewJob("classify", "1")])
        thread.start()
        thread.join(30)

    assert seen == [0], "a reader neither waits for the writer nor sees what is not committed"


def test_two_writers_wait_for_each_other_and_lose_nothing():
    def write(name: str) -> None:
        for number in range(20):
            with transaction() as session:
                session.scalar(select(func.count()).select_from(Job))  # read first: the upgrade that SQLite refuses
                jobs.enqueue(session, [NewJob("classify", f"{name}:{number}")])

    threads = [threading.Thread(target=write, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert count(Job) == 60


def test_after_commit_calls_once_and_a_rollback_forgets():
    calls: list[str] = []

    def call() -> None:
        calls.append("called")

    with crash_before_commit() as session:
        after_commit(session, call)
    assert calls == []

    with transaction() as session:
        after_commit(session, call)
        after_commit(session, call)
    assert calls == ["called"]


def test_a_disposed_engine_is_created_again(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(database, "make_engine", make_engine)  # the tests' own keeps engines
    first = engine()
    dispose()
    dispose()

    assert engine() is not first
    assert count(Job) == 0


def test_a_process_that_ends_leaves_no_connection_open():
    program = "from db import reading\nwith reading() as session: session.connection().exec_driver_sql('SELECT 1')"
    command = [sys.executable, "-W", "default::ResourceWarning", "-c", program]
    result = subprocess.run(command, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True)

    assert (result.returncode, result.stderr) == (0, "")


def test_sqlite_writes_ahead_and_syncs_every_commit(sqlite_url: str):
    made = make_engine(sqlite_url)
    with made.connect() as connection:
        assert connection.scalar(text("PRAGMA journal_mode")) == "wal"
        assert connection.scalar(text("PRAGMA synchronous")) == 2
        assert connection.scalar(text("PRAGMA foreign_keys")) == 1
    made.dispose()


# -- prepared statements


def prepared() -> int:
    """Claim nothing twice on one connection, and count what is prepared there."""
    with transaction() as session:
        for _ in range(2):
            jobs.claim(session, "classify", [1], "lease", "worker")
        number: int = session.execute(text("SELECT count(*) FROM pg_prepared_statements")).scalar_one()
        return number


@pytest.mark.parametrize("database", [pytest.param("postgres", marks=pytest.mark.integration)], indirect=True)
def test_a_hot_statement_is_prepared_once_unless_a_pooler_forbids_it(monkeypatch: pytest.MonkeyPatch):
    assert prepared() == 1

    monkeypatch.setenv("AURA_DATABASE_PREPARE", "false")
    get_settings.cache_clear()
    dispose()
    assert prepared() == 0


@pytest.mark.parametrize("database", [pytest.param("postgres", marks=pytest.mark.integration)], indirect=True)
def test_a_plan_that_was_made_for_a_small_table_does_not_read_a_full_one_through():
    enqueue(NewJob("classify", "first"))
    with transaction() as session:
        session.execute(text("ANALYZE jobs"))
        jobs.claim(session, "classify", [1], "lease", "worker")
        claims = "SELECT name FROM pg_prepared_statements WHERE statement LIKE '%UPDATE jobs%'"
        [name] = session.execute(text(claims)).scalars()
        jobs.enqueue(session, [NewJob("classify", str(number)) for number in range(5_000)])
        plan = session.execute(
            text(f"EXPLAIN EXECUTE {name} ('{{1}}', 'classify', 'lease', 'worker', true, 1)")
        ).scalars()
        assert "Seq Scan" not in "\n".join(plan)
