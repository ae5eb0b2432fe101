"""Queue controls: pauses a queue, limits its running jobs, cancels and retries jobs, and lists queues and jobs.

Every relay obeys them, and each change wakes the relays. Every function takes the caller's session and
commits nothing. A queue without a row is neither paused nor limited.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, and_, case, delete, func, insert, not_, or_, select, true, update
from sqlalchemy.orm import Session

from aura.errors import Conflict, InvalidInput, NotFound
from db.cancellation import cancel_notifications
from db.ids import is_id
from db.jobs import ERROR_LIMIT, wake_relay
from db.models import DeadLetter, Job, QueueControl
from db.statements import Prepared, table, upsert
from db.text import storable
from db.time import from_now, now

#: Days of the longest timed pause; a pause without a time lasts until the queue is resumed.
LONGEST_PAUSE = 366

#: The states of jobs; the first that holds is the job's state.
STATES: dict[str, ColumnElement[bool]] = {
    "running": Job.lease.is_not(None),
    "retrying": (Job.due_at > now()) & Job.last_error.is_not(None),
    "scheduled": Job.due_at > now(),
    "queued": Job.hinted_at.is_not(None),
    "available": true(),
}
_state = case(*[(holds, name) for name, holds in STATES.items()]).label("state")


class InvalidControl(InvalidInput):
    """A pause or a limit is out of range."""


class UnknownJob(NotFound):
    """There is no such job: it is completed, dead or cancelled, or it never existed."""


class NotRetrying(Conflict):
    """The job does not wait for another attempt; the message names its state."""


@dataclass(frozen=True, slots=True)
class Control:
    """The pause and the limit of a queue; an expired pause reads as not paused."""

    queue: str
    paused: bool = False
    #: When the pause ends by itself; None when it lasts until it is resumed.
    paused_until: datetime | None = None
    #: Most jobs that run at once, across all workers; None is no limit.
    limit: int | None = None
    #: Why it is paused.
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Cancelled:
    """A cancelled job, with the id of the discarded dead letter that records it."""

    job_id: int
    actor: str
    key: str
    was_running: bool
    dead_letter: int


class Retried(NamedTuple):
    """A job that was made due now."""

    job_id: int
    actor: str
    key: str


def pause(
    session: Session, queue: str, seconds: float | None = None, reason: str = "", *, shorten: bool = False
) -> None:
    """Pause the queue for some seconds, or until it is resumed.

    A longer pause stays as it is unless `shorten`: a provider's Retry-After must not end the pause of a person. Raises
    InvalidControl for a time that is not between 0 and LONGEST_PAUSE days.
    """
    if seconds is not None and not 0 < seconds <= LONGEST_PAUSE * 86_400:
        raise InvalidControl(
            f"a pause lasts more than 0 seconds and at most {LONGEST_PAUSE} days; without a time, until it is resumed"
        )
    values = {
        "paused": seconds is None,
        "paused_until": None if seconds is None else from_now(seconds),
        "reason": storable(reason)[:ERROR_LIMIT],
        "changed_at": now(),
    }
    statement = upsert(session, QueueControl).values(queue=queue, **values)
    until = QueueControl.paused_until
    longer = QueueControl.paused.is_(False) & or_(until.is_(None), until < statement.excluded.paused_until)
    session.execute(
        statement.on_conflict_do_update(
            index_elements=["queue"], set_=values, where=true() if shorten or seconds is None else longer
        )
    )
    wake_relay(session)


def resume(session: Session, queue: str) -> None:
    """End the queue's pause, if it has one; a limit stays."""
    paused = update(QueueControl).where(QueueControl.queue == queue)
    session.execute(paused.values(paused=False, paused_until=None, reason="", changed_at=now()))
    wake_relay(session)


