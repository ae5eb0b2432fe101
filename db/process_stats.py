"""Processes and their heartbeats, the number of jobs, and the agents."""

from __future__ import annotations

from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from db.models import Agent, Attempt, Job, Worker
from db.time import from_now, now


def job_count(session: Session) -> int:
    """Return the number of rows in `jobs`."""
    return session.scalar(select(func.count()).select_from(Job)) or 0


def count_live(session: Session, kind: str, dead_after: float) -> int:
    """Return the number of processes of a kind (worker or relay) with a fresh heartbeat."""
    fresh = select(func.count()).where(Worker.kind == kind, Worker.heartbeat_at >= from_now(-dead_after))
    return session.scalar(fresh) or 0


def problems(session: Session, dead_after: float) -> list[str]:
    """Return the problems of the processes with a fresh heartbeat, each once."""
    live = select(Worker.problem).where(Worker.problem != "", Worker.heartbeat_at >= from_now(-dead_after))
    return list(session.scalars(live.distinct().order_by(Worker.problem)))


def stalled_seconds(session: Session, within: float) -> float:
    """Return the seconds for which the oldest due job waits, whether it has a hint or not, if no job is processed; else 0.

    Jobs are processed when one runs, or an attempt ended within so many seconds.
    """
    waiting = select(Job.due_at, now()).where(Job.lease.is_(None), Job.due_at <= now())
    oldest = session.execute(waiting.order_by(Job.due_at).limit(1)).one_or_none()
    if oldest is None or (seconds := float((oldest[1] - oldest[0]).total_seconds())) < within:
        return 0.0
    if session.scalar(select(Job.id).where(Job.lease.is_not(None)).limit(1)) is not None:
        return 0.0
    last = session.scalar(select(Attempt.created_at > from_now(-within)).order_by(Attempt.id.desc()).limit(1))
    return 0.0 if last else seconds


def runs_for(session: Session, kind: str, seconds: float, dead_after: float) -> bool:
    """Return whether a process of a kind with a fresh heartbeat started so many seconds ago, or earlier."""
    live = select(Worker.id).where(Worker.kind == kind, Worker.heartbeat_at >= from_now(-dead_after))
    return session.scalar(live.where(Worker.started_at < from_now(-seconds)).limit(1)) is not None


def processes(session: Session, dead_after: float, limit: int = 200) -> list[dict[str, Any]]:
    """Return the processes, newest first: `alive`, the number of jobs that each runs, and up to ten of these."""
    alive = (Worker.heartbeat_at >= from_now(-dead_after)).label("alive")
    columns = (
        Worker.id,
        Worker.kind,
        Worker.name,
        Worker.version,
        Worker.started_at,
        Worker.heartbeat_at,
        Worker.drain_at,
        alive,
    )
    rows = session.execute(select(*columns).order_by(Worker.kind, Worker.started_at.desc()).limit(limit))
    result = {row.id: {**row._mapping, "running": 0, "jobs": []} for row in rows}
    leased = select(Job.worker, Job.id, Job.actor, Job.key).where(Job.lease.is_not(None))
    for job in session.execute(leased.order_by(Job.worker, Job.id).limit(10_000)):
        if job.worker in result:
            result[job.worker]["running"] += 1
            if len(result[job.worker]["jobs"]) < 10:
                result[job.worker]["jobs"].append({"id": job.id, "actor": job.actor, "key": job.key})
    return list(result.values())


def oldest_due_seconds(session: Session) -> float:
    """Return the seconds since the oldest available job became due; 0 without one."""
    due = select(Job.due_at, now()).where(Job.hinted_at.is_(None), Job.lease.is_(None), Job.due_at <= now())
    oldest = session.execute(due.order_by(Job.due_at).limit(1)).one_or_none()
    return float((oldest[1] - oldest[0]).total_seconds()) if oldest else 0.0


def agents(session: Session) -> list[dict[str, Any]]:
    """Return the agents by name."""
    fields = ("name", "email", "team", "skills", "capacity", "available")
    return [
        {name: getattr(agent, name) for name in fields} for agent in session.scalars(select(Agent).order_by(Agent.name))
    ]
