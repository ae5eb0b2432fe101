"""Sessions: `transaction()` to write, `reading()` to read, one engine a process.

A `transaction()` inside another joins it, so that a `send` made anywhere below is part of the caller's transaction.
"""

from __future__ import annotations

import atexit
import json
import select
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from datetime import datetime
from functools import lru_cache
from itertools import count
from typing import Any

import orjson
from psycopg2.extensions import AsIs
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.orm import Session

from aura.settings import get_settings

_current: ContextVar[Session | None] = ContextVar("transaction", default=None)

_writing = threading.Lock()

#: How long libpq waits, in seconds (`tcp_user_timeout` in milliseconds): a host that vanished must not hang a thread.
PATIENCE = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}
#: Each prepared statement is planned once. Its plan may be older than what fills its table, so it must not read that through;
#: forbidding this makes what needs it look dear enough to be compiled, which would take a tenth of a second.
PREPARED = " -c plan_cache_mode=force_generic_plan -c enable_seqscan=off -c jit=off"
#: Seconds for which a connection to PostgreSQL that worked is taken to work still: before its socket is looked at, which
#: shows that the server closed it, and before the server is asked.
TRUSTED_SECONDS, ASK_AFTER_SECONDS = 0.02, 5.0
#: Seconds a SQLite writer waits for another one to finish.
SQLITE_BUSY_SECONDS = 30


def make_engine(url: str, pool: int = 10, prepare: bool = True) -> Engine:
    """Return an engine for the URL; on SQLite with a write-ahead log and honest transactions.

    On PostgreSQL, a statement whose execution option `prepared` names its parameters is prepared once for each connection.
    """
    return _sqlite(url, pool) if url.startswith("sqlite") else _postgresql(url, pool, prepare)


#: Numbers the prepared statements; a number that was lost to an interrupt is not given again.
_numbers = count()


def _postgresql(url: str, pool: int, prepare: bool) -> Engine:
    options = "-c timezone=UTC" + (PREPARED if prepare else "")
    engine = create_engine(
        url,
        pool_size=pool,
        max_overflow=0,
        pool_use_lifo=True,  # the connection that was used last is the least likely to be stale
        json_serializer=_to_json,
        connect_args={"application_name": "aura", "options": options, **PATIENCE},
    )

    @event.listens_for(engine, "checkin")
    def _used(_connection: Any, record: Any) -> None:
        record.info["used"] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def _ping(connection: Any, record: Any, _proxy: Any) -> None:
        # SQLAlchemy's own pre-ping asks each time, which is a fifth of what a busy worker waits for
        rested = time.monotonic() - record.info.get("used", time.monotonic())
        if rested > ASK_AFTER_SECONDS or (rested > TRUSTED_SECONDS and _readable(connection)):
            try:
                engine.dialect.do_ping(connection)
            except engine.dialect.loaded_dbapi.Error as error:
                raise DisconnectionError("the server closed the connection") from error

    @event.listens_for(engine, "before_cursor_execute", retval=True)
    def _prepare(
        connection: Connection, cursor: Any, statement: str, values: Any, context: Any, _many: bool
    ) -> tuple[str, Any]:
        # a short statement is parsed and planned for longer than it runs, and psycopg2 prepares none by itself
        names: tuple[str, ...] | None = context.execution_options.get("prepared")
        if names is None or not prepare:
            return statement, values
        known: dict[str, str] = connection.info.setdefault("prepared", {})
        if statement not in known:
            name = f"aura_{next(_numbers)}"
            # what is not named is a constant of the statement
            given = {each: AsIs(f"${at}") for at, each in enumerate(names, 1)}
            cursor.execute(f"PREPARE {name} AS {statement}", {**values, **given})
            known[statement] = f"EXECUTE {name}" + (f" ({', '.join(f'%({each})s' for each in names)})" if names else "")
        return known[statement], values

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # a read without BEGIN and ROLLBACK, which are two round trips; SQLAlchemy's AUTOCOMMIT costs two others
        raw: Any = connection.connection.dbapi_connection
        options = connection.get_execution_options()
        raw.autocommit = options.get("reads", False) or options.get("isolation_level") == "AUTOCOMMIT"

    return engine


