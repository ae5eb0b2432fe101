"""The life of a job: promise -> hint -> claim -> keep, retry or bury; every move is one guarded statement.

    due ----hint---> hinted ----claim---> leased ----keep----> gone (the next step is promised in the same transaction)
     ^                  |                   |------retry---> due again, later
     |                  | (hint lost)       |------bury----> dead letter
     +------------------+-------------------+ (worker died, or handed back)

Every function takes the caller's session and commits nothing. Time is the database's.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import ColumnElement, case, delete, func, insert, select, text, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.orm import Session

from db.models import Attempt, DeadLetter, Job, Worker
from db.sessions import after_commit
from db.time import from_now, now

#: The PostgreSQL channel that tells relays of a new promise.
CHANNEL = "aura_jobs"
#: Crashes after which a job is quarantined as a dead letter.
QUARANTINE_AFTER = 3
#: The longest error text that is kept, in characters.
ERROR_LIMIT = 2000

#: Called in this process after each commit that promised something: the embedded relay listens here.
on_promise: list[Callable[[], None]] = []


@dataclass(frozen=True, slots=True)
class Promise:
    """One piece of work for one actor; `delay` in seconds, `priority` 0 to 9, higher first."""

    actor: str
    key: str
    args: list[Any] = field(default_factory=list)
    pipeline: str = ""
    then: tuple[str, ...] = ()
    priority: int = 0
    delay: float = 0.0


@dataclass(frozen=True, slots=True)
class Claimed:
    """A job that we hold the lease of."""

    id: int
    actor: str
    key: str
    args: list[Any]
    pipeline: str
    then: tuple[str, ...]
    priority: int
    attempts: int


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a job did not succeed this time; `traceback` and `fingerprint` are for the dead letter."""

    error_type: str
    error: str
    traceback: str
    fingerprint: str


def upsert(session: Session, model: Any) -> Any:
    """Return an INSERT that knows ON CONFLICT, in the dialect of the session."""
    return (postgresql_insert if session.get_bind().dialect.name == "postgresql" else sqlite_insert)(model)


def promise(session: Session, promises: Iterable[Promise]) -> None:
    """Insert the jobs as part of the caller's transaction and wake the relay when it commits.

    A second promise for the same (actor, key, pipeline) merges into the first: the higher priority, the earlier due
    time, and one more run if it is running just now. So a wake-up is never lost and work is never doubled.
    """
    # one row per identity, in a fixed order: PostgreSQL refuses to touch a row twice, and order prevents deadlocks
    merged: dict[tuple[str, str, str], Promise] = {}
    for new in promises:
        identity = (new.actor, new.key, new.pipeline)
        old = merged.setdefault(identity, new)
        merged[identity] = replace(old, priority=max(old.priority, new.priority), delay=min(old.delay, new.delay))
    if not merged:
        return
    rows = [
        {
            "actor": p.actor,
            "key": p.key,
            "args": p.args,
            "pipeline": p.pipeline,
            "then": list(p.then),
            "priority": p.priority,
            "due_at": from_now(p.delay) if p.delay else now(),
        }
        for _, p in sorted(merged.items())
    ]
    for start in range(0, len(rows), 500):  # SQLite takes 32,766 parameters a statement
        statement = upsert(session, Job).values(rows[start : start + 500])
        new_row = statement.excluded
        session.execute(
            statement.on_conflict_do_update(
                index_elements=["actor", "key", "pipeline"],
                set_={
                    "priority": case((new_row.priority > Job.priority, new_row.priority), else_=Job.priority),
                    # of a job that is running, due_at is the time of its next run, if it has one
                    "due_at": case(
                        (Job.lease.is_not(None) & Job.again.is_(False), new_row.due_at),
                        (new_row.due_at < Job.due_at, new_row.due_at),
                        else_=Job.due_at,
                    ),
                    "again": case((Job.lease.is_not(None), True), else_=Job.again),
                },
            )
        )
    announce(session)


def announce(session: Session) -> None:
    """Wake the relays when this transaction commits, wherever they run."""
    if session.get_bind().dialect.name == "postgresql" and "announced" not in session.info:
        session.info["announced"] = True
        session.execute(text(f"SELECT pg_notify('{CHANNEL}', '')"))
    for wake in on_promise:
        after_commit(session, wake)


