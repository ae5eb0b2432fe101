"""The fence: detects that the database was promoted or restored, and keeps numbers from being given twice.

After the promotion of a standby that lagged, or a restore from a backup, the last commits are gone and the sequences are back
at an earlier value. PostgreSQL starts a new timeline at a promotion and at a point-in-time recovery, and a restored dump is in
a server with another identifier. The row of the fence names the timeline and the server on which Aura wrote last. Each new
connection compares them before its first use; the first one on another timeline raises every sequence beyond the numbers that
may be given already. A relay raises the counter `beat` every few seconds, so a snapshot of the disk that was put back, which
keeps its timeline, shows as a counter that is lower than before, and a clock that went back shows as a time of the last beat
that is later than now. SQLite has the time alone.
"""

from __future__ import annotations

import json
import threading
from datetime import datetime
from typing import Any

import psycopg2
import structlog
from sqlalchemy import select, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from db.models import AuditEntry, DatabaseFence
from db.statements import on_postgresql, table, upsert
from db.time import elapsed, now

logger = structlog.get_logger("aura.database")

#: Actions of the audit log.
PROMOTED, RESTORED, WENT_BACK, CLOCK_BACK = (
    "database.promoted",
    "database.restored",
    "database.went_back",
    "database.clock_back",
)
ACTIONS = (PROMOTED, RESTORED, WENT_BACK, CLOCK_BACK)
#: Numbers that a sequence skips: so many, and so many for each second in which commits may be lost, up to a maximum. One
#: installation creates fewer tickets in a second.
SKIP, SKIP_EACH_SECOND, SKIP_MOST = 1_000, 1_000, 10_000_000
#: Seconds by which the clock may differ from that of the previous server.
CLOCK_TOLERANCE = 2.0

_TIMELINE = "CASE WHEN pg_is_in_recovery() THEN '' ELSE substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) END"
_POSITION = f"SELECT (SELECT system_identifier::text FROM pg_control_system()), {_TIMELINE}"
#: Where pg_control_system may not be called.
_POSITION_ALONE = f"SELECT '', {_TIMELINE}"
_LAST = "SELECT system, timeline FROM database_fence WHERE id = 1"
_ROW = """
SELECT system, timeline, extract(epoch FROM clock_timestamp() - beaten_at)::float8
FROM database_fence WHERE id = 1 FOR UPDATE
"""
_SET = """
INSERT INTO database_fence (id, system, timeline, beat, beaten_at) VALUES (1, %(system)s, %(timeline)s, 1, clock_timestamp())
ON CONFLICT (id) DO UPDATE SET system = %(system)s, timeline = %(timeline)s, beat = database_fence.beat + 1,
    beaten_at = greatest(database_fence.beaten_at, clock_timestamp())  -- later than now: the next beat sees the jump
"""
_RAISE = """
SELECT setval(format('%%I.%%I', schemaname, sequencename)::regclass, least(last_value + %(skip)s, max_value))
FROM pg_sequences WHERE schemaname = current_schema() AND last_value IS NOT NULL
"""
_AUDIT = """
INSERT INTO audit_log (at, who, action, subject, details)
VALUES (clock_timestamp(), 'aura', %(action)s, 'database', %(details)s)
"""
_BEAT = text("""
WITH former AS (SELECT beat, beaten_at FROM database_fence WHERE id = 1)
UPDATE database_fence SET beat = database_fence.beat + 1, beaten_at = clock_timestamp() FROM former WHERE id = 1
RETURNING current_database()::text AS database, database_fence.beat, database_fence.system, database_fence.timeline,
    extract(epoch FROM former.beaten_at - clock_timestamp())::float8 AS ahead
""")


Position = tuple[str, str]


