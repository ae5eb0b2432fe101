"""Workers: a row for each boot of a process, and the recovery of its jobs when it stops or dies."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, NamedTuple

from sqlalchemy import case, delete, func, or_, select, update
from sqlalchemy.orm import Session

from aura import VERSION
from aura.errors import NotFound
from db.jobs import CLAIMED, FREE, Claimed, Failure, claimed_from, dead_letter, record_attempts, wake_relay
from db.models import Job, Worker
from db.statements import upsert
from db.text import storable
from db.time import from_now, now

#: Crashes after which a job is quarantined as a dead letter.
QUARANTINE_AFTER = 3
#: Most characters of a process's problem.
MOST_PROBLEM = 300


class UnknownWorker(NotFound):
    """There is no worker with that id or name; a relay cannot be drained."""


class Beat(NamedTuple):
    """The state of a process at its heartbeat: whether it is asked to drain, and the leases under which it holds jobs."""

    drains: bool
    leases: set[str]


def beat(session: Session, worker: str, name: str, kind: str = "worker", problem: str = "") -> Beat:
    """Record that the process lives, with its problem, at its boot and every few seconds after, in one statement."""
    problem = storable(problem)[:MOST_PROBLEM]
    row = {"id": worker, "name": name, "kind": kind, "version": VERSION, "problem": problem, "heartbeat_at": now()}
    alive = upsert(session, Worker).values(**row)
    beaten = alive.on_conflict_do_update(index_elements=["id"], set_={"problem": problem, "heartbeat_at": now()})
    leases = select(func.aggregate_strings(Job.lease, " ")).where(Job.worker == worker, Job.lease.is_not(None))
    found = session.execute(beaten.returning(Worker.drain_at, leases.scalar_subquery().label("leases"))).one()
    return Beat(found.drain_at is not None, set((found.leases or "").split()))


def other_versions_live(session: Session, dead_after: float) -> bool:
    """Return whether a process of another version of Aura has a heartbeat younger than `dead_after` seconds."""
    live = select(Worker.id).where(Worker.version != VERSION, Worker.heartbeat_at >= from_now(-dead_after))
    return session.scalar(live.limit(1)) is not None


def is_alive(session: Session, worker: str, within: float) -> bool:
    """Return whether a worker's heartbeat is younger than so many seconds."""
    fresh = select(Worker.id).where(Worker.id == worker, Worker.heartbeat_at >= from_now(-within))
    return session.scalar(fresh) is not None


def drain(session: Session, worker: str) -> str:
    """Ask a worker, by its id or its name (host:process), to complete its jobs and end. Returns its name.

    It reads that at its next heartbeat. Raises UnknownWorker.
    """
    asked = update(Worker).where(or_(Worker.id == worker, Worker.name == worker), Worker.kind == "worker")
    values = {"drain_at": func.coalesce(Worker.drain_at, now())}
    name = session.scalar(asked.values(**values).returning(Worker.name).execution_options(synchronize_session=False))
    if name is None:
        raise UnknownWorker(f"there is no worker {worker}")
    return str(name)


def leave(session: Session, worker: str) -> None:
    """Delete the row of a worker that stops in order, and release its jobs."""
    release(session, worker, running=lambda: ())
    session.execute(delete(Worker).where(Worker.id == worker))


def release(
    session: Session, worker: str, running: Callable[[], Collection[str]], leases: Collection[str] | None = None
) -> int:
    """Free the worker's jobs except those that run; they use up no attempt. Returns their number.

    `leases` are the leases of the worker if the caller has read them.
    """
    # The rows are read before `running`: a lease counts as running before its row exists. In the other order a lease that is
    # made in between would look abandoned, and its job would run twice.
    abandoned = set(leases_of(session, worker) if leases is None else leases).difference(running())
    if not abandoned:
        return 0
    count = _count(
        session,
        update(Job)
        .where(Job.lease.in_(abandoned), Job.worker == worker)
        .values(
            **FREE,
            due_at=now(),
            attempts=case((Job.attempts > 0, Job.attempts - 1), else_=0),
            crashes=case((Job.crashes > 0, Job.crashes - 1), else_=0),
        ),
    )
    if count:
        wake_relay(session)
    return count


def any_dead(session: Session, dead_after: float) -> bool:
    """Return whether a worker died, or an old row of one is left: whether `recover` has something to do."""
    living = select(Worker.id).where(Worker.heartbeat_at >= from_now(-dead_after))
    held = select(Job.id).where(Job.lease.is_not(None), Job.worker.not_in(living))
    left = select(Worker.id).where(Worker.heartbeat_at < from_now(-dead_after * 60))
    return bool(session.scalar(select(or_(held.exists(), left.exists()))))


def recover(
    session: Session,
    dead_after: float,
    on_dead: Callable[[list[tuple[Claimed, str]]], None] = lambda _dead: None,
) -> tuple[int, int]:
    """Free the jobs of dead workers, and quarantine those with too many crashes. Returns (freed, quarantined).

    A worker is dead when its heartbeat is older than `dead_after` seconds, or its row is gone. `on_dead` gets the quarantined
    jobs in the same transaction, each with its error.
    """
    living = select(Worker.id).where(Worker.heartbeat_at >= from_now(-dead_after))
    dead = session.scalars(select(Job.worker).where(Job.lease.is_not(None), Job.worker.not_in(living)).distinct())
    orphaned = (
        select(*CLAIMED, Job.worker, Job.crashes)
        .where(Job.lease.is_not(None), Job.worker.in_(dead.all()), Job.worker.not_in(living))
        .order_by(Job.id + 0)  # a sum has no index: else a backlog of a million may be read in the order of its ids
        .limit(1000)
        .with_for_update(skip_locked=True)
    )
    freed: list[Claimed] = []
    suspects: list[tuple[Claimed, Failure]] = []
    workers: dict[int, str] = {}
    for r in session.execute(orphaned):
        job = claimed_from(r)
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
            .values(**FREE, due_at=now(), last_error="the worker died")
        )
        wake_relay(session)
    dead_letter(session, suspects)
    on_dead([(job, failure.error) for job, failure in suspects])
    session.execute(delete(Worker).where(Worker.heartbeat_at < from_now(-dead_after * 60)))
    return len(freed), len(suspects)


def leases_of(session: Session, worker: str) -> set[str]:
    """Return the leases under which the worker holds jobs."""
    return set(session.scalars(select(Job.lease).where(Job.worker == worker, Job.lease.is_not(None)).distinct()))


def _count(session: Session, statement: Any) -> int:
    result: Any = session.execute(statement.execution_options(synchronize_session=False))
    return int(result.rowcount)
