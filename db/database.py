"""Database sessions: `transaction()` to write, `reading()` to read, one engine for each process.

A `transaction()` inside another one joins it, so a `send` in any function is part of the caller's transaction.
"""

from __future__ import annotations

import atexit
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from contextvars import ContextVar
from functools import lru_cache
from typing import Any

import psycopg2.extensions
from sqlalchemy import Connection, Engine, ExceptionContext, create_engine, event, text
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from sqlalchemy.orm import Session
from sqlalchemy.pool import StaticPool

from aura import database_url
from aura.error_text import database_text
from aura.errors import InvalidInput, Unavailable
from aura.settings import get_settings
from db import key_file, postgresql, replica
from db.fence import Fence
from db.unavailable import failures, is_unavailable, sqlstate

_current: ContextVar[Session | None] = ContextVar("transaction", default=None)

_writing = threading.Lock()

#: The SQLSTATE of a statement that was cancelled or ran into its timeout.
QUERY_CANCELED = "57014"
#: Seconds that a SQLite writer waits for another one.
SQLITE_BUSY_SECONDS = 30


def _note_and_hide(context: ExceptionContext) -> None:
    """Note a full disk, and take the values of rows and parameters from the text of an error, which any log may show."""
    original = context.original_exception
    failures.note(original)
    if (shown := database_text(original, context.statement or "")) is not None:
        original.args = (shown,)
        if context.sqlalchemy_exception is not None:
            context.sqlalchemy_exception.args = (f"({type(original).__name__}) {shown}",)


def make_engine(url: str, pool: int = 10, prepare: bool = True, patience: float = 30.0) -> Engine:
    """Return an engine for the URL; SQLite gets a write-ahead log and explicit transactions.

    `patience` is how many seconds a caller waits for a connection of the pool. Each new connection to PostgreSQL is
    compared with the fence (see `db.fence`) before its first use.

    On PostgreSQL, a statement whose execution option `prepared` names its parameters is prepared once for each connection.
    """
    if url.startswith("sqlite"):
        engine = _sqlite(url, pool)
    else:
        parts = database_url.parse(url, database_url.READABLE)
        engine = postgresql.make_engine(parts, pool, prepare, patience, Fence().check)
    event.listen(engine, "handle_error", _note_and_hide)
    return engine


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


def refuse_wrong_pooler() -> None:
    """Raise WrongPoolerMode if AURA_DATABASE_PREPARE does not fit the pooler of DATABASE_URL; for the start of a process.

    While the database does not answer, this is unknown: each later connection is checked, too.
    """
    if not _on_sqlite():
        with suppress(SQLAlchemyError), engine().connect():
            pass


#: Connections for searches and exports, beside those of AURA_DATABASE_POOL and at most half as many, and seconds to wait
#: for one of them.
SEARCH_POOL, SEARCH_POOL_SECONDS = 4, 3.0


@lru_cache(maxsize=1)
def _searcher() -> Engine:
    settings = get_settings()
    url = settings.database_url.get_secret_value()
    pool = min(SEARCH_POOL, max(1, settings.database_pool // 2))
    return make_engine(url, pool, settings.database_prepare, SEARCH_POOL_SECONDS)


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
    replica.dispose()
    if _searcher.cache_info().currsize:
        _searcher().dispose()
        _searcher.cache_clear()


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


@contextmanager
def one_statement() -> Iterator[Session]:
    """Run a block of one statement, which commits by itself; on SQLite, or in an open transaction, as `transaction()` does.

    PostgreSQL needs no BEGIN and COMMIT for it.
    """
    if _on_sqlite() or _current.get() is not None:
        with transaction() as session:
            yield session
        return
    with Session(_reader(), expire_on_commit=False) as session:
        yield session


def _begin_now(session: Session) -> None:
    # SQLite: under the write lock, and with the snapshot of this moment; PostgreSQL connects for the first statement
    if _on_sqlite():
        session.connection()


class SearchTooSlow(Unavailable):
    """A search took longer than its limit, or its client left."""


class Cancellation:
    """Cancels the search that runs with it, from another thread."""

    def __init__(self) -> None:
        self._connection: Any = None
        self._lock = threading.Lock()
        self.cancelled = False

    def cancel(self) -> None:
        """Cancel the present statement, and refuse the next ones."""
        with self._lock:
            self.cancelled = True
            if self._connection is not None:
                _interrupt(self._connection)

    @contextmanager
    def watching(self, connection: Any) -> Iterator[None]:
        """Let `cancel` reach this DBAPI connection during the block."""
        with self._lock:
            self._connection = connection
        try:
            yield
        finally:
            with self._lock:
                self._connection = None


def _interrupt(connection: Any) -> None:
    if isinstance(connection, sqlite3.Connection):
        connection.interrupt()
    else:
        connection.cancel()


@contextmanager
def searching(cancellation: Cancellation | None = None) -> Iterator[Session]:
    """Read as `reading` does, on a small pool of its own, for AURA_SEARCH_SECONDS at most.

    Searches and exports read many rows, so they must not take the connections that new tickets need. Raises SearchTooSlow.
    """
    seconds = get_settings().search_seconds
    cancellation = cancellation or Cancellation()
    with _on_replica() as copy, Session(copy or _searcher(), expire_on_commit=False) as session:
        raw = session.connection(execution_options={"reads": _on_sqlite()}).connection.dbapi_connection
        timer = threading.Timer(seconds, cancellation.cancel) if _on_sqlite() else None
        try:
            with cancellation.watching(raw):
                if timer is not None:
                    timer.start()
                else:
                    session.execute(text(f"SET LOCAL statement_timeout = {int(seconds * 1000)}"))
                if cancellation.cancelled:
                    raise SearchTooSlow("the client left")
                yield session
        except OperationalError as error:
            code = getattr(error.orig, "pgcode", None)
            if code == QUERY_CANCELED or "interrupted" in str(error.orig):
                raise SearchTooSlow(
                    f"the search took longer than {seconds:g} seconds (AURA_SEARCH_SECONDS): "
                    "narrow it, for example with after:2026-11-01, or try again later",
                    retry_after=5,
                ) from None
            raise
        finally:
            if timer is not None:
                timer.cancel()


@contextmanager
def reporting() -> Iterator[Session]:
    """Read as `reading` does, from the read replica if there is a usable one; for reports, which may be some seconds old.

    Joins the open transaction, if any.
    """
    if _current.get() is None:
        with _on_replica() as copy:
            if copy is not None:
                with Session(copy.execution_options(reads=True), expire_on_commit=False) as session:
                    yield session
                return
    with reading() as session:
        yield session


@contextmanager
def _on_replica() -> Iterator[Engine | None]:
    """Yield the engine of the read replica and note the age of its data, or None to read the primary."""
    found = replica.replica()
    age = found.usable_age() if found is not None else None
    if found is None or age is None:
        yield None
        return
    replica.note(age)
    try:
        yield found.engine
    except SQLAlchemyError as error:
        # such as a statement that conflicts with what the replica replays; the next request reads the primary
        if is_unavailable(error) and sqlstate(error) != QUERY_CANCELED:
            found.fail(error)
        raise


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