class Fence:
    """What an engine knows of its database: the server and the timeline that the row named last."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._position: Position | None = None

    def check(self, raw: Any) -> None:
        """Compare a new connection of psycopg2, in autocommit mode, with the row. Raises psycopg2.OperationalError.

        On a standby, without the table, and on servers without these functions it does nothing.
        """
        try:
            position = _position(raw)
            if (
                not position[1]
                or position == self._position
                or not _row(raw, "SELECT to_regclass('database_fence')")[0]
            ):
                return
            with self._lock:
                if _row(raw, _LAST) != position:
                    raw.autocommit = False
                    with raw:
                        _move(raw, position)
                self._position = position
        except psycopg2.OperationalError:
            raise
        except psycopg2.Error as error:
            logger.warning("fence not checked", error=type(error).__name__)
        finally:
            if not raw.closed:
                raw.rollback()
                raw.autocommit = True


class Counter:
    """The last value of the counter that this process knows."""

    def __init__(self) -> None:
        self.beat = 0
        self._position: tuple[str, ...] = ()

    def step(self, session: Session) -> float:
        """Raise the counter, and skip numbers if it went back. Returns the seconds from now to the last beat."""
        raw = session.connection().connection.dbapi_connection
        row = session.execute(_BEAT).one_or_none()
        position = _position(raw)
        if row is None or (*position, row.database) != self._position:
            self.beat, self._position = 0, (*position, row.database if row else "")
        if row is None or (row.system, row.timeline) != position:
            _move(raw, position)  # no connection noticed it: a pooler kept them
            return row.ahead if row else 0.0
        if row.beat <= self.beat:
            _skip(raw, WENT_BACK, -row.ahead, {"beats": self.beat - row.beat + 1})
        self.beat = row.beat
        return float(row.ahead)


_counter = Counter()


def forget() -> None:
    """Forget the last value of the counter, as a new process does; for tests."""
    _counter.__init__()  # type: ignore[misc]


def beat(session: Session) -> float:
    """Raise the counter of the fence in the caller's transaction. Raises SQLAlchemyError.

    Returns the seconds by which the database's clock went back since the last beat; 0 if it did not.
    """
    try:
        ahead = _counter.step(session) if on_postgresql(session) else _step_sqlite(session)
    except psycopg2.Error as error:
        raise SQLAlchemyError(f"fence: {type(error).__name__}") from error
    return ahead if ahead > CLOCK_TOLERANCE else 0.0


def _step_sqlite(session: Session) -> float:
    """Store the time of this beat. Returns the seconds from now to the last one."""
    c = table(DatabaseFence).c
    age = session.scalar(select(elapsed(c.beaten_at)).where(c.id == 1))
    row = upsert(session, DatabaseFence).values(id=1, system="", timeline="", beat=1, beaten_at=now())
    session.execute(row.on_conflict_do_update(index_elements=["id"], set_={"beat": c.beat + 1, "beaten_at": now()}))
    return -(age or 0.0)


def events(session: Session, within: float) -> list[tuple[datetime, str, dict[str, Any]]]:
    """Return what happened within so many seconds, the newest first: time, action, details."""
    c = AuditEntry.__table__.c
    found = select(c.at, c.action, c.details).where(
        c.subject == "database", c.action.in_(ACTIONS), elapsed(c.at) < within
    )
    return [(row.at, row.action, row.details) for row in session.execute(found.order_by(c.id.desc()).limit(10))]


def last_event_age(session: Session, within: float = 7 * 86_400.0) -> float | None:
    """Return the seconds since the last promotion or restore within so many seconds, or None."""
    c = AuditEntry.__table__.c
    age = elapsed(c.at)
    lost = select(age).where(c.subject == "database", c.action.in_((PROMOTED, RESTORED, WENT_BACK)), age < within)
    return session.scalar(lost.order_by(c.id.desc()).limit(1))


def _move(raw: Any, position: Position) -> None:
    """Skip numbers if the row names another server or timeline, and write this one into it, in the open transaction."""
    with raw.cursor() as cursor:
        cursor.execute("SET LOCAL lock_timeout = '5s'")
        cursor.execute(_ROW)
        row = cursor.fetchone()
        if row is not None and row[:2] == position:
            return
        if row is not None:
            action = RESTORED if row[0] != position[0] else PROMOTED
            _skip(raw, action, row[2], {"timeline": f"{row[1]} -> {position[1]}"})
        cursor.execute(_SET, {"system": position[0], "timeline": position[1]})


def _skip(raw: Any, action: str, seconds: float, details: dict[str, Any]) -> None:
    """Raise all sequences by the numbers that may have been given in so many seconds, and note it."""
    seconds = abs(seconds)  # negative: the clock went back, too
    details = {
        **details,
        "seconds": round(seconds, 1),
        "skipped": SKIP + min(int(seconds * SKIP_EACH_SECOND), SKIP_MOST),
    }
    with raw.cursor() as cursor:
        cursor.execute(_RAISE, {"skip": details["skipped"]})
    _note(raw, action, details)
    logger.critical("the last commits may be missing, numbers are skipped", action=action, **details)


def _note(raw: Any, action: str, details: dict[str, Any]) -> None:
    with raw.cursor() as cursor:
        cursor.execute(_AUDIT, {"action": action, "details": json.dumps(details)})


def _position(raw: Any) -> Position:
    """Return identifier and timeline of the server; a standby has no timeline, and some servers hide the identifier."""
    outside = raw.autocommit
    if not outside:
        _execute(raw, "SAVEPOINT fence")
    try:
        return _row(raw, _POSITION)
    except psycopg2.ProgrammingError:
        if not outside:
            _execute(raw, "ROLLBACK TO SAVEPOINT fence")
        return _row(raw, _POSITION_ALONE)


def _row(raw: Any, query: str) -> tuple[Any, ...]:
    """Return the first row of a query; a pair of empty values without one."""
    with raw.cursor() as cursor:
        cursor.execute(query)
        return tuple(cursor.fetchone() or ("", ""))


def _execute(raw: Any, statement: str) -> None:
    with raw.cursor() as cursor:
        cursor.execute(statement)
