"""States of a job: enqueue -> hint -> claim -> complete, retry or dead-letter; every move is one guarded statement.

    available --hint--> queued --claim--> running --complete--> deleted (the next step is enqueued in the same transaction)
        ^                 |                 |------retry------> due again, later
        |                 | (hint lost)     |--dead_letter----> dead letter
        +-----------------+-----------------+ (worker died, or released)

Every function takes the caller's session and commits nothing. Time is the database's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    ColumnElement,
    Float,
    String,
    and_,
    bindparam,
    case,
    cast,
    column,
    delete,
    func,
    insert,
    literal,
    or_,
    select,
    update,
)
from sqlalchemy.orm import Session

from db import traces
from db.database import after_commit
from db.hints import SUSPECT_AFTER
from db.models import Attempt, DeadLetter, Job
from db.statements import BulkInsert, Prepared, dialect_name, in_list, in_subquery, on_postgresql, table
from db.time import elapsed, from_now, now

#: The PostgreSQL channel on which relays are notified of new jobs.
CHANNEL = "aura_jobs"
#: Characters of the longest error text that is stored.
ERROR_LIMIT = 2000

#: Characters of the random part of a job's own lease, which ends with the id of the job; the column has room for 32.
OWN_LEASE_PREFIX = 12

#: Called in this process after each commit that enqueued jobs; wakes the embedded relay.
on_enqueue: list[Callable[[], None]] = []


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job to enqueue; `delay` in seconds, `priority` 0 to 9, higher first."""

    actor: str
    key: str
    args: list[Any] = field(default_factory=list)
    pipeline: str = ""
    next_steps: tuple[str, ...] = ()
    priority: int = 0
    delay: float = 0.0
    replays: int = 0
    #: The span that the job belongs to; by default the one in which it is enqueued.
    traceparent: str | None = None
    #: Source and requester of the ticket (`db.fair_shares`); 0: none.
    share: int = 0


@dataclass(frozen=True, slots=True)
class Claimed:
    """A job under a lease of the caller."""

    id: int
    actor: str
    key: str
    args: list[Any]
    pipeline: str
    next_steps: tuple[str, ...]
    priority: int
    attempts: int
    replays: int = 0
    traceparent: str | None = None
    #: Seconds from its due time until its claim.
    waited: float = 0.0
    share: int = 0


@dataclass(frozen=True, slots=True)
class Failure:
    """The error of a failed attempt; `traceback` and `fingerprint` are for the dead letter."""

    error_type: str
    error: str
    traceback: str
    fingerprint: str


class LocalDispatcher(Protocol):
    """A worker that leases jobs in the transaction that enqueues them, without a hint."""

    worker: str

    def lease(self, session: Session, job: NewJob) -> str | None:
        """Return the lease under which to insert the job, or None to leave it to the relay."""

    def add(self, lease: str, job: Claimed) -> None:
        """Note that the job is leased to the worker once the transaction has committed."""


def enqueue(session: Session, new_jobs: Iterable[NewJob]) -> None:
    """Insert the jobs as part of the caller's transaction, and wake the relay when it commits.

    A second job for the same (actor, key, pipeline) merges with the first: the higher priority, the earlier due time, and one
    more run if the first is running. So a wake-up is never lost and no job is doubled. A new job may be leased at once to the
    transaction's local dispatcher (see `dispatch_locally`).
    """
    # one row per identity, in a fixed order: PostgreSQL refuses to touch a row twice, and order prevents deadlocks
    merged: dict[tuple[str, str, str], NewJob] = {}
    for new in new_jobs:
        identity = (new.actor, new.key, new.pipeline)
        old = merged.setdefault(identity, new)
        merged[identity] = replace(
            old,
            priority=max(old.priority, new.priority),
            delay=min(old.delay, new.delay),
            replays=max(old.replays, new.replays),
        )
    dispatcher: LocalDispatcher | None = session.info.get("local_dispatcher")
    unleased: list[dict[str, Any]] = []
    leased: list[dict[str, Any]] = []
    local: set[tuple[str, str, str]] = session.info.setdefault("dispatched_locally", set())
    for identity, each in sorted(merged.items()):
        if identity in local:
            continue  # leased in this very transaction: its run begins after it
        lease = dispatcher.lease(session, each) if dispatcher is not None else None
        (unleased if lease is None else leased).append(_row(each, lease, dispatcher.worker if dispatcher else None))
    if unleased:
        _ENQUEUE(session, unleased)
        wake_relay(session)
    if leased and dispatcher is not None:
        leases = {row["lease"] for row in leased}
        for row in sorted(_ENQUEUE_LEASED(session, leased)):
            if row.lease in leases:
                local.add((row.actor, row.key, row.pipeline))
                dispatcher.add(row.lease, _claimed_locally(row.id, merged[row.actor, row.key, row.pipeline]))
            else:
                wake_relay(session)  # it merged with an earlier job, which may be due earlier now


