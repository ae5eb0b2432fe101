"""Database sessions: `transaction()` to write, `reading()` to read, one engine for each process.

A `transaction()` inside another one joins it, so a `send` in any function is part of the caller's transaction.
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
import psycopg2.extensions
from psycopg2.extensions import AsIs
from sqlalchemy import Connection, Engine, ExceptionContext, create_engine, event
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.orm import Session
from sqlalchemy.pool import StaticPool

from aura.error_text import database_text
from aura.errors import InvalidInput
from aura.settings import get_settings
from db import key_file

_current: ContextVar[Session | None] = ContextVar("transaction", default=None)

_writing = threading.Lock()

#: Timeouts of libpq in seconds (`tcp_user_timeout`: milliseconds), so that an unreachable host does not block a thread.
TIMEOUTS = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}
#: A prepared statement is planned once, maybe before its table grows, so its plan must not be a sequential scan. Disabling
#: these raises the estimated cost of statements that need one, which JIT would then compile for a tenth of a second.
PLANNER_OPTIONS = " -c plan_cache_mode=force_generic_plan -c enable_seqscan=off -c jit=off"
#: Idle seconds of a PostgreSQL connection after which a checkout polls its socket, which shows that the server closed it,
#: and after which it pings the server.
POLL_AFTER_SECONDS, PING_AFTER_SECONDS = 0.02, 5.0
#: Seconds that a SQLite writer waits for another one.
SQLITE_BUSY_SECONDS = 30


def _hide_values(context: ExceptionContext) -> None:
    """Take the values of rows and parameters from the texts of an error, which any log of any program may show."""
    original = context.original_exception
    if (text := database_text(original, context.statement or "")) is not None:
        original.args = (text,)
        if context.sqlalchemy_exception is not None:
            context.sqlalchemy_exception.args = (f"({type(original).__name__}) {text}",)


def make_engine(url: str, pool: int = 10, prepare: bool = True) -> Engine:
    """Return an engine for the URL; SQLite gets a write-ahead log and explicit transactions.

    On PostgreSQL, a statement whose execution option `prepared` names its parameters is prepared once for each connection.
    """
    engine = _sqlite(url, pool) if url.startswith("sqlite") else _postgresql(url, pool, prepare)
    event.listen(engine, "handle_error", _hide_values)
    return engine


#: Numbers of prepared statements; one that an interrupt loses is not reused.
_numbers = count()


def _postgresql(url: str, pool: int, prepare: bool) -> Engine:
    options = "-c timezone=UTC" + (PLANNER_OPTIONS if prepare else "")
    engine = create_engine(
        url,
        pool_size=pool,
        max_overflow=0,
        hide_parameters=True,  # they are texts of tickets
        pool_use_lifo=True,  # the connection used last is the least likely to be stale
        json_serializer=_to_json,
        connect_args={"application_name": "aura", "options": options, **TIMEOUTS},
    )

    @event.listens_for(engine, "checkin")
    def _used(_connection: Any, record: Any) -> None:
        record.info["used"] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def _ping(connection: Any, record: Any, _proxy: Any) -> None:
        # pool_pre_ping would ping at each checkout, a fifth of the waiting time of a busy worker
        idle = time.monotonic() - record.info.get("used", time.monotonic())
        if idle > PING_AFTER_SECONDS or (idle > POLL_AFTER_SECONDS and _readable(connection)):
            try:
                engine.dialect.do_ping(connection)
            except engine.dialect.loaded_dbapi.Error as error:
                raise DisconnectionError("the server closed the connection") from error

    @event.listens_for(engine, "before_cursor_execute", retval=True)
    def _prepare(
        connection: Connection, cursor: Any, statement: str, values: Any, context: Any, _many: bool
    ) -> tuple[str, Any]:
        # parsing and planning a short statement takes longer than running it, and psycopg2 prepares none
        names: tuple[str, ...] | None = context.execution_options.get("prepared")
        if names is None or not prepare:
            return statement, values
        prepared: dict[str, str] = connection.info.setdefault("prepared", {})
        if statement not in prepared:
            name = f"aura_{next(_numbers)}"
            # other parameters are constants of the statement
            placeholders = {each: AsIs(f"${at}") for at, each in enumerate(names, 1)}
            cursor.execute(f"PREPARE {name} AS {statement}", {**values, **placeholders})
            prepared[statement] = f"EXECUTE {name}" + (
                f" ({', '.join(f'%({each})s' for each in names)})" if names else ""
            )
        return prepared[statement], values

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # reads need no BEGIN and ROLLBACK, two round trips; SQLAlchemy's AUTOCOMMIT costs two others
        raw: Any = connection.connection.dbapi_connection
        options = connection.get_execution_options()
        raw.autocommit = options.get("reads", False) or options.get("isolation_level") == "AUTOCOMMIT"

    return engine


def _to_json(value: Any) -> str:
    # for bulk statements: orjson is seven times as fast as json, and turns NaN into null
    try:
        return orjson.dumps(value).decode()
    except TypeError:  # PostgreSQL accepts larger integers, and reports invalid text itself
        return json.dumps(value, default=_isoformat)


def _isoformat(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} is not JSON serializable")


def _readable(connection: Any) -> bool:
    # without a pending request, data means that the server closed the connection or announces it
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    return bool(poll.poll(0))


def _sqlite(url: str, pool: int) -> Engine:
    engine = create_engine(
        url,
        pool_size=pool,
        max_overflow=20,
        hide_parameters=True,
        connect_args={"timeout": SQLITE_BUSY_SECONDS, "check_same_thread": False},
    )
    file = key_file.database_file(url)

    @event.listens_for(engine, "do_connect")
    def _create(_dialect: Any, _record: Any, _arguments: Any, _options: Any) -> None:
        if file is not None:
            key_file.create_private(file)

    @event.listens_for(engine, "connect")
    def _prepare(connection: sqlite3.Connection, _record: Any) -> None:
        connection.isolation_level = None  # `_begin` sends BEGIN; the driver's own comes too late
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")  # a commit survives a power failure
        connection.execute("PRAGMA foreign_keys = ON")
        if file is not None:
            for suffix in ("", "-wal", "-shm"):
                key_file.make_private(file.with_name(file.name + suffix))

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # a writer takes the write lock first: upgrading a read lock fails with SQLITE_BUSY
        reads = connection.get_execution_options().get("reads")
        connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")

    return engine


@lru_cache(maxsize=1)
def engine() -> Engine:
    """Return the engine of this process, created at the first call."""
    settings = get_settings()
    return make_engine(settings.database_url.get_secret_value(), settings.database_pool, settings.database_prepare)


@lru_cache(maxsize=1)
def _reader() -> Engine:
    return engine().execution_options(reads=True)


def _on_sqlite() -> bool:
    return engine().dialect.name == "sqlite"


def dispose() -> None:
    """Close all connections and discard the engine, after a changed setting or a fork."""
    if engine.cache_info().currsize:
        engine().dispose()
        engine.cache_clear()
        _reader.cache_clear()


# Python 3.13 warns of each SQLite connection that a process leaves open at its end.
atexit.register(dispose)


@contextmanager
def transaction() -> Iterator[Session]:
    """Run the block in a transaction; joins the open one, if any."""
    outer = _current.get()
    if outer is not None:
        yield outer
        return
    with _write_lock(), Session(engine(), expire_on_commit=False) as session:
        token = _current.set(session)
        try:
            with session.begin():
                _begin_now(session)
                yield session
        finally:
            _current.reset(token)


def _write_lock() -> AbstractContextManager[Any]:
    # SQLite has one writer, and a second one polls every 100 ms: the threads of a process wait for a lock instead
    return _writing if _on_sqlite() else nullcontext()


@contextmanager
def reading() -> Iterator[Session]:
    """Read committed rows without blocking a writer; joins the open transaction, if any.

    On SQLite the whole block reads one snapshot; on PostgreSQL each statement reads its own, as in a transaction.
    """
    outer = _current.get()
    if outer is not None:
        yield outer
        return
    with Session(_reader(), expire_on_commit=False) as session:
        _begin_now(session)
        yield session


def _begin_now(session: Session) -> None:
    # SQLite: under the write lock, and with the snapshot of this moment; PostgreSQL connects for the first statement
    if _on_sqlite():
        session.connection()


class _BorrowedConnection:
    """A DBAPI connection whose transaction its owner ends: commit, rollback and close do nothing here."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def commit(self) -> None:
        pass

    rollback = close = commit


@contextmanager
def join_transaction(connection: Any) -> Iterator[Session]:
    """Write in the open transaction of a psycopg2 connection, such as Django's `connection.connection`.

    The owner of the connection commits or rolls back. It must be a connection to the database of DATABASE_URL.
    Raises InvalidInput for a connection of another driver; Django prefers psycopg 3 where it is installed.
    """
    if not isinstance(connection, psycopg2.extensions.connection):
        raise InvalidInput(f"join_transaction needs a psycopg2 connection, not {type(connection).__module__}")
    dialect = engine().dialect
    if getattr(dialect, "server_version_info", None) is None:
        with engine().connect():  # the first connection initializes the dialect, and would roll back the borrowed one
            pass
    pool = StaticPool(lambda: _BorrowedConnection(connection), reset_on_return=None, dialect=dialect)
    with Session(Engine(pool, dialect, engine().url), expire_on_commit=False) as session:
        token = _current.set(session)
        try:
            yield session
            session.flush()
        finally:
            _current.reset(token)


def after_commit(session: Session, call: Callable[[], None]) -> None:
    """Call once after the transaction commits; a rollback discards the call."""
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
