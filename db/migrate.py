"""Alembic, configured in code: one history for SQLite and PostgreSQL."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from db.sessions import engine

#: Only one process migrates at a time; PostgreSQL holds this lock for the transaction.
ADVISORY_LOCK = 0x41757261


def config() -> Config:
    """Return Alembic's configuration; there is no ini file."""
    alembic = Config()
    alembic.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    alembic.set_main_option("path_separator", "os")
    return alembic


def migrate(revision: str = "head") -> None:
    """Bring the database to a revision, in one transaction; safe to call from many processes at once."""
    with engine().begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text(f"SELECT pg_advisory_xact_lock({ADVISORY_LOCK})"))
        alembic = config()
        alembic.attributes["connection"] = connection
        command.upgrade(alembic, revision)


def revisions() -> tuple[str | None, str | None]:
    """Return the database's revision and the newest one; the first is None on an empty database."""
    with engine().execution_options(reads=True).connect() as connection:
        return _current(connection), ScriptDirectory.from_config(config()).get_current_head()


def _current(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()
