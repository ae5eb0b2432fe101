"""Diagnosis: one sentence that says why a job does not run, or what a ticket waits for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import and_, func, or_, select
from sqlalchemy.orm import Session

from db import hints, queue_controls
from db.ids import is_id
from db.models import DeadLetter, Job, Notification, Ticket, Worker
from db.process_stats import count_live
from db.queue_controls import Control
from db.time import elapsed, from_now

#: The most jobs before a job that are counted.
MAX_COUNTED = 10_000
#: Seconds without a heartbeat after which a worker's silence is mentioned.
SILENT_AFTER = 6


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state that decides whether jobs run: live processes, pauses and limits, jobs in flight."""

    workers: int
    relays: int
    controls: Mapping[str, Control]
    #: Queued (hinted) and running jobs of each actor.
    in_flight: Mapping[str, int]
    running: Mapping[str, int]
    #: The queue of each actor.
    queue_of: Mapping[str, str]
    #: The most queued jobs of an actor.
    max_in_flight: int

    def running_in(self, queue: str) -> int:
        """Return how many jobs of a queue are running."""
        return sum(count for actor, count in self.running.items() if self.queue_of.get(actor) == queue)


def snapshot(session: Session, queue_of: Mapping[str, str], dead_after: float, max_in_flight: int) -> Snapshot:
    """Read the current state; a process without a heartbeat for `dead_after` seconds counts as dead."""
    return Snapshot(
        workers=count_live(session, "worker", dead_after),
        relays=count_live(session, "relay", dead_after),
        controls=queue_controls.current(session),
        in_flight=hints.in_flight(session),
        running=hints.running(session),
        queue_of=queue_of,
        max_in_flight=max_in_flight,
    )


def job(session: Session, job_id: int, state: Snapshot) -> str:
    """Return why a job does not run, that it runs, or its dead letter."""
    found = session.get(Job, job_id) if is_id(job_id) else None
    if found is not None:
        return _sentence(session, found, state)
    letters = select(DeadLetter.id, DeadLetter.state, DeadLetter.error).where(DeadLetter.job_id == job_id)
    letter = session.execute(letters.order_by(DeadLetter.id.desc()).limit(1)).first()
    if letter is None:
        return f"No open job {job_id}: it is completed, or it never existed."
    return f"Dead letter {letter.id} ({letter.state}): {_short(letter.error)}"


def ticket(session: Session, ticket_id: int, state: Snapshot) -> str:
    """Return a sentence: the cause for which the triage of a ticket waits, or that it is complete."""
    found = session.get(Ticket, ticket_id) if is_id(ticket_id) else None
    if found is None:
        return f"No ticket {ticket_id}."
    notifications = select(Notification.id).where(Notification.ticket_id == ticket_id)
    own = or_(Job.key == str(ticket_id), Job.key.in_(notifications))
    jobs = session.scalars(select(Job).where(own).order_by(Job.id).limit(2)).all()
    if jobs:
        more = " More jobs of this ticket are open." if len(jobs) > 1 else ""
        return f"{jobs[0].actor}: {_sentence(session, jobs[0], state)}{more}"
    own = or_(DeadLetter.key == str(ticket_id), DeadLetter.key.in_(notifications))
    letters = select(DeadLetter.id, DeadLetter.actor, DeadLetter.error).where(own, DeadLetter.state == "dead")
    if letter := session.execute(letters.order_by(DeadLetter.id.desc()).limit(1)).first():
        return f"{letter.actor} failed permanently, see dead letter {letter.id}: {_short(letter.error)}"
    if found.stage != "notified":
        return "No open job; the scheduled job `recovery` restarts the pipeline within minutes."
    if found.needs_review:
        return "Triage is complete; the verdict needs a review."
    return "Triage is complete."


def blocked(state: Snapshot, queue: str) -> str:
    """Return why no job of a queue runs; empty when nothing blocks the queue."""
    control = state.controls.get(queue, Control(queue))
    if control.paused:
        until = f"until {_at(control.paused_until)}" if control.paused_until else "until it is resumed"
        return f"Queue {queue} is paused {until}{f': {control.reason}' if control.reason else '.'}"
    if control.limit is not None and state.running_in(queue) >= control.limit:
        return f"Queue {queue} has reached its limit of {_jobs(control.limit, 'running job')}."
    if not state.relays:
        return "No relay is running, so no job reaches a worker."
    if not state.workers:
        return "No worker is running."
    return ""


def _sentence(session: Session, found: Job, state: Snapshot) -> str:
    queue = state.queue_of.get(found.actor)
    if found.lease is not None:
        return _running(session, found)
    if queue is None:
        return (
            f"This version declares no actor {found.actor}: another version enqueued the job, or the actor was renamed."
        )
    overdue = session.scalar(select(elapsed(Job.due_at)).where(Job.id == found.id)) or 0.0
    if overdue < 0:
        when = f"{_at(found.due_at)}, in {_time(-overdue)}"
        if found.last_error:
            return f"Retrying at {when}. Attempt {found.attempts} failed: {_short(found.last_error)}"
        return f"Scheduled for {when}."
    if reason := blocked(state, queue):
        return reason
    if found.crashes >= hints.SUSPECT_AFTER:
        return f"Suspect: {found.crashes} workers crashed while they ran it, so it runs when no other suspect does."
    queued = state.in_flight.get(found.actor, 0)
    if found.hinted_at is not None:
        return f"Queued: waits for a free worker, like {_jobs(queued)} of {found.actor} in all."
    ahead = f"Available: behind {_ahead(session, found)} of {found.actor}."
    if queued >= state.max_in_flight:
        return f"{ahead} {_jobs(queued)} queued, the limit (AURA_MAX_IN_FLIGHT)."
    return ahead


def _running(session: Session, found: Job) -> str:
    row = session.execute(
        select(Worker.name, elapsed(Worker.heartbeat_at).label("silent")).where(Worker.id == found.worker)
    ).first()
    if row is not None and row.silent <= SILENT_AFTER:
        return f"Running on {row.name}, attempt {found.attempts}."
    silent = f"sent no heartbeat for {_time(row.silent)}" if row else "has ended"
    return f"Its worker {silent}; the job becomes available again when that worker counts as dead."


def _ahead(session: Session, found: Job) -> str:
    idle = (Job.actor == found.actor, Job.lease.is_(None), Job.hinted_at.is_(None))
    first = or_(
        Job.priority > found.priority,
        and_(Job.priority == found.priority, Job.due_at < found.due_at),
    )
    ahead = select(Job.id).where(*idle, first, Job.due_at <= from_now(0)).limit(MAX_COUNTED).subquery()
    count = session.scalar(select(func.count()).select_from(ahead)) or 0
    return f"{count:,} jobs or more" if count == MAX_COUNTED else _jobs(count)


def _jobs(count: int, noun: str = "job") -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _at(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC" if moment else "an unknown time"


def _time(seconds: Any) -> str:
    seconds = int(seconds)
    for size, unit in ((86_400, "days"), (3_600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} seconds"


def _short(error: str | None) -> str:
    text = " ".join((error or "no error was recorded").split())
    return f"{text[:200]}{'…' if len(text) > 200 else ''}"
