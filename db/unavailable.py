"""Errors that mean that the database cannot be used now: it does not answer, does not accept writes, or its disk is full.

`is_lost` also decides which connections of the pool are discarded. A server that became a standby, or whose provider made
it read-only, keeps answering on old connections, so a ping does not find them; SQLSTATE does.
"""

from __future__ import annotations

import sqlite3
import time
from typing import TypeGuard

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, TimeoutError

#: SQLSTATE of a write in a session that only reads (appendix A of PostgreSQL's documentation).
READ_ONLY = "25006"
#: Classes of SQLSTATE after which a connection is of no use: connection exceptions, and 57P, operator
#: intervention: shutdown, crash, start-up, dropped database, idle timeout. 25P03 is the timeout of an idle transaction.
_LOST_CLASS, _INTERVENTION, _IDLE = "08", "57P", "25P03"
#: SQLSTATE of a disk without space.
DISK_FULL = "53100"


def sqlstate(error: BaseException | None) -> str:
    """Return the SQLSTATE of an error of psycopg2 or of SQLAlchemy around it; empty without one."""
    original = getattr(error, "orig", None) or error
    return str(getattr(original, "pgcode", None) or "")


def is_lost(error: BaseException | None) -> bool:
    """Return whether the connection of this error is of no use: the server ended it, or it became read-only."""
    state = sqlstate(error)
    return state in (READ_ONLY, _IDLE) or state.startswith((_LOST_CLASS, _INTERVENTION))


def is_unavailable(error: BaseException | None) -> TypeGuard[Exception]:
    """Return whether the database is unavailable, so that the same statement makes sense later.

    It does not answer, is read-only, has no free connection or no space. The error is SQLAlchemy's.
    """
    return isinstance(error, OperationalError | InterfaceError | TimeoutError) or (
        isinstance(error, DBAPIError) and (error.connection_invalidated or is_lost(error))
    )


def is_full(error: BaseException | None) -> bool:
    """Return whether the error says that the disk of the database is full, or a quota is used up."""
    original = getattr(error, "orig", None) or error
    if isinstance(original, sqlite3.Error):
        return getattr(original, "sqlite_errorname", "") in ("SQLITE_FULL", "SQLITE_IOERR_WRITE")
    return sqlstate(error) == DISK_FULL


class Failures:
    """Remembers when a statement of this process last failed for lack of space."""

    def __init__(self) -> None:
        self._full_at = float("-inf")

    def note(self, error: BaseException | None) -> None:
        """Note an error of a statement."""
        if is_full(error):
            self._full_at = time.monotonic()

    def full_within(self, seconds: float) -> bool:
        """Return whether a statement failed for lack of space within so many seconds."""
        return time.monotonic() - self._full_at < seconds

    def clear(self) -> None:
        """Forget the last failure, for tests."""
        self._full_at = float("-inf")


failures = Failures()
