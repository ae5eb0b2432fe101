"""Aura inside the test's own process: a migrated database, and a relay and a worker in the calling thread."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

import dramatiq
import pytest
from dramatiq.broker import Consumer, MessageProxy
from dramatiq.worker import WorkerThread
from fastapi import FastAPI
from sqlalchemy import Engine, event, func, select, update
from sqlalchemy.orm import Session

import actors
import pipelines  # noqa: F401
from aura import settings
from aura.jobs import process_state
from aura.jobs.broker import JobBroker
from aura.jobs.middleware import retries
from aura.jobs.process_state import WORKER_ID
from aura.jobs.relay import Relay
from aura.jobs.ttl_cache import TTLCache
from db import database as sessions
from db import fence, hints, jobs, queue_controls, reading, transaction, workers
from db.database import dispose, make_engine
from db.jobs import Claimed, NewJob
from db.migrate import migrate
from db.models import Attempt, DeadLetter, Job
from db.time import from_now, now
from pipelines import embedded

#: The fixtures, for a conftest.py to take all of.
__all__ = [
    *("database", "declare", "fresh_process", "hand", "kept_postgresql", "migrated_postgresql", "migrated_sqlite"),
    *("own_postgres", "postgres", "sqlite"),
]


@contextmanager
def using(url: str) -> Iterator[None]:
    """Use a database for a moment, outside any test."""
    settings.use(settings.given(env="development", DATABASE_URL=url))
    try:
        yield
    finally:
        dispose()
        settings._chosen.clear()
        settings.get_settings.cache_clear()


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file to copy."""
    path = tmp_path_factory.mktemp("migrated") / "aura.db"
    with using(f"sqlite:///{path}"):
        migrate()
    with sqlite3.connect(path) as connection:  # one file, without a log beside it
        connection.execute("PRAGMA journal_mode = DELETE")
    connection.close()
    return path


@pytest.fixture(scope="session")
def migrated_postgresql(postgresql: Any) -> str:
    """The name of a migrated PostgreSQL database to copy."""
    url: str = postgresql.start().create_database()
    with using(url):
        migrate()
    return url.rpartition("/")[2]


# An engine that is new reads and compiles every statement again, which takes longer than most tests.
@lru_cache(maxsize=4)
def _kept_engine(url: str, pool: int, prepare: bool, patience: float) -> Engine:
    engine = make_engine(url, pool, prepare, patience)
    if engine.dialect.name == "sqlite":

        @event.listens_for(engine, "connect")
        def _hurry(connection: sqlite3.Connection, _record: Any) -> None:
            connection.execute("PRAGMA synchronous = OFF")  # no test cuts the power

    return engine


def _same_engine(url: str, pool: int, prepare: bool, patience: float = 30.0) -> Engine:
    # another object with the same pool, so that what a process remembers of its database ends with the test
    return _kept_engine(url, pool, prepare, patience).execution_options()


