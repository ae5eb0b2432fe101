"""Many at once on PostgreSQL: relays share the work, claims never collide, and no wake-up falls between two statements."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import text
from sqlalchemy.orm import Session

import actors
from aura.jobs.notifier import Notifier
from aura.jobs.relay import Relay
from aura.jobs.transport import Outgoing
from aura.settings import get_settings
from db import dead_letters, hints, jobs, reading, transaction
from db import migrate as migrations
from db.database import dispose, engine
from db.jobs import Failure, NewJob
from db.migrate import migrate
from db.models import ScheduleRun
from db.revisions import revisions
from pipelines.schedule import ScheduledJob
from pipelines.scheduler import Scheduler
from tests.conftest import ROOT, wait_until
from tests.embedded import all_jobs, claim, count, enqueue, letters, one_job
from tests.unit.actors.helpers import run_in_parallel

# -- relays -----------------------------------------------------------------------------------------------------------


def test_two_relays_take_disjoint_jobs(postgres: str):
    enqueue(*[NewJob("classify", str(number)) for number in range(20)])

    with Session(engine()) as first, Session(engine()) as second:
        first.execute(text("SET lock_timeout = '1s'"))
        second.execute(text("SET lock_timeout = '1s'"))
        one = {job.id for job in hints.dispatch(first, "classify", 0, 8)}
        other = {job.id for job in hints.dispatch(second, "classify", 0, 100)}

    assert (len(one), len(other)) == (8, 12)
    assert not one & other


class Shelf:
    """A transport that stores what it is given."""

    def __init__(self) -> None:
        self.ids: list[int] = []

    def open(self) -> None: ...
    def publish(self, batch: Sequence[Outgoing]) -> None:
        import json

        for message in batch:
            self.ids += json.loads(message.body)["args"][0]

    def wait(self, seconds: float, woken: Callable[[], bool]) -> None: ...
    def depths(self, queues: Sequence[str]) -> dict[str, int]:
        return {}

    def close(self) -> None: ...


def test_relays_beside_each_other_hint_each_job_once(postgres: str):
    enqueue(*[NewJob("classify", str(number), priority=number % 10) for number in range(600)])
    shelves = [Shelf() for _ in range(4)]

    def drain(shelf: Shelf) -> int:
        relay = Relay(actors.broker, shelf, get_settings().model_copy(update={"max_in_flight": 100_000}))
        return sum(iter(relay.round, 0))

    results = run_in_parallel(*[lambda shelf=shelf: drain(shelf) for shelf in shelves])

    hinted = [job_id for shelf in shelves for job_id in shelf.ids]
    assert sum(results) == 600
    assert sorted(hinted) == sorted(job.id for job in all_jobs())


# -- claims -----------------------------------------------------------------------------------------------------------


def test_claims_of_overlapping_hints_give_each_job_once_and_never_deadlock(postgres: str):
    shuffled = random.Random(7)
    for turn in range(10):
        enqueue(*[NewJob("classify", f"{turn}:{number}") for number in range(60)])
        ids = [job.id for job in all_jobs() if not job.lease]

        def take(name: str, some: list[int]) -> list[int]:
            return [job.id for job in claim("classify", *some, lease=name)]

        orders = [shuffled.sample(ids, len(ids)) for _ in range(4)]
        results = run_in_parallel(*[lambda n=n, o=o, t=turn: take(f"{t}:{n}", o) for n, o in enumerate(orders)])

        assert Counter(job_id for result in results for job_id in result) == Counter(ids)


def test_enqueues_of_the_same_jobs_in_any_order_never_deadlock(postgres: str):
    shuffled = random.Random(7)
    new_jobs = [NewJob("classify", str(number)) for number in range(100)]

    for _ in range(5):
        orders = [shuffled.sample(new_jobs, 100) for _ in range(4)]
        results = run_in_parallel(*[lambda order=order: enqueue(*order) for order in orders])
        assert results == [None] * 4

    assert len(all_jobs()) == 100


def test_an_enqueue_during_the_completion_of_the_job_is_never_lost(postgres: str):
    for turn in range(20):
        enqueue(NewJob("classify", str(turn)))
        claimed = claim("classify", all_jobs()[-1].id, lease=f"lease {turn}")
        assert len(claimed) == 1

        def keep(turn: int = turn, claimed: Any = claimed) -> None:
            with transaction() as session:
                jobs.complete(session, f"lease {turn}", claimed, "w", 0.0)

        assert run_in_parallel(keep, lambda turn=turn: enqueue(NewJob("classify", str(turn)))) == [None, None]

    rows = all_jobs()
    assert [job.key for job in rows] == [str(turn) for turn in range(20)]
    assert {(job.lease, job.rerun) for job in rows} == {(None, False)}


def test_a_worker_that_is_quicker_than_the_relays_commit_gets_the_job_all_the_same(postgres: str):
    # Given a relay that has published its hint and not committed yet
    enqueue(NewJob("classify", "1"))
    job_id = one_job().id
    claims: list[Any] = []
    with Session(engine()) as relay:
        assert hints.dispatch(relay, "classify", 0, 10)
        # When a worker is quicker
        worker = threading.Thread(target=lambda: claims.extend(claim("classify", job_id)))
        worker.start()
        wait_until(_a_session_waits_for_a_lock, message="the claim waits for the relay")
        relay.commit()
    worker.join(60)
    # Then it gets the job all the same
    assert [job.id for job in claims] == [job_id]


def _a_session_waits_for_a_lock() -> bool:
    with engine().connect() as connection:
        return bool(connection.scalar(text("SELECT count(*) FROM pg_locks WHERE NOT granted")))


def test_two_people_cannot_replay_the_same_dead_letter(postgres: str):
    for turn in range(5):
        enqueue(NewJob("classify", str(turn)))
        claimed = claim("classify", all_jobs()[-1].id)
        with transaction() as session:
            jobs.dead_letter(session, [(job, Failure("X", "x", "", "")) for job in claimed])

        def replay(letter: int = letters()[-1].id) -> None:
            with transaction() as session:
                dead_letters.replay(session, letter)

        results = run_in_parallel(replay, replay)
        assert sorted(type(result).__name__ for result in results) == ["NoneType", "UnknownDeadLetter"]


# -- schedulers -------------------------------------------------------------------------------------------------------


def test_schedulers_that_tick_at_the_same_moment_start_a_run_once(postgres: str):
    ran: list[int] = []
    entry = ScheduledJob("count", "* * * * *", lambda: len(ran.append(1) or []))
    schedulers = [Scheduler([entry]) for _ in range(3)]
    at = datetime(2026, 6, 1, 12, 0, 30, tzinfo=UTC)

    for minute in range(10):
        now = at + timedelta(minutes=minute)
        results = run_in_parallel(*[lambda each=each, now=now: each.tick(now) for each in schedulers])
        assert sum(len(result) for result in results) == (1 if minute else 0)

    assert (len(ran), count(ScheduleRun)) == (9, 9)


# -- migrations and notifications -------------------------------------------------------------------------------------


def test_processes_that_migrate_at_once_migrate_once(postgres_url: str, configure: Callable[..., Any]):
    configure(DATABASE_URL=postgres_url)
    program = "from db.migrate import migrate; input(); migrate()"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", program], cwd=ROOT, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(3)
    ]
    for process in processes:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    results = [(process.communicate(timeout=180)[1], process.returncode) for process in processes]

    assert [code for _, code in results] == [0, 0, 0], results
    current, newest = revisions()
    assert current == newest
    dispose()


#: Migrations as a release may contain them: a column with a default, and an index that is built concurrently.
ADD_COLUMN = """
import sqlalchemy as sa
from alembic import op