def due(session: Session, actor: str, limit: int) -> list[tuple[int, int, int]]:
    """Lock and return up to `limit` due, un-hinted jobs as (id, priority, attempts), most urgent first."""
    rows = session.execute(
        select(Job.id, Job.priority, Job.attempts)
        .where(Job.actor == actor, Job.hinted_at.is_(None), Job.lease.is_(None), Job.due_at <= now())
        .order_by(Job.priority.desc(), Job.due_at, Job.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return [(row.id, row.priority, row.attempts) for row in rows]


def due_actors(session: Session) -> set[str]:
    """Return the actors that have due, un-hinted jobs."""
    waiting = select(Job.actor).where(Job.hinted_at.is_(None), Job.lease.is_(None), Job.due_at <= now()).distinct()
    return set(session.scalars(waiting))


def hinted(session: Session, older_than: float = 0.0) -> dict[str, int]:
    """Return how many hinted, unclaimed jobs each actor has (what waits inside the broker), by age in seconds."""
    waiting = select(Job.actor, func.count().label("jobs")).where(Job.hinted_at.is_not(None), Job.lease.is_(None))
    if older_than:
        waiting = waiting.where(Job.hinted_at < from_now(-older_than))
    return {row.actor: row.jobs for row in session.execute(waiting.group_by(Job.actor))}


def mark_hinted(session: Session, ids: Sequence[int]) -> None:
    """Record that the broker has confirmed hints for these jobs."""
    session.execute(update(Job).where(Job.id.in_(ids), Job.lease.is_(None)).values(hinted_at=now()))


def forget_hints(session: Session, actor: str | None = None, older_than: float = 0.0) -> int:
    """Make hinted, unclaimed jobs due again whose hints are lost; `older_than` in seconds. Returns how many."""
    lost: list[ColumnElement[bool]] = [Job.hinted_at.is_not(None), Job.lease.is_(None)]
    if actor is not None:
        lost += [Job.actor == actor]
    if older_than:
        lost += [Job.hinted_at < from_now(-older_than)]
    return _count(session, update(Job).where(*lost).values(hinted_at=None))


def claim(session: Session, actor: str, ids: Sequence[int], lease: str, worker: str) -> list[Claimed]:
    """Lease those of the jobs that are due and free; duplicates, forgeries and early hints get nothing."""
    free = (Job.actor == actor, Job.lease.is_(None), Job.due_at <= now())
    # locked in id order, so that two claims of overlapping hints cannot deadlock
    locked = select(Job.id).where(Job.id.in_(ids), *free).order_by(Job.id).with_for_update()
    statement = (
        update(Job)
        .where(Job.id.in_(locked.scalar_subquery()), *free)
        .values(lease=lease, worker=worker, attempts=Job.attempts + 1, crashes=Job.crashes + 1)
        .returning(Job.id, Job.actor, Job.key, Job.args, Job.pipeline, Job.then, Job.priority, Job.attempts)
        .execution_options(synchronize_session=False)
    )
    claimed = [
        Claimed(r.id, r.actor, r.key, r.args, r.pipeline, tuple(r.then), r.priority, r.attempts)
        for r in session.execute(statement)
    ]
    return sorted(claimed, key=lambda job: job.id)


def still_held(session: Session, lease: str, jobs: Iterable[Claimed]) -> list[Claimed]:
    """Lock and return those of the jobs that the lease still holds; a worker that lost its lease changes nothing."""
    mine = select(Job.id).where(Job.lease == lease).order_by(Job.id).with_for_update()
    held = set(session.scalars(mine))
    return [job for job in jobs if job.id in held]


def keep(session: Session, jobs: Sequence[Claimed]) -> None:
    """Delete the jobs that are done; one that was promised again meanwhile stays for one more run, due as promised."""
    ids = [job.id for job in jobs]
    session.execute(delete(Job).where(Job.id.in_(ids), Job.again.is_(False)))
    rerun = update(Job).where(Job.id.in_(ids), Job.again.is_(True))
    if _count(
        session,
        rerun.values(again=False, lease=None, worker=None, hinted_at=None, attempts=0, crashes=0, last_error=None),
    ):
        announce(session)


def retry(session: Session, failed: Sequence[tuple[Claimed, Failure, float]]) -> None:
    """Make each job due again after its delay in seconds; an orderly failure is no crash."""
    for job, failure, delay in failed:
        session.execute(
            update(Job)
            .where(Job.id == job.id)
            .values(
                lease=None,
                worker=None,
                hinted_at=None,
                again=False,
                due_at=from_now(delay),
                crashes=0,
                last_error=f"{failure.error_type}: {failure.error}"[:ERROR_LIMIT],
            )
        )
    announce(session)


def bury(session: Session, failed: Sequence[tuple[Claimed, Failure]]) -> None:
    """Move each job to the dead letters, with everything needed to replay it."""
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
                "then": list(job.then),
                "priority": job.priority,
                "attempts": job.attempts,
                "error_type": failure.error_type,
                "error": failure.error[:ERROR_LIMIT],
                "traceback": failure.traceback,
                "fingerprint": failure.fingerprint,
            }
            for job, failure in failed
        ],
    )
    session.execute(delete(Job).where(Job.id.in_([job.id for job, _ in failed])))