def _to_json(value: Any) -> str:
    # rows travel as JSON, see `db.statements`, and the standard library needs seven times as long; what is no number is NULL
    try:
        return orjson.dumps(value).decode()
    except TypeError:  # PostgreSQL takes larger integers, and says itself what is wrong with a text
        return json.dumps(value, default=_moment)


def _moment(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} is not JSON serializable")


def _readable(connection: Any) -> bool:
    # nothing was asked: the server has closed the connection, or says why it is about to
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    return bool(poll.poll(0))


def _sqlite(url: str, pool: int) -> Engine:
    engine = create_engine(
        url, pool_size=pool, max_overflow=20, connect_args={"timeout": SQLITE_BUSY_SECONDS, "check_same_thread": False}
    )

    @event.listens_for(engine, "connect")
    def _prepare(connection: sqlite3.Connection, _record: Any) -> None:
        connection.isolation_level = None  # SQLAlchemy begins, see below; the driver's own BEGIN comes too late
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")  # a commit that was answered must survive a power cut
        connection.execute("PRAGMA foreign_keys = ON")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # A writer takes the write lock at once: upgrading a read lock later fails with SQLITE_BUSY at any time
        reads = connection.get_execution_options().get("reads")
        connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")

    return engine


@lru_cache(maxsize=1)
def engine() -> Engine:
    """Return the engine of this process, made at first use so that importing opens nothing."""
    settings = get_settings()
    return make_engine(settings.database_url.get_secret_value(), settings.database_pool, settings.database_prepare)


@lru_cache(maxsize=1)
def _reader() -> Engine:
    return engine().execution_options(reads=True)


def _on_sqlite() -> bool:
    return engine().dialect.name == "sqlite"


def dispose() -> None:
    """Close every connection and forget the engine, for a changed setting or a forked process."""
    if engine.cache_info().currsize:
        engine().dispose()
        engine.cache_clear()
        _reader.cache_clear()


# Python 3.13 warns of each SQLite connection that a process leaves open at its end.
atexit.register(dispose)


@contextmanager
def transaction() -> Iterator[Session]:
    """Commit what happens inside as one, or nothing of it; joins a transaction that is open already."""
    outer = _current.get()
    if outer is not None:
        yield outer
        return
    with _turn(), Session(engine(), expire_on_commit=False) as session:
        token = _current.set(session)
        try:
            with session.begin():
                yield session
        finally:
            _current.reset(token)


def _turn() -> AbstractContextManager[Any]:
    # SQLite has one writer at a time, and one that finds it busy sleeps up to 100 ms before it looks again:
    # the threads of one process queue up here instead
    return _writing if _on_sqlite() else nullcontext()


@contextmanager
def reading() -> Iterator[Session]:
    """Read what is committed without blocking a writer; inside a transaction, read as part of it.

    SQLite shows one state throughout; PostgreSQL shows each statement the newest, as it does in a transaction too.
    """
    outer = _current.get()
    if outer is not None:
        yield outer
        return
    with Session(_reader(), expire_on_commit=False) as session:
        yield session


def after_commit(session: Session, call: Callable[[], None]) -> None:
    """Call once when the transaction has committed; a rollback forgets it."""
    calls: list[Callable[[], None]] = session.info.setdefault("after_commit", [])
    if call in calls:
        return
    calls.append(call)
    if len(calls) == 1:

        def _run(_session: Session) -> None:
            for each in session.info.pop("after_commit", []):
                each()

        def _forget(_session: Session) -> None:
            session.info.pop("after_commit", None)

        event.listen(session, "after_commit", _run, once=True)
        event.listen(session, "after_rollback", _forget, once=True)
