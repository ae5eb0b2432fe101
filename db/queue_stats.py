"""The flow: how much waits for each actor, for how long, and how fast it goes. Every count stops at MOST."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import func, literal, select, union_all
from sqlalchemy.orm import Session

from db.models import Attempt, Job, Ticket
from db.statements import Prepared
from db.time import elapsed, from_now, now

#: Most rows of a kind that are counted; one more says "and more".
MOST = 10_000
#: The priorities of jobs, spelt out so that each is a range of the index.
PRIORITIES = range(10)


@dataclass(frozen=True, slots=True)
class Backlog:
    """The jobs of one actor by state; each count stops at MOST."""

    available: int = 0
    queued: int = 0
    running: int = 0
    scheduled: int = 0
    retrying: int = 0
    #: Seconds that the oldest of those that nobody runs has been due.
    oldest: float = 0.0

    @property
    def open(self) -> int:
        return self.available + self.queued + self.running


def backlog(session: Session, actors: Collection[str]) -> dict[str, Backlog]:
    """Return what waits for each actor; the cost does not grow with the backlog."""
    if not actors:
        return {}
    rows = _waiting(tuple(sorted(actors)))(session)
    return {
        row[0]: Backlog(row[1], row[2], row[3], row[4] - row[5], row[5], max(row[6] or 0.0, row[7] or 0.0))
        for row in rows
    }


@lru_cache(maxsize=16)
def _waiting(actors: tuple[str, ...]) -> Prepared:
    # a dozen actors make a statement that takes longer to build than to run
    return Prepared(lambda _session: union_all(*[_counts(actor) for actor in actors]))


def _counts(actor: str) -> Any:
    mine = Job.actor == actor
    idle = (mine, Job.lease.is_(None), Job.hinted_at.is_(None), Job.priority.in_(PRIORITIES))
    hinted = (mine, Job.lease.is_(None), Job.hinted_at.is_not(None))
    by_hint = select(Job.due_at).where(*hinted).order_by(Job.hinted_at)
    # ordered, though any rows would do: or PostgreSQL reads the table instead
    due = select(Job.due_at).where(*idle, Job.due_at <= now()).order_by(Job.priority, Job.due_at)
    firsts = [
        select(Job.due_at)
        .where(mine, Job.lease.is_(None), Job.hinted_at.is_(None), Job.priority == priority, Job.due_at <= now())
        .order_by(Job.due_at)
        .limit(1)
        .subquery()
        for priority in PRIORITIES
    ]
    later = select(Job.last_error).where(*idle, Job.due_at > now()).order_by(Job.priority, Job.due_at)
    oldest = select(func.min(union_all(*[select(each.c.due_at) for each in firsts]).subquery().c.due_at))
    return select(
        literal(actor),
        counted(due),
        counted(by_hint),
        counted(select(Job.id).where(mine, Job.lease.is_not(None))),
        counted(later),
        select(func.count(later.limit(MOST + 1).subquery().c.last_error)).scalar_subquery(),
        elapsed(oldest.scalar_subquery()),
        elapsed(by_hint.limit(1).scalar_subquery()),
    )


@dataclass(frozen=True, slots=True)
class Unfinished:
    """The tickets of one stage whose journey is not finished, among the oldest MOST, and the age of the oldest."""

    tickets: int
    oldest: float


def unfinished(session: Session) -> dict[str, Unfinished]:
    """Return what is under way, by stage; the cost grows neither with the backlog nor with what is finished."""
    oldest = select(Ticket.stage, Ticket.created_at).where(Ticket.notified_at.is_(None))
    found = oldest.order_by(Ticket.created_at).limit(MOST).subquery()
    rows = session.execute(
        select(found.c.stage, func.count(), elapsed(func.min(found.c.created_at))).group_by(found.c.stage)
    )
    return {row[0]: Unfinished(row[1], row[2]) for row in rows}


def counted(chosen: Any, most: int = MOST) -> Any:
    """Return the number of rows chosen as a column, counted up to `most` and one."""
    return select(func.count()).select_from(chosen.limit(most + 1).subquery()).scalar_subquery()


@dataclass(frozen=True, slots=True)
class Rate:
    """Jobs of one actor a minute, kept and failed, by the newest entries of the ledger."""

    completed: float = 0.0
    failed: float = 0.0


def rates(session: Session, seconds: float = 60.0) -> dict[str, Rate]:
    """Return how many jobs of each actor a minute were kept and failed, over the last seconds or the last MOST entries."""
    newest = select(Attempt.actor, Attempt.outcome, Attempt.created_at).order_by(Attempt.id.desc()).limit(MOST)
    found = newest.subquery()
    recent = select(
        found.c.actor, found.c.outcome, func.count().label("jobs"), func.min(found.c.created_at).label("first")
    ).where(found.c.created_at >= from_now(-seconds))
    rows = session.execute(recent.group_by(found.c.actor, found.c.outcome)).all()
    if not rows:
        return {}
    # when the ledger was cut short, what was counted took less time
    span = min(seconds, _since(session, min(row.first for row in rows))) if _full(rows) else seconds
    minute = 60.0 / max(span, 1.0)
    kept = {row.actor: row.jobs for row in rows if row.outcome == "completed"}
    failed: dict[str, int] = {}
    for row in rows:
        if row.outcome != "completed":
            failed[row.actor] = failed.get(row.actor, 0) + row.jobs
    return {
        actor: Rate(kept.get(actor, 0) * minute, failed.get(actor, 0) * minute) for actor in kept.keys() | failed.keys()
    }


def _full(rows: Collection[Any]) -> bool:
    return bool(sum(row.jobs for row in rows) >= MOST)


def _since(session: Session, moment: datetime) -> float:
    return float(session.scalar(select(elapsed(literal(moment, Attempt.created_at.type)))) or 0.0)