revision, down_revision = "9998", "{head}"


def upgrade():
    op.add_column("jobs", sa.Column("extra", sa.Integer(), server_default="0", nullable=False))
"""
ADD_INDEX = """
from db.migrations.online import create_index

revision, down_revision = "9999", "9998"


def upgrade():
    create_index("ix_attempts_worker", "attempts", ["worker"])
"""


@pytest.fixture
def future_migrations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two revisions after the newest one: 9998 adds a column to jobs, 9999 an index to attempts."""
    versions = Path(migrations.__file__).parent / "migrations" / "versions"
    head, config = ScriptDirectory.from_config(migrations.config()).get_current_head(), migrations.config
    (tmp_path / "9998_column.py").write_text(ADD_COLUMN.format(head=head))
    (tmp_path / "9999_index.py").write_text(ADD_INDEX)

    def config_with_both() -> Config:
        alembic = config()
        alembic.set_main_option("version_locations", os.pathsep.join((str(versions), str(tmp_path))))
        return alembic

    monkeypatch.setattr(migrations, "config", config_with_both)


@contextmanager
def open_transaction_during_migration(url: str, revision: str, statement: str) -> Iterator[Callable[[str], Any]]:
    """Migrate in a thread while a transaction stays open after a statement; yields a function that queries."""
    holder, other = psycopg2.connect(url), psycopg2.connect(url)
    other.autocommit = True

    def query(question: str) -> Any:
        with other.cursor() as cursor:
            cursor.execute("SET lock_timeout = '30s'")
            cursor.execute(question)
            return cursor.fetchone()[0]

    thread = threading.Thread(target=migrate, args=(revision,))
    try:
        holder.cursor().execute(statement)
        thread.start()
        yield query
    finally:
        holder.close()
        thread.join(60)
        other.close()


