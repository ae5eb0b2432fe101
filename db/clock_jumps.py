"""Clock jumps: times that the database wrote before its clock went back, such as after a failover to a server that is behind.

Jobs that were due would wait until the former time, lost hints would not be found, and a dead worker would look alive.
`db.fence` detects a jump; a relay calls `correct` in the same transaction.
"""

from __future__ import annotations

from typing import Any

import structlog
from sqlalchemy import case, func, insert, select, update
from sqlalchemy.orm import Session

from db.fence import CLOCK_BACK
from db.models import Attempt, AuditEntry, Job, Worker
from db.statements import table
from db.time import elapsed, from_now, now

logger = structlog.get_logger("aura.database")

#: Seconds that a time may be later than now, without a jump: of statements that overlap.
TOLERANCE = 2.0

_c, _a, _w = table(Job).c, table(Attempt).c, table(Worker).c


def correct(session: Session, seconds: float) -> int:
    """Set times that are later than now to now, and note the jump by so many seconds. Returns the number of changed jobs.

    A job that was enqueued, or whose last attempt failed, at a later time than now keeps its delay. One that waits since
    an earlier time keeps its due time.
    """
    entry = {"who": "aura", "action": CLOCK_BACK, "subject": "database", "details": {"seconds": round(seconds, 1)}}
    session.execute(insert(AuditEntry).values(entry))
    changed = _correct_retrying(session) + _correct_enqueued(session)
    later = from_now(TOLERANCE)
    was_due = case((_c.lease.is_(None) & (_c.due_at > now()), now()), else_=_c.due_at)
    session.execute(update(table(Job)).where(_c.hinted_at > later).values(hinted_at=now(), due_at=was_due))
    session.execute(update(table(Worker)).where(_w.heartbeat_at > later).values(heartbeat_at=now()))
    logger.warning("the clock of the database went back", seconds=round(seconds, 1), jobs=changed)
    return changed


def _correct_enqueued(session: Session) -> int:
    enqueued = update(table(Job)).where(_c.created_at > from_now(TOLERANCE))
    return _rows(session, enqueued.values(due_at=_same_delay(_c.created_at), created_at=now()))


def _correct_retrying(session: Session) -> int:
    """Correct jobs with an attempt that ended later than now: the attempt is recorded when the delay begins."""
    later = _a.created_at > from_now(TOLERANCE)
    last = select(_a.job_id, func.max(_a.created_at).label("ended_at")).where(later).group_by(_a.job_id).subquery()
    tried = update(table(Job)).where(_c.id == last.c.job_id)
    created = case((_c.created_at > now(), now()), else_=_c.created_at)
    changed = _rows(session, tried.values(due_at=_same_delay(last.c.ended_at), created_at=created))
    if changed:  # else a second jump would shorten the delay
        present = select(_c.id).where(_c.attempts > 0)
        session.execute(update(table(Attempt)).where(later, _a.job_id.in_(present)).values(created_at=now()))
    return changed


def _same_delay(since: Any) -> Any:
    """Return the due time that is as long after now as it was after `since`."""
    return from_now(elapsed(since) - elapsed(_c.due_at))


def _rows(session: Session, statement: Any) -> int:
    result: Any = session.execute(statement)
    return int(result.rowcount)


def future_jobs(session: Session) -> int:
    """Return the number of jobs without an attempt that were enqueued later than now."""
    ahead = select(func.count()).select_from(table(Job)).where(_c.attempts == 0, _c.due_at > now())
    return session.scalar(ahead.where(_c.created_at > from_now(TOLERANCE))) or 0