def number_of(session: Session, actor: str, key: str, pipeline: str) -> int:
    """Return the id of a job that is enqueued."""
    c = table(Job).c
    return int(session.scalars(select(c.id).where(c.key == key, c.actor == actor, c.pipeline == pipeline)).one())


def dispatch_locally(session: Session, dispatcher: LocalDispatcher) -> None:
    """Offer the dispatcher every job that this transaction enqueues from here on."""
    session.info["local_dispatcher"] = dispatcher


def _row(each: NewJob, lease: str | None, worker: str | None) -> dict[str, Any]:
    return {
        "actor": each.actor,
        "key": each.key,
        "args": each.args,
        "pipeline": each.pipeline,
        "next_steps": each.next_steps,
        "priority": each.priority,
        "delay": each.delay,
        "replays": each.replays,
        "traceparent": _traceparent(each),
        "share": each.share,
        "lease": lease,
        "worker": worker,
    }


def _claimed_locally(job_id: int, each: NewJob) -> Claimed:
    return Claimed(
        job_id,
        each.actor,
        each.key,
        each.args,
        each.pipeline,
        each.next_steps,
        each.priority,
        1,
        each.replays,
        _traceparent(each),
        share=each.share,
    )


def _traceparent(each: NewJob) -> str | None:
    return each.traceparent or traces.current.get()


def _merge(statement: Any) -> Any:
    """Add to an INSERT of jobs how a second job of the same identity merges with the first."""
    old, new = table(Job).c, statement.excluded
    return statement.on_conflict_do_update(
        index_elements=["key", "actor", "pipeline"],
        set_={
            "priority": case((new.priority > old.priority, new.priority), else_=old.priority),
            # due_at of a running job is the time of its next run, if it has one
            "due_at": case(
                (old.lease.is_not(None) & old.rerun.is_(False), new.due_at),
                (new.due_at < old.due_at, new.due_at),
                else_=old.due_at,
            ),
            "rerun": case((old.lease.is_not(None), True), else_=old.rerun),
            "replays": case((new.replays > old.replays, new.replays), else_=old.replays),
        },
    )


_COLUMNS = ("actor", "key", "args", "pipeline", "next_steps", "priority", "replays", "traceparent", "share")
_ENQUEUE = BulkInsert(
    Job,
    _COLUMNS,
    inputs={"delay": Float()},
    computed=lambda new: {"due_at": from_now(new["delay"])},
    finish=_merge,
)
#: Leased to the worker that enqueues it, as if it had been hinted and claimed.
_ENQUEUE_LEASED = BulkInsert(
    Job,
    (*_COLUMNS, "lease", "worker"),
    computed=lambda _new: {"due_at": now(), "hinted_at": now(), "attempts": 1, "crashes": 1},
    finish=lambda statement: _merge(statement).returning(
        *(table(Job).c[name] for name in ("id", "actor", "key", "pipeline", "lease"))
    ),
)
_RECORD = insert(table(Attempt))


def wake_relay(session: Session) -> None:
    """Wake the relays when this transaction commits, wherever they run."""
    if dialect_name(session) == "postgresql" and "announced" not in session.info:
        session.info["announced"] = True
        session.connection().exec_driver_sql(f"NOTIFY {CHANNEL}")
    for wake in on_enqueue:
        after_commit(session, wake)


#: The values of a job that is free: no lease, no hint, no further run.
FREE: dict[str, Any] = {"lease": None, "worker": None, "hinted_at": None, "rerun": False}
#: The columns of a Claimed.
CLAIMED = (
    *(table(Job).c[name] for name in ("id", "actor", "key", "args", "pipeline", "next_steps", "priority")),
    *(table(Job).c[name] for name in ("attempts", "replays", "traceparent")),
    elapsed(table(Job).c.due_at).label("waited"),
    table(Job).c.share,
)


def claimed_from(row: Any) -> Claimed:
    """Return the job of a row that has the columns CLAIMED."""
    return Claimed(
        row.id,
        row.actor,
        row.key,
        row.args,
        row.pipeline,
        tuple(row.next_steps),
        row.priority,
        row.attempts,
        row.replays,
        row.traceparent,
        row.waited,
        row.share,
    )