@pytest.mark.usefixtures("future_migrations")
def test_a_migration_that_waits_for_a_lock_does_not_block_other_sessions(
    own_postgres: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(migrations, "RETRY_SECONDS", 0.1)
    # Given a transaction that has read the jobs and stays open, when a migration adds a column to them
    with open_transaction_during_migration(own_postgres, "9998", "SELECT count(*) FROM jobs") as query:
        waits = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'jobs'::regclass"
        wait_until(lambda: query(waits), 60, "no migration waits")
        # Then other sessions, which queue behind it, are served; the migration is retried
        assert query("SELECT count(*) FROM jobs") == 0
        wait_until(lambda: query(waits), 60, "the migration is not retried")
    assert revisions()[0] == "9998"
    dispose()


@pytest.mark.usefixtures("future_migrations")
def test_an_index_of_a_large_table_is_built_beside_its_writers(own_postgres: str):
    migrate("9998")
    # Given a transaction that writes and stays open, when an index of that table is built
    statement = "LOCK TABLE attempts IN ROW EXCLUSIVE MODE"
    with open_transaction_during_migration(own_postgres, "9999", statement) as query:
        built = "SELECT count(*) FROM pg_class WHERE relname = 'ix_attempts_worker'"
        # Then the index exists, and waits for that transaction alone to become valid
        wait_until(lambda: query(built), 60, "the index waits for the writer, and new writers wait for it")
    assert revisions()[0] == "9999"
    dispose()


def test_a_commit_is_heard_and_a_rollback_is_not(postgres: str):
    import select

    from tests.embedded import crash_before_commit

    class Loop:
        """The part of a publisher that a notifier uses."""

        heard: Callable[[], None]

        def watch(self, fileno: int, readable: Callable[[], None]) -> None:
            self.fileno, self.heard = fileno, readable

        def unwatch(self, fileno: int, trouble: str) -> None: ...

        def listen(self, seconds: float) -> bool:
            ready, _, _ = select.select([self.fileno], [], [], seconds)
            if ready:
                self.heard()
            return notifier.woken()

    loop = Loop()
    notifier = Notifier(loop)  # type: ignore[arg-type]
    assert notifier.woken(), "a job enqueued before it listened"
    assert not notifier.proven, "no notification has arrived yet"
    assert loop.listen(5), "its own, by which it knows that notifications arrive"
    assert notifier.proven
    notifier.woken()

    with crash_before_commit() as session:
        jobs.enqueue(session, [NewJob("classify", "0")])
    assert not loop.listen(0.1)
    enqueue(NewJob("classify", "1"))
    assert loop.listen(60)
    assert not notifier.woken()
    notifier._raw.close()


def test_a_server_that_restarts_costs_a_reader_nothing(postgres: str, postgresql: Any):
    enqueue(NewJob("classify", "1"))
    postgresql.kill()
    postgresql.start()

    with reading() as session:
        assert hints.due_buckets(session, ["classify", "intake"]) == [("classify", 0)]
