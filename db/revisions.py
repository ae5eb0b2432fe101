"""Revisions: whether the database has the tables of this version.

Reads the numbers of the migrations from their files. Each command asks for them, and Alembic, which knows them as well, takes a
fifth of a command's start; only `db.migrate` imports it.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from sqlalchemy import Connection, inspect, text

from db.database import engine

_REVISION = re.compile(r'^(down_)?revision = "(\w+)"$', re.MULTILINE)


def revisions() -> tuple[str | None, str]:
    """Return the revision of the database, None when it is empty, and the newest one."""
    with engine().execution_options(reads=True).connect() as connection:
        return _current(connection), _history()[1]


def outdated(current: str | None) -> bool:
    """Return whether a database at this revision needs a migration; an unknown revision is of a newer release.

    During an upgrade the previous release works with the new tables: migrations only add columns with defaults.
    """
    known, newest = _history()
    return current is None or (current in known and current != newest)


def _current(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    revision: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return revision


@cache
def _history() -> tuple[frozenset[str], str]:
    """Return all revisions, and the newest: the one that no other follows."""
    revisions: set[str] = set()
    followed: set[str] = set()
    for file in (Path(__file__).parent / "migrations" / "versions").glob("*.py"):
        for down, revision in _REVISION.findall(file.read_text(encoding="utf-8")):
            (followed if down else revisions).add(revision)
    [newest] = revisions - followed
    return frozenset(revisions), newest