def claim(
    session: Session,
    actor: str,
    ids: Sequence[int],
    lease: str,
    worker: str,
    most: int | None = None,
    own_leases: bool = False,
) -> list[Claimed]:
    """Lease those jobs that are due and free, at most `most`; a duplicate, forged or early hint leases nothing.

    With `own_leases` each job gets a lease of its own, `own_lease(lease, id)`.
    """
    most = len(ids) if most is None else most
    # a job that crashed a worker is claimed alone: a hint from before the crash must not endanger the others; and one that
    # crashed two only in its turn (see `db.hints`): the broker delivers hints of the dead worker to another one
    alone = min(most, len(ids)) == 1
    claim = _CLAIM_EACH if own_leases else _CLAIM
    rows = claim(session, ids=list(ids), whose=actor, under=lease, by=worker, alone=alone, most=most)
    return sorted(map(claimed_from, rows), key=lambda job: job.id)


def own_lease(prefix: str, job_id: int) -> str:
    """Return the lease that a job has of its own; with a prefix of OWN_LEASE_PREFIX characters it fits into the column."""
    return f"{prefix}-{job_id}"


def _claim(session: Session, own_leases: bool = False) -> Any:
    c = table(Job).c
    under: ColumnElement[str] = bindparam("under", type_=String)
    if own_leases:
        under = under + "-" + cast(c.id, String)
    in_turn = or_(c.crashes < SUSPECT_AFTER, c.hinted_at.is_not(None))
    allowed = or_(c.crashes == 0, and_(bindparam("alone", type_=Boolean), in_turn))
    free = (c.actor == bindparam("whose"), c.lease.is_(None), c.due_at <= now(), allowed)
    # locked in id order, so that two claims of overlapping hints cannot deadlock
    locked = select(c.id).where(in_list(session, c.id, "ids"), *free).order_by(c.id).limit(bindparam("most"))
    leased = update(table(Job)).where(in_subquery(session, c.id, locked.with_for_update()), *free)
    leased = leased.values(lease=under, worker=bindparam("by"))
    return leased.values(attempts=c.attempts + 1, crashes=c.crashes + 1).returning(*CLAIMED)


_CLAIM = Prepared(_claim)
_CLAIM_EACH = Prepared(lambda session: _claim(session, own_leases=True))


def held_by(lease: str) -> ColumnElement[bool]:
    """Return the condition that guards every change by a worker: the lease still holds the job."""
    return table(Job).c.lease == lease


def still_held(session: Session, lease: str, jobs: Iterable[Claimed]) -> list[Claimed]:
    """Lock and return those of the jobs that the lease still holds; a worker that lost its lease changes nothing."""
    jobs = list(jobs)
    c = table(Job).c
    leased = select(c.id).where(c.id.in_([job.id for job in jobs]), held_by(lease))
    held = set(session.scalars(leased.order_by(c.id).with_for_update()))
    return [job for job in jobs if job.id in held]


def complete(session: Session, lease: str, jobs: Sequence[Claimed], worker: str, seconds: float) -> list[Claimed]:
    """Delete the jobs that the lease still holds, record their attempts, and return them.

    A job that was enqueued again meanwhile stays for one more run. Must come first in its transaction: the effects that
    follow are those of the jobs returned.
    """
    ids = [job.id for job in jobs]
    completed = set(_COMPLETE(session, ids=ids, under=lease, by=worker, took=seconds).scalars())
    if dialect_name(session) == "sqlite":
        record_attempts(session, worker, "completed", seconds, [(job, None) for job in jobs if job.id in completed])
    if len(completed) < len(jobs):
        c = table(Job).c
        once_more = update(table(Job)).where(c.id.in_(ids), held_by(lease))
        once_more = once_more.values(**FREE, attempts=0, crashes=0, last_error=None)
        if rerun := set(session.scalars(once_more.returning(c.id))):
            record_attempts(session, worker, "completed", seconds, [(job, None) for job in jobs if job.id in rerun])
            completed |= rerun
            wake_relay(session)
    return [job for job in jobs if job.id in completed]


def complete_each(session: Session, done: Sequence[tuple[str, Claimed, float]], worker: str) -> set[str]:
    """Delete those of the jobs that their own lease still holds, and record their attempts. Returns these leases.

    `done` are leases with their job and the seconds of its attempt. Otherwise as `complete`.
    """
    if not on_postgresql(session):
        return {
            lease for lease, job, seconds in done if complete(session, lease, [job], worker, seconds)
        }  # one process at a time writes there: its own transaction is the only one
    completed = _complete_all(session, done, worker)
    if len(completed) < len(done):
        # enqueued again meanwhile, or the lease is lost
        for lease, job, seconds in done:
            if lease not in completed and complete(session, lease, [job], worker, seconds):
                completed.add(lease)
    return completed