@pytest.fixture
def sqlite(migrated_sqlite: Path, configure: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A migrated SQLite database that the settings name; its URL, the same in every test."""
    path = migrated_sqlite.with_name("test.db")
    for left in path.parent.glob("test.db*"):
        left.unlink()
    shutil.copy(migrated_sqlite, path)
    monkeypatch.setattr(sessions, "make_engine", _same_engine)
    configure(DATABASE_URL=f"sqlite:///{path}")
    yield f"sqlite:///{path}"
    dispose()


# To make the application takes longer than most tests, too.
@lru_cache(maxsize=4)
def _kept_app(_settings: settings.Settings) -> FastAPI:
    from aura.web.app import make_app

    return make_app()


def web_app() -> FastAPI:
    """Return the web application of these settings, in which nobody waits yet."""
    from aura.web.app import reset_state

    app = _kept_app(settings.get_settings())
    reset_state(app)
    return app


@pytest.fixture(scope="session")
def kept_postgresql(postgresql: Any, migrated_postgresql: str) -> str:
    """A migrated PostgreSQL database that tests fill and leave empty; its URL."""
    url: str = postgresql.start().create_database(template=migrated_postgresql)
    return url


@pytest.fixture
def postgres(
    postgresql: Any, kept_postgresql: str, configure: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """A migrated PostgreSQL database without a row, that the settings name; its URL, the same in every test."""
    monkeypatch.setattr(sessions, "make_engine", _same_engine)
    configure(DATABASE_URL=kept_postgresql)
    yield kept_postgresql
    dispose()
    postgresql.start().empty_database(kept_postgresql)


@pytest.fixture
def own_postgres(postgresql: Any, migrated_postgresql: str, configure: Callable[..., Any]) -> Iterator[str]:
    """A migrated PostgreSQL database that this test may alter; its URL."""
    url: str = postgresql.start().create_database(template=migrated_postgresql)
    configure(DATABASE_URL=url)
    yield url
    dispose()
    postgresql.start().drop_database(url)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.integration)])
def database(request: pytest.FixtureRequest) -> str:
    """A migrated database that the settings name; the test runs once on SQLite and once on PostgreSQL."""
    url: str = request.getfixturevalue(request.param)
    return url


class _Acks:
    """What a worker thread needs of a consumer thread."""

    def __init__(self, consumer: Consumer) -> None:
        self.consumer = consumer

    def post_process_message(self, message: MessageProxy) -> None:
        self.consumer.ack(message)


class _WorkQueue:
    def task_done(self) -> None:
        pass


class Hand:
    """The relay and one of Dramatiq's worker threads, driven step by step in the calling thread."""

    def __init__(self, broker: JobBroker) -> None:
        self.broker = broker

    @property
    def queues(self) -> dict[str, Any]:
        """The queues of this process, which hold hints."""
        return self.broker.local.queues

    def relay(self) -> int:
        """Dispatch due jobs, once. Returns how many."""
        return Relay(self.broker, self.broker.local).round()

    def work(self) -> int:
        """Work on every hint that waits. Returns how many there were."""
        worked = 0
        for name in sorted(self.broker.queues):
            if self.queues[name].qsize():
                worked += self.work_on(name)
        return worked

    def work_on(self, name: str) -> int:
        """Work on every hint in one queue."""
        worked, consumer = 0, self.broker.consume(name, prefetch=10_000, timeout=1)
        thread = WorkerThread(
            broker=self.broker,
            consumers={name: _Acks(consumer)},  # type: ignore[dict-item]
            work_queue=_WorkQueue(),  # type: ignore[arg-type]
            worker_timeout=1,
        )
        while self.queues[name].qsize():
            message = next(consumer)
            assert message is not None
            thread.process_message(message)
            worked += 1
        return worked

    def run(self) -> int:
        """Relay and work until nothing is due. Returns how many hints there were."""
        total = 0
        while self.relay() + (worked := self.work()):
            total += worked
        return total


@pytest.fixture(autouse=True)
def fresh_process() -> None:
    """Have each test begin as a process does: with nothing remembered, and a broker that reads its settings again."""
    process_state.reset()
    fence.forget()
    actors.broker.close()


@pytest.fixture
def hand(monkeypatch: pytest.MonkeyPatch) -> Hand:
    """The relay and a worker in this thread, on the database that another fixture names.

    The first pause of a failed job is minutes, not seconds: a slow machine does not make it due again before the test does.
    """
    monkeypatch.setattr(retries, "FIRST_PAUSE", 300.0)
    with transaction() as session:
        workers.beat(session, WORKER_ID, "the test")
    return Hand(actors.broker)


@pytest.fixture
def declare() -> Iterator[Callable[..., Any]]:
    """A function that declares a durable actor for this test alone: declare(fn, save=...)."""
    broker = actors.broker
    declared, queues, registered = dict(broker.actors), set(broker.queues), dict(process_state.pipelines)

    def declare(fn: Callable[[list[Any]], Any], **options: Any) -> Any:
        from aura.jobs.actor import durable

        options = {"queue_name": "tests.work", "save": lambda session, done: None} | options
        return durable(**options)(fn)

    yield declare
    broker.actors.clear()
    broker.actors.update(declared)
    broker.queues.clear()
    broker.queues.update(queues)
    process_state.pipelines.clear()
    process_state.pipelines.update(registered)


@contextmanager
def fresh_broker(chosen: settings.Settings) -> Iterator[JobBroker]:
    """Make another broker the one of this process for a while, with every actor declared on it.

    Each Worker leaves a middleware behind on its broker, and each broker boots once: so one broker a test.
    """
    assert chosen == settings.get_settings(), "the broker reads the settings of the process"
    usual, broker = actors.broker, JobBroker(actors.broker.program)
    for actor in list(usual.actors.values()):
        broker.declare_actor(actor)
    actors.broker = broker
    dramatiq.set_broker(broker)
    embedded._booted.clear()
    try:
        yield broker
    finally:
        actors.broker = usual
        dramatiq.set_broker(usual)
        broker.close()


# Short forms of frequent calls


def cache_no_controls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have every pause and limit of a queue obeyed at once, not half a second later."""
    monkeypatch.setattr(process_state, "queue_controls", TTLCache(0.0, queue_controls.current))


class CrashBeforeCommit(Exception):
    """Stands for a process that dies before its transaction is committed."""


@contextmanager
def crash_before_commit() -> Iterator[Session]:
    """Do what the block does in a transaction that ends in a crash."""
    with suppress(CrashBeforeCommit), transaction() as session:
        yield session
        raise CrashBeforeCommit


def enqueue(*new_jobs: NewJob) -> None:
    """Enqueue in a transaction of its own."""
    with transaction() as session:
        jobs.enqueue(session, new_jobs)


def claim(actor: str, *ids: int, lease: str = "lease", worker: str = WORKER_ID) -> list[Claimed]:
    """Claim in a transaction of its own."""
    with transaction() as session:
        return jobs.claim(session, actor, ids, lease, worker)


def mark_hinted(*ids: int) -> None:
    """Mark these jobs as hinted, or all of them, as the relay does."""
    wanted = update(Job).where(Job.lease.is_(None), *([Job.id.in_(ids)] if ids else []))
    with transaction() as session:
        session.execute(wanted.values(hinted_at=now()))


def take_due(actor: str = "classify", limit: int = 100) -> list[int]:
    """Take due jobs of an actor as the relay does: bucket by bucket, the most urgent first."""
    taken: list[int] = []
    with transaction() as session:
        for _, priority in hints.due_buckets(session, [actor]):
            taken += [job.id for job in hints.dispatch(session, actor, priority, limit - len(taken))]
    return taken


def all_jobs() -> list[Job]:
    """Return every job, in order."""
    with reading() as session:
        return list(session.scalars(select(Job).order_by(Job.id)))


def one_job() -> Job:
    """Return the only job there is."""
    (job,) = all_jobs()
    return job


def letters() -> list[DeadLetter]:
    """Return every dead letter, in order."""
    with reading() as session:
        return list(session.scalars(select(DeadLetter).order_by(DeadLetter.id)))


def attempts(outcome: str | None = None) -> list[Attempt]:
    """Return the ledger, in order."""
    wanted = select(Attempt).order_by(Attempt.id)
    with reading() as session:
        return list(session.scalars(wanted if outcome is None else wanted.where(Attempt.outcome == outcome)))


def move(model: Any, **seconds: float) -> None:
    """Set time columns of every row to so many seconds from now, as the database counts."""
    with transaction() as session:
        session.execute(update(model).values({name: from_now(value) for name, value in seconds.items()}))


def seconds_until_due() -> list[float]:
    """Return in how many seconds each job is due, by the database's clock."""
    with reading() as session:
        clock = session.scalar(select(now()))
        return [(due - clock).total_seconds() for due in session.scalars(select(Job.due_at).order_by(Job.id))]


def count(model: Any) -> int:
    """Return how many rows there are."""
    with reading() as session:
        return session.scalar(select(func.count()).select_from(model)) or 0