def record_attempts(
    session: Session, worker: str, outcome: str, seconds: float, tried: Sequence[tuple[Claimed, str | None]]
) -> None:
    """Write the ledger: one row per job tried, with its error if it had one."""
    if tried:
        session.execute(
            insert(Attempt),
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


def beat(session: Session, worker: str, name: str, kind: str = "worker") -> None:
    """Record that the process lives, at its boot and every few seconds after."""
    alive = upsert(session, Worker).values(id=worker, name=name, kind=kind, heartbeat_at=now())
    session.execute(alive.on_conflict_do_update(index_elements=["id"], set_={"heartbeat_at": now()}))


def leave(session: Session, worker: str) -> None:
    """Record that the worker has stopped in order, and hand back what it still held."""
    hand_back(session, worker, running=lambda: ())
    session.execute(delete(Worker).where(Worker.id == worker))


def hand_back(session: Session, worker: str, running: Callable[[], Collection[str]]) -> int:
    """Free the worker's leases except those it is running; an orderly return spends no attempt. Returns how many."""
    # The rows first, then what runs: a lease runs before its row says so. The other way round, one that is taken
    # between the two looks abandoned, and its work is done twice.
    leases = set(session.scalars(select(Job.lease).where(Job.worker == worker, Job.lease.is_not(None)).distinct()))
    abandoned = leases.difference(running())
    if not abandoned:
        return 0
    count = _count(
        session,
        update(Job)
        .where(Job.lease.in_(abandoned), Job.worker == worker)
        .values(
            lease=None,
            worker=None,
            hinted_at=None,
            again=False,
            due_at=now(),
            attempts=case((Job.attempts > 0, Job.attempts - 1), else_=0),
            crashes=case((Job.crashes > 0, Job.crashes - 1), else_=0),
        ),
    )
    if count:
        announce(session)
    return count


def recover(session: Session, dead_after: float) -> tuple[int, int]:
    """Free the jobs of dead workers, and quarantine those that crashed too many. Returns (freed, quarantined).

    A worker is dead when its heartbeat is older than `dead_after` seconds, or its row is gone.
    """
    living = select(Worker.id).where(Worker.heartbeat_at >= from_now(-dead_after))
    orphaned = (
        select(
            Job.id,
            Job.actor,
            Job.key,
            Job.args,
            Job.pipeline,
            Job.then,
            Job.priority,
            Job.attempts,
            Job.worker,
            Job.crashes,
        )
        .where(Job.lease.is_not(None), Job.worker.not_in(living))
        .order_by(Job.id)
        .limit(1000)
        .with_for_update(skip_locked=True)
    )
    freed: list[Claimed] = []
    suspects: list[tuple[Claimed, Failure]] = []
    workers: dict[int, str] = {}
    for r in session.execute(orphaned):
        job = Claimed(r.id, r.actor, r.key, r.args, r.pipeline, tuple(r.then), r.priority, r.attempts)
        workers[job.id] = r.worker
        if r.crashes >= QUARANTINE_AFTER:
            error = f"its worker died {r.crashes} times while running it"
            suspects.append((job, Failure("Quarantined", error, "", "quarantined")))
        else:
            freed.append(job)
    for job in freed:
        record_attempts(session, workers[job.id], "crashed", 0.0, [(job, "the worker died")])
    for job, failure in suspects:
        record_attempts(session, workers[job.id], "dead", 0.0, [(job, failure.error)])
    if freed:
        session.execute(
            update(Job)
            .where(Job.id.in_([job.id for job in freed]))
            .values(lease=None, worker=None, hinted_at=None, again=False, due_at=now(), last_error="the worker died")
        )
        announce(session)
    bury(session, suspects)
    session.execute(delete(Worker).where(Worker.heartbeat_at < from_now(-dead_after * 60)))
    return len(freed), len(suspects)


def _count(session: Session, statement: Any) -> int:
    result: Any = session.execute(statement.execution_options(synchronize_session=False))
    return int(result.rowcount)