def _complete_all(session: Session, done: Sequence[tuple[str, Claimed, float]], worker: str) -> set[str]:
    leases, jobs, seconds = zip(*done, strict=True)
    ids = [job.id for job in jobs]
    return set(_COMPLETE_EACH(session, ids=ids, leases=list(leases), took=list(seconds), by=worker).scalars())


def _complete_each(_session: Session) -> Any:
    c = table(Job).c
    done = func.unnest(
        bindparam("ids", type_=ARRAY(BigInteger)),
        bindparam("leases", type_=ARRAY(String)),
        bindparam("took", type_=ARRAY(Float)),
    ).table_valued(column("id", BigInteger), column("lease", String), column("seconds", Float), name="done")
    done = done.render_derived()
    gone = delete(table(Job)).where(c.id == done.c.id, c.lease == done.c.lease, c.rerun.is_(False))
    completed = gone.returning(
        c.id, c.actor, c.key, c.pipeline, c.attempts, c.lease.label("held"), done.c.seconds.label("took_seconds")
    ).cte("completed")
    return select(completed.c.held).add_cte(_ledger(completed, completed.c.took_seconds))


_COMPLETE_EACH = Prepared(_complete_each)


def _complete(session: Session) -> Any:
    c = table(Job).c
    done = delete(table(Job)).where(in_list(session, c.id, "ids"), c.lease == bindparam("under"), c.rerun.is_(False))
    if not on_postgresql(session):  # SQLite deletes nothing inside another statement
        return done.returning(c.id)
    completed = done.returning(c.id, c.actor, c.key, c.pipeline, c.attempts).cte("completed")
    return select(completed.c.id).add_cte(_ledger(completed, bindparam("took", type_=Float)))


def _ledger(completed: Any, seconds: Any) -> Any:
    """Return the insertion of the attempts of completed jobs, as a part of the statement that deletes the jobs."""
    values = {
        "job_id": completed.c.id,
        "actor": completed.c.actor,
        "key": completed.c.key,
        "pipeline": completed.c.pipeline,
        "number": completed.c.attempts,
        "worker": bindparam("by", type_=String),
        "outcome": literal("completed"),
        "seconds": seconds,
    }
    return insert(table(Attempt)).from_select(list(values), select(*values.values())).cte("ledger")


_COMPLETE = Prepared(_complete)


def retry(session: Session, failed: Sequence[tuple[Claimed, Failure, float]]) -> None:
    """Make each job due again after its delay in seconds, with its number of attempts; a failure is no crash."""
    for job, failure, delay in failed:
        session.execute(
            update(Job)
            .where(Job.id == job.id)
            .values(
                **FREE,
                due_at=from_now(delay),
                attempts=job.attempts,
                crashes=0,
                last_error=f"{failure.error_type}: {failure.error}"[:ERROR_LIMIT],
            )
        )
    wake_relay(session)


def dead_letter(session: Session, failed: Sequence[tuple[Claimed, Failure]]) -> None:
    """Move each job to the dead letters, with everything needed to replay it.

    A job that was enqueued again meanwhile stays for one more run.
    """
    if not failed:
        return
    session.execute(
        insert(DeadLetter),
        [
            {
                "job_id": job.id,
                "actor": job.actor,
                "key": job.key,
                "args": job.args,
                "pipeline": job.pipeline,
                "next_steps": list(job.next_steps),
                "priority": job.priority,
                "attempts": job.attempts,
                "replays": job.replays,
                "error_type": failure.error_type,
                "error": failure.error[:ERROR_LIMIT],
                "traceback": failure.traceback,
                "fingerprint": failure.fingerprint,
            }
            for job, failure in failed
        ],
    )
    c = table(Job).c
    dead = c.id.in_([job.id for job, _ in failed])
    session.execute(delete(table(Job)).where(dead, c.rerun.is_(False)))
    once_more = update(table(Job)).where(dead).values(**FREE, attempts=0, crashes=0, last_error=None)
    if session.scalars(once_more.returning(c.id)).all():
        wake_relay(session)


def record_attempts(
    session: Session, worker: str, outcome: str, seconds: float, tried: Sequence[tuple[Claimed, str | None]]
) -> None:
    """Insert one row of `attempts` for each job, with its error if it had one."""
    if tried:
        session.execute(
            _RECORD,
            [
                {
                    "job_id": job.id,
                    "actor": job.actor,
                    "key": job.key,
                    "pipeline": job.pipeline,
                    "number": job.attempts,
                    "worker": worker,
                    "outcome": outcome,
                    "error": error[:ERROR_LIMIT] if error else None,
                    "seconds": seconds,
                }
                for job, error in tried
            ],
        )
