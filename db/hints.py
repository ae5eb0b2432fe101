"""Hints: finds due jobs, marks them as dispatched, and finds lost hints.

A job that crashed its worker more than once is a suspect: suspects are hinted one at a time, so that a job which kills
its worker again takes no other suspect with it, and only the guilty one comes to three crashes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Integer, Select, bindparam, cast, func, or_, select, true, update
from sqlalchemy.orm import Session

from db.models import Job, OutboxEvent
from db.statements import Prepared, in_subquery, table, unnest
from db.time import elapsed, from_now, now

#: The priorities of jobs, most urgent first.
PRIORITIES = range(9, -1, -1)
#: Crashes that make a job a suspect.
SUSPECT_AFTER = 2

_c = table(Job).c
_waiting = (_c.hinted_at.is_(None), _c.lease.is_(None), _c.due_at <= now())
#: The conditions of the due jobs of the actor `whose` with the priority `place`, and of jobs that are no suspects.
DUE = (_c.actor == bindparam("whose"), _c.priority == bindparam("place"), *_waiting)
NOT_SUSPECT = (_c.crashes < SUSPECT_AFTER,)


def due_buckets(session: Session, actors: Collection[str]) -> list[tuple[str, int]]:
    """Return the (actor, priority) with a due job, most urgent first.

    One probe of the index for each bucket: the cost does not grow with the backlog, nor with jobs that are due later.
    """
    probed = _BUCKETS(session, actors=sorted(actors), priorities=_PRIORITIES)
    return sorted(((row[0], row[1]) for row in probed if row[2]), key=lambda bucket: (-bucket[1], bucket[0]))


def _buckets(session: Session) -> Select[Any]:
    actor, priority = unnest(session, "actors"), unnest(session, "priorities")
    wanted = cast(priority.c.value, Integer)
    # ordered, though any row would do: else PostgreSQL reads the table, in vain for a bucket with no due job
    first = select(_c.id).where(_c.actor == actor.c.value, _c.priority == wanted, *_waiting)
    first = first.order_by(_c.due_at, _c.id).limit(1)
    # as a column, not as a condition: PostgreSQL would make a join of that, which reads the whole backlog
    probe = select(actor.c.value, wanted, first.scalar_subquery().is_not(None))
    return probe.select_from(actor.join(priority, true()))


def seconds_until_due(session: Session, actors: Collection[str]) -> float | None:
    """Return the seconds until the next job of these actors that is not dispatched is due; None if there is none."""
    return next_work(session, actors)[0]


def next_work(session: Session, actors: Collection[str]) -> tuple[float | None, bool]:
    """Return the seconds until the next job of these actors is due, or None, and whether an event waits, in one statement."""
    [[seconds, event]] = _NEXT_DUE(session, actors=sorted(actors), priorities=_PRIORITIES)
    return None if seconds is None else max(-float(seconds), 0.0), event is not None


def _next_due(session: Session) -> Select[Any]:
    actor, priority = unnest(session, "actors"), unnest(session, "priorities")
    free = (_c.actor == actor.c.value, _c.priority == cast(priority.c.value, Integer), *_waiting[:2])
    first = select(_c.due_at).where(*free).order_by(_c.due_at, _c.id).limit(1).scalar_subquery()
    probes = select(first.label("due_at")).select_from(actor.join(priority, true())).subquery("probes")
    event = select(table(OutboxEvent).c.id).limit(1).scalar_subquery()
    return select(elapsed(func.min(probes.c.due_at)), event)


_BUCKETS = Prepared(_buckets)
_NEXT_DUE = Prepared(_next_due)
_PRIORITIES = [str(priority) for priority in PRIORITIES]


def gathered(session: Session, actor: str, priority: int, jobs: int) -> tuple[bool, float]:
    """Return whether so many jobs of a bucket are due, and the seconds for which the oldest is due."""
    [row] = _GATHERED(session, whose=actor, place=priority, others=jobs - 1)
    return bool(row.enough), row.waited or 0.0


def _gathered(_session: Session) -> Any:
    due = select(_c.due_at).where(*DUE).order_by(_c.due_at, _c.id).limit(1)
    last = due.offset(bindparam("others")).scalar_subquery()
    return select(last.is_not(None).label("enough"), elapsed(due.scalar_subquery()).label("waited"))


_GATHERED = Prepared(_gathered)


class Dispatched(NamedTuple):
    """A dispatched job: whether it was tried before, the seconds for which it was due, and its share."""

    id: int
    tried: bool
    waited: float
    share: int = 0


def dispatch(session: Session, actor: str, priority: int, limit: int) -> list[Dispatched]:
    """Mark due jobs as dispatched, the longest due first, and return them.

    Other relays pass over them. The caller releases them when the broker does not confirm their hints.
    """
    return dispatched_rows(_DISPATCH(session, whose=actor, place=priority, limit=limit))


def dispatched_rows(rows: Iterable[Any]) -> list[Dispatched]:
    """Return the jobs of the rows that `mark` returns, interleaved."""
    return interleaved(Dispatched(row.id, row.attempts > 0, row.waited, row.share) for row in rows)


def interleaved(jobs: Iterable[Dispatched]) -> list[Dispatched]:
    """Return the jobs in the order of their hints: by id, the first of each share, then the second of each, and so on."""
    places: Counter[int] = Counter()
    ranked: list[tuple[int, Dispatched]] = []
    for job in sorted(jobs):
        ranked.append((places[job.share], job))
        places[job.share] += 1
    return [job for _, job in sorted(ranked)]


def _dispatch(session: Session) -> Any:
    due = select(_c.id).where(*DUE, *NOT_SUSPECT).order_by(_c.due_at, _c.id)
    return mark(in_subquery(session, _c.id, due.limit(bindparam("limit")).with_for_update(skip_locked=True)))


def dispatch_suspect(session: Session, actors: Collection[str]) -> tuple[int, str, int] | None:
    """Mark one suspect as dispatched unless another one is queued or running. Returns (id, actor, priority)."""
    # a claim counts as a crash until it ends in order: of a running suspect there is one more
    suspects = select(_c.id, _c.actor, _c.priority, _c.hinted_at, _c.lease, (_c.due_at <= now()).label("due")).where(
        _c.crashes > 1,
        or_(_c.crashes > SUSPECT_AFTER, _c.lease.is_(None)),
    )
    found = session.execute(suspects.order_by(_c.id).with_for_update()).all()
    if any(row.lease or row.hinted_at for row in found):
        return None
    for row in found:
        if row.due and row.actor in actors:
            session.execute(mark(_c.id == row.id))
            return row.id, row.actor, row.priority
    return None


def mark(chosen: ColumnElement[bool]) -> Any:
    """Return the statement that marks the chosen jobs as dispatched."""
    marked = update(table(Job)).where(chosen).values(hinted_at=now())
    return marked.returning(_c.id, _c.attempts, elapsed(_c.due_at).label("waited"), _c.share)


_DISPATCH = Prepared(_dispatch)


def in_flight(session: Session, older_than: float = 0.0) -> dict[str, int]:
    """Return the number of queued jobs of each actor: hinted, and not claimed for more than so many seconds."""
    found: Any = (
        session.execute(_inside.where(_c.hinted_at < from_now(-older_than))) if older_than else _INSIDE(session)
    )
    return {row.actor: row.jobs for row in found}


_inside = select(_c.actor, func.count().label("jobs")).group_by(_c.actor)
_inside = _inside.where(_c.hinted_at.is_not(None), _c.lease.is_(None))
_INSIDE = Prepared(lambda _session: _inside)


def running(session: Session) -> dict[str, int]:
    """Return the number of running jobs of each actor, on all workers."""
    leased = select(_c.actor, func.count().label("jobs")).where(_c.lease.is_not(None)).group_by(_c.actor)
    return {row.actor: row.jobs for row in session.execute(leased)}


def redispatch_lost(session: Session, actor: str | None = None, older_than: float = 0.0) -> int:
    """Make queued jobs due again, those hinted more than `older_than` seconds ago. Returns their number."""
    lost: list[ColumnElement[bool]] = [_c.hinted_at.is_not(None), _c.lease.is_(None)]
    if actor is not None:
        lost += [_c.actor == actor]
    if older_than:
        lost += [_c.hinted_at < from_now(-older_than)]
    return _count(session, lost)


def release(session: Session, ids: Collection[int]) -> int:
    """Make queued jobs due again, such as those of a paused queue. Returns their number."""
    return _count(session, [_c.id.in_(ids), _c.hinted_at.is_not(None), _c.lease.is_(None)])


def _count(session: Session, lost: list[ColumnElement[bool]]) -> int:
    result: Any = session.execute(update(table(Job)).where(*lost).values(hinted_at=None))
    return int(result.rowcount)


def enqueued(session: Session, actor: str, ids: Collection[int]) -> bool:
    """Return whether any of these jobs is enqueued for the actor."""
    return session.scalar(select(_c.id).where(_c.id.in_(ids), _c.actor == actor).limit(1)) is not None
