"""Clock jumps: times that the database wrote before its clock went back, such as after a failover to a server that is behind.

Jobs that were due would wait until the former time, lost hints would not be found, and a dead worker would look alive.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from db.models import Job, Worker
from db.statements import table
from db.time import elapsed, from_now, now

#: Seconds that a time may be later than now, without a jump: of statements that overlap.
TOLERANCE = 2.0

_c, _w = table(Job).c, table(Worker).c


def database_time(session: Session) -> float:
    """Return the seconds of the database's clock since an arbitrary moment."""
    found = session.scalar(select(now()))
    assert found is not None
    return float(found.timestamp())


def correct(session: Session) -> int:
    """Set times that are later than now to now. Returns the number of jobs that are due earlier by that.

    A job that was enqueued at a later time than now keeps its delay.
    """
    later = from_now(TOLERANCE)
    enqueued: Any = session.execute(
        update(table(Job))
        .where(_c.created_at > later)
        .values(due_at=from_now(elapsed(_c.created_at) - elapsed(_c.due_at)), created_at=now())
    )
    session.execute(update(table(Job)).where(_c.hinted_at > later).values(hinted_at=now()))
    session.execute(update(table(Worker)).where(_w.heartbeat_at > later).values(heartbeat_at=now()))
    return int(enqueued.rowcount)


def future_jobs(session: Session) -> int:
    """Return the number of jobs without an attempt that were enqueued later than now."""
    ahead = select(func.count()).select_from(table(Job)).where(_c.attempts == 0, _c.due_at > now())
    return session.scalar(ahead.where(_c.created_at > from_now(TOLERANCE))) or 0