def limit(session: Session, queue: str, jobs: int | None) -> None:
    """Let at most so many of the queue's jobs run at once across all workers; None removes the limit.

    Raises InvalidControl for less than 1.
    """
    if jobs is not None and not 1 <= jobs < 2**31:
        raise InvalidControl("a limit is at least 1; to stop a queue, pause it")
    values = {"job_limit": jobs, "changed_at": now()}
    statement = upsert(session, QueueControl).values(queue=queue, **values)
    session.execute(statement.on_conflict_do_update(index_elements=["queue"], set_=values))
    wake_relay(session)


def current(session: Session) -> dict[str, Control]:
    """Return the controls of each queue, by the database's clock; a queue without controls is missing."""
    found = {}
    for row in _CURRENT(session):
        until = row.paused_until if row.held and not row.paused else None
        found[row.queue] = Control(row.queue, bool(row.held), until, row.job_limit, row.reason if row.held else "")
    return found


_held = or_(QueueControl.paused, QueueControl.paused_until > now()).label("held")
_CURRENT = Prepared(lambda _session: select(*table(QueueControl).c, _held).order_by(QueueControl.queue))


def lock(session: Session) -> None:
    """Let one relay at a time count the room of limited queues, until its transaction ends."""
    limited = select(QueueControl.queue).where(QueueControl.job_limit.is_not(None)).order_by(QueueControl.queue)
    session.execute(limited.with_for_update())


