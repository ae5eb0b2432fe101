"""Queue statistics: backlog, age and throughput of each actor. Every count is bounded by COUNT_LIMIT."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import func, literal, select, union_all
from sqlalchemy.orm import Session

from db.models import ARRIVED_AT, Attempt, Job, Ticket
from db.statements import Prepared
from db.time import elapsed, from_now, now

#: Rows that are counted at most; a count of one more means "or more".
COUNT_LIMIT = 10_000
#: All priorities of jobs; an explicit list makes each a range of the index.
PRIORITIES = range(10)


@dataclass(frozen=True, slots=True)
class Backlog:
    """The jobs of one actor by state, counted up to COUNT_LIMIT."""

    available: int = 0
    queued: int = 0
    running: int = 0
    scheduled: int = 0
    retrying: int = 0
    #: Seconds since the oldest available or queued job became due.
    oldest_seconds: float = 0.0

    @property
    def open(self) -> int:
        return self.available + self.queued + self.running


def backlog(session: Session, actors: Collection[str]) -> dict[str, Backlog]:
    """Return the backlog of each actor; the cost does not grow with the number of jobs."""
    if not actors:
        return {}
    rows = _backlog(tuple(sorted(actors)))(session)
    return {
        row[0]: Backlog(row[1], row[2], row[3], row[4] - row[5], row[5], max(row[6] or 0.0, row[7] or 0.0))
        for row in rows
    }


@lru_cache(maxsize=16)
def _backlog(actors: tuple[str, ...]) -> Prepared:
    # takes longer to build for a dozen actors than to run
    return Prepared(lambda _session: union_all(*[_counts(actor) for actor in actors]))


def _counts(actor: str) -> Any:
    own = Job.actor == actor
    unhinted = (own, Job.lease.is_(None), Job.hinted_at.is_(None), Job.priority.in_(PRIORITIES))
    hinted = (own, Job.lease.is_(None), Job.hinted_at.is_not(None))
    queued = select(Job.due_at).where(*hinted).order_by(Job.hinted_at)
    # the order makes PostgreSQL use the index
    available = select(Job.due_at).where(*unhinted, Job.due_at <= now()).order_by(Job.priority, Job.due_at)
    later = select(Job.last_error).where(*unhinted, Job.due_at > now()).order_by(Job.priority, Job.due_at)
    oldest_by_priority = [
        select(Job.due_at)
        .where(own, Job.lease.is_(None), Job.hinted_at.is_(None), Job.priority == priority, Job.due_at <= now())
        .order_by(Job.due_at)
        .limit(1)
        .subquery()
        for priority in PRIORITIES
    ]
    oldest = select(func.min(union_all(*[select(each.c.due_at) for each in oldest_by_priority]).subquery().c.due_at))
    return select(
        literal(actor),
        bounded_count(available),
        bounded_count(queued),
        bounded_count(select(Job.id).where(own, Job.lease.is_not(None))),
        bounded_count(later),
        select(func.count(later.limit(COUNT_LIMIT + 1).subquery().c.last_error)).scalar_subquery(),
        elapsed(oldest.scalar_subquery()),
        elapsed(queued.limit(1).scalar_subquery()),
    )


@dataclass(frozen=True, slots=True)
class Unfinished:
    """Tickets of one stage whose run is unfinished, among the oldest COUNT_LIMIT, and the age of the oldest in seconds."""

    tickets: int
    oldest_seconds: float


def unfinished(session: Session) -> dict[str, Unfinished]:
    """Return unfinished tickets by stage; the cost does not grow with the number of tickets."""
    oldest = select(Ticket.stage, ARRIVED_AT.label("arrived_at")).where(Ticket.notified_at.is_(None))
    tickets = oldest.order_by(Ticket.created_at).limit(COUNT_LIMIT).subquery()
    rows = session.execute(
        select(tickets.c.stage, func.count(), elapsed(func.min(tickets.c.arrived_at))).group_by(tickets.c.stage)
    )
    return {row[0]: Unfinished(row[1], row[2]) for row in rows}


def bounded_count(rows: Any, limit: int = COUNT_LIMIT) -> Any:
    """Return a scalar subquery that counts the rows of a SELECT up to `limit` + 1."""
    return select(func.count()).select_from(rows.limit(limit + 1).subquery()).scalar_subquery()


@dataclass(frozen=True, slots=True)
class Rate:
    """Jobs of one actor per minute."""

    completed: float = 0.0
    failed: float = 0.0


def rates(session: Session, seconds: float = 60.0) -> dict[str, Rate]:
    """Return the rate of each actor over the last seconds, by at most the newest COUNT_LIMIT attempts."""
    newest = select(Attempt.actor, Attempt.outcome, Attempt.created_at).order_by(Attempt.id.desc()).limit(COUNT_LIMIT)
    attempts = newest.subquery().c
    recent = select(
        attempts.actor, attempts.outcome, func.count().label("jobs"), func.min(attempts.created_at).label("first")
    ).where(attempts.created_at >= from_now(-seconds))
    rows = session.execute(recent.group_by(attempts.actor, attempts.outcome)).all()
    if not rows:
        return {}
    # with more attempts than the limit, the counted ones cover a shorter time
    span = min(seconds, _since(session, min(row.first for row in rows))) if _full(rows) else seconds
    minute = 60.0 / max(span, 1.0)
    completed = {row.actor: row.jobs for row in rows if row.outcome == "completed"}
    failed: dict[str, int] = {}
    for row in rows:
        if row.outcome != "completed":
            failed[row.actor] = failed.get(row.actor, 0) + row.jobs
    return {
        actor: Rate(completed.get(actor, 0) * minute, failed.get(actor, 0) * minute)
        for actor in completed.keys() | failed.keys()
    }


def _full(rows: Collection[Any]) -> bool:
    return bool(sum(row.jobs for row in rows) >= COUNT_LIMIT)


def _since(session: Session, moment: datetime) -> float:
    return float(session.scalar(select(elapsed(literal(moment, Attempt.created_at.type)))) or 0.0)
