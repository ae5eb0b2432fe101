"""Migrations: runs Alembic, configured in code, with one history for SQLite and PostgreSQL.

On PostgreSQL a migration does not block other sessions: each runs in a transaction of its own, stops waiting for a lock after
LOCK_SECONDS and is retried (later requests for the lock would queue behind it), and builds indexes of large tables
concurrently (`db.migrations.online`). So every migration must be repeatable.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, event, text
from sqlalchemy.exc import OperationalError

from aura.settings import get_settings
from db.database import engine, make_engine
from db.postgresql import LOCK_NOT_AVAILABLE, pooler_mode

logger = logging.getLogger(__name__)

#: Advisory lock of the one session that migrates.
ADVISORY_LOCK = 0x41757261
#: Seconds that a statement waits for a lock, seconds between attempts, and attempts. The wait is shorter than PostgreSQL's
#: `deadlock_timeout` (one second), so a deadlock ends the migration and no other transaction.
LOCK_SECONDS, RETRY_SECONDS, ATTEMPTS = 0.5, 1.5, 45
#: Seconds between two attempts to get the advisory lock.
POLL_SECONDS = 0.1
#: SQLSTATE of a deadlock.
DEADLOCK = "40P01"


def config() -> Config:
    """Return Alembic's configuration."""
    alembic = Config()
    alembic.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    alembic.set_main_option("path_separator", "os")
    return alembic


def migrate(revision: str = "head") -> None:
    """Upgrade the database to a revision; safe for concurrent calls, and while other processes work.

    Raises OperationalError when a table stays locked, such as by a transaction that is never closed.
    """
    with engine().connect() as connection, _exclusively(connection):
        alembic = config()
        alembic.attributes["connection"] = connection
        for attempts_left in reversed(range(ATTEMPTS)):
            try:
                command.upgrade(alembic, revision)
                return
            except OperationalError as error:
                if getattr(error.orig, "pgcode", None) not in (LOCK_NOT_AVAILABLE, DEADLOCK) or not attempts_left:
                    raise
                connection.rollback()
                logger.warning("table is locked; the migration is retried")
                time.sleep(RETRY_SECONDS)


@contextmanager
def _exclusively(connection: Connection) -> Iterator[None]:
    if connection.dialect.name == "sqlite":
        with connection.begin():  # takes the write lock
            yield
        return
    if pooler_mode(engine()) == "transaction":
        with _exclusively_by_transactions(connection):
            yield
        return
    # polls: a session that waits inside a statement holds a snapshot, for which CREATE INDEX CONCURRENTLY waits
    while not connection.scalar(text(f"SELECT pg_try_advisory_lock({ADVISORY_LOCK})")):
        connection.rollback()
        time.sleep(POLL_SECONDS)
    connection.execute(text(f"SET lock_timeout = {int(LOCK_SECONDS * 1000)}"))
    connection.commit()
    try:
        yield
    finally:
        connection.rollback()
        connection.execute(text("RESET lock_timeout"))
        connection.execute(text(f"SELECT pg_advisory_unlock({ADVISORY_LOCK})"))
        connection.commit()


@contextmanager
def _exclusively_by_transactions(connection: Connection) -> Iterator[None]:
    """As `_exclusively`, with nothing that outlives a transaction: a pooler gives each transaction another session."""
    settings = get_settings()
    other = make_engine(settings.database_url.get_secret_value(), 1, settings.database_prepare)
    try:
        with other.connect() as holder:
            while not holder.scalar(text(f"SELECT pg_try_advisory_xact_lock({ADVISORY_LOCK})")):
                holder.rollback()
                time.sleep(POLL_SECONDS)
            holder.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
            connection.rollback()
            event.listen(engine(), "begin", _limit_locks)
            yield
            connection.rollback()
    finally:
        if event.contains(engine(), "begin", _limit_locks):
            event.remove(engine(), "begin", _limit_locks)
        other.dispose()


def _limit_locks(connection: Connection) -> None:
    if connection.get_execution_options().get("isolation_level") != "AUTOCOMMIT":
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = {int(LOCK_SECONDS * 1000)}")