def listing(session: Session, queue_of: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return each queue with its actors, the number of its jobs in each state, and its controls.

    `queue_of` is the queue of each actor. Jobs of an actor that is not in it stand under the queue None.
    """
    controls, queues = current(session), dict[str | None, dict[str, Any]]()

    def row(queue: str | None, actor: str | None = None) -> dict[str, Any]:
        held = controls.get(queue or "", Control(""))
        found = queues.setdefault(queue, {**asdict(held), "queue": queue, "actors": [], **dict.fromkeys(STATES, 0)})
        if actor is not None and actor not in found["actors"]:
            found["actors"].append(actor)
        return found

    for queue in sorted({*queue_of.values(), *controls}):
        row(queue)
    for actor, queue in sorted(queue_of.items()):
        row(queue, actor)
    counted = select(Job.actor, _state, func.count().label("jobs")).group_by(Job.actor, _state).order_by(Job.actor)
    for each in session.execute(counted):
        row(queue_of.get(each.actor), each.actor)[each.state] += each.jobs
    return list(queues.values())


def list_jobs(
    session: Session, *, actor: str | None = None, state: str | None = None, limit: int = 50
) -> list[dict[str, Any]]:
    """Return jobs, oldest first, each with its state, a key of STATES."""
    fields = (Job.id, Job.actor, Job.key, Job.pipeline, Job.priority, Job.due_at, Job.attempts, Job.last_error)
    oldest = select(_state, *fields).order_by(Job.id).limit(limit)
    if actor is not None:
        oldest = oldest.where(Job.actor == actor)
    if state is not None:
        # spelled out, so that an index can be used: this state holds, and none before it
        before = list(STATES)[: list(STATES).index(state)]
        oldest = oldest.where(and_(*[not_(STATES[name]) for name in before], STATES[state]))
    return [dict(row._mapping) for row in session.execute(oldest)]


def cancel(session: Session, job_id: int, reason: str) -> Cancelled:
    """Cancel a job, running or not. Raises UnknownJob.

    The row is deleted, so that a worker that runs it finds its lease lost and changes nothing. A discarded dead letter records
    the job; a forced replay enqueues it again.
    """
    found = _cancel(session, Job.id == job_id, reason) if is_id(job_id) else []
    if not found:
        raise UnknownJob(f"there is no job {job_id}: it is completed, dead or cancelled, or it never existed")
    return found[0]


def cancel_ticket(session: Session, ticket_id: int, reason: str) -> list[Cancelled]:
    """Cancel every job with the ticket's id as key; deliveries have other keys and stay. Raises UnknownJob."""
    found = _cancel(session, Job.key == str(ticket_id), reason)
    if not found:
        raise UnknownJob(f"ticket {ticket_id} has no jobs")
    return found


def cancel_actor(session: Session, actor: str, reason: str, limit: int) -> list[Cancelled]:
    """Cancel jobs of an actor, the oldest first, running or not. Raises UnknownJob."""
    oldest = select(Job.id).where(Job.actor == actor).order_by(Job.id).limit(limit)
    found = _cancel(session, Job.id.in_(session.scalars(oldest).all()), reason)
    if not found:
        raise UnknownJob(f"actor {actor} has no jobs")
    return found


def retry_now(session: Session, job_id: int) -> Retried:
    """Make a job that waits after a failed attempt due now. Raises UnknownJob, and NotRetrying for another state."""
    if not is_id(job_id):
        raise UnknownJob(f"there is no job {job_id}")
    if retried := _retry_now(session, Job.id == job_id):
        return retried[0]
    state = session.scalar(select(_state).where(Job.id == job_id))
    if state is None:
        raise UnknownJob(f"there is no job {job_id}: it is completed, dead or cancelled, or it never existed")
    raise NotRetrying(f"job {job_id} is {state}: only a job that waits after a failed attempt can be retried now")


def retry_many(session: Session, limit: int, actor: str | None = None, ticket_id: int | None = None) -> list[Retried]:
    """Make the jobs of an actor or a ticket due now that wait after a failed attempt, the oldest first."""
    oldest = select(Job.id).where(*_WAITS).order_by(Job.id).limit(limit)
    if actor is not None:
        oldest = oldest.where(Job.actor == actor)
    if ticket_id is not None:
        oldest = oldest.where(Job.key == str(ticket_id))
    return _retry_now(session, Job.id.in_(session.scalars(oldest).all()))


#: A job that waits for its next attempt.
_WAITS = (Job.lease.is_(None), STATES["retrying"])


def _retry_now(session: Session, chosen: ColumnElement[bool]) -> list[Retried]:
    # locked in id order, so that it cannot deadlock with a claim
    locked = select(Job.id).where(chosen, *_WAITS).order_by(Job.id).with_for_update().scalar_subquery()
    due = update(Job).where(Job.id.in_(locked), *_WAITS).values(due_at=now())
    rows = session.execute(due.returning(Job.id, Job.actor, Job.key).execution_options(synchronize_session=False)).all()
    if rows:
        wake_relay(session)
    return sorted(Retried(row.id, row.actor, row.key) for row in rows)


def _cancel(session: Session, chosen: ColumnElement[bool], reason: str) -> list[Cancelled]:
    reason = storable(reason)[:ERROR_LIMIT]
    copied = ("actor", "key", "args", "pipeline", "next_steps", "priority", "attempts", "replays")
    # locked in id order, so that it cannot deadlock with a claim
    locked = select(Job.id).where(chosen).order_by(Job.id).with_for_update().scalar_subquery()
    # deleting is the guard: of two cancels at once, or a cancel and a completion, one gets the row
    deleted = (
        delete(Job).where(Job.id.in_(locked)).returning(Job.id, Job.lease, *[getattr(Job, name) for name in copied])
    )
    cancelled = []
    rows = sorted(session.execute(deleted), key=lambda row: row.id)
    cancel_notifications(session, rows)
    for row in rows:
        letter = insert(DeadLetter).values(
            **{name: getattr(row, name) for name in copied},
            job_id=row.id,
            error_type="Cancelled",
            error=reason,
            fingerprint="cancelled",
            state="discarded",
            reason=f"cancelled: {reason}",
            resolved_at=now(),
        )
        letter_id = session.scalars(letter.returning(DeadLetter.id)).one()
        cancelled.append(Cancelled(row.id, row.actor, row.key, row.lease is not None, letter_id))
    if cancelled:
        wake_relay(session)  # a limited queue has room again
    return cancelled
