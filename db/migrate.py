"""Alembic, configured in code: one history for SQLite and PostgreSQL.

On PostgreSQL a migration must not stop the house: each is a transaction of its own, what waits for a lock gives up after
LOCK_SECONDS and tries again (everybody behind it in the lock's queue would wait too), and indexes of large tables are
built beside the traffic (`db.migrations.online`). So any of them may be repeated from its beginning.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError

from db.database import engine

logger = logging.getLogger(__name__)

#: Only one process migrates at a time; PostgreSQL holds this lock for the session.
ADVISORY_LOCK = 0x41757261
#: How long a statement waits for a lock, between two tries, and how often it tries. It gives up before PostgreSQL looks for
#: deadlocks (`deadlock_timeout`, one second): a migration locks several tables, and the traffic must not be the one to go.
LOCK_SECONDS, PAUSE_SECONDS, TRIES = 0.5, 1.5, 45
#: How often a process asks whether another one has done migrating, in seconds.
ASK_SECONDS = 0.1
#: PostgreSQL's code for a lock that was not to be had in time.
LOCK_NOT_AVAILABLE = "55P03"
#: And for a transaction that was ended because it and others waited for each other.
DEADLOCK = "40P01"


def config() -> Config:
    """Return Alembic's configuration; there is no ini file."""
    alembic = Config()
    alembic.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    alembic.set_main_option("path_separator", "os")
    return alembic


def migrate(revision: str = "head") -> None:
    """Bring the database to a revision; safe to call from many processes at once, and while others work.

    Raises OperationalError when a table stays locked, such as by a transaction that somebody left open.
    """
    with engine().connect() as connection, _alone(connection):
        alembic = config()
        alembic.attributes["connection"] = connection
        for tries_left in reversed(range(TRIES)):
            try:
                command.upgrade(alembic, revision)
                return
            except OperationalError as error:
                if getattr(error.orig, "pgcode", None) not in (LOCK_NOT_AVAILABLE, DEADLOCK) or not tries_left:
                    raise
                connection.rollback()
                logger.warning("A table is in use; the migration waits for a better moment")
                time.sleep(PAUSE_SECONDS)


@contextmanager
def _alone(connection: Connection) -> Iterator[None]:
    if connection.dialect.name == "sqlite":
        with connection.begin():  # takes the one write lock
            yield
        return
    # who waits inside a statement keeps a snapshot, and an index that is built beside the traffic waits for that
    while not connection.scalar(text(f"SELECT pg_try_advisory_lock({ADVISORY_LOCK})")):
        connection.rollback()
        time.sleep(ASK_SECONDS)
    connection.execute(text(f"SET lock_timeout = {int(LOCK_SECONDS * 1000)}"))
    connection.commit()
    try:
        yield
    finally:
        connection.rollback()
        connection.execute(text("RESET lock_timeout"))
        connection.execute(text(f"SELECT pg_advisory_unlock({ADVISORY_LOCK})"))
        connection.commit()


def revisions() -> tuple[str | None, str | None]:
    """Return the database's revision and the newest one; the first is None on an empty database."""
    with engine().execution_options(reads=True).connect() as connection:
        return _current(connection), ScriptDirectory.from_config(config()).get_current_head()


def outdated(current: str | None) -> bool:
    """Return whether this revision lacks tables that the code needs; one that the code has never heard of is newer.

    While a new version is rolled out, the old one works on with the new tables: migrations only add what it does not miss.
    """
    scripts = ScriptDirectory.from_config(config())
    known = {script.revision for script in scripts.walk_revisions()}
    return current is None or (current in known and current != scripts.get_current_head())


def _current(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()
