"""Why is this not running? One sentence about a job or a ticket, from what is in the database just now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import and_, func, or_, select
from sqlalchemy.orm import Session

from db import hints
from db import queue_controls as controls
from db.ids import is_id
from db.models import DeadLetter, Job, Notification, Ticket, Worker
from db.process_stats import count_live
from db.queue_controls import Control
from db.time import elapsed, from_now

#: Most jobs that are counted before one in the line.
LINE = 10_000


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What decides whether anything runs: who lives, what is held back, how much is inside the broker."""

    workers: int
    relays: int
    controls: Mapping[str, Control]
    inside: Mapping[str, int]
    running: Mapping[str, int]
    #: The queue of each actor.
    queue_of: Mapping[str, str]
    window: int

    def busy(self, queue: str) -> int:
        """Return how many jobs of a queue run."""
        return sum(count for actor, count in self.running.items() if self.queue_of.get(actor) == queue)


def snapshot(session: Session, queue_of: Mapping[str, str], dead_after: float, window: int) -> Snapshot:
    """Read what surrounds every job."""
    return Snapshot(
        workers=count_live(session, "worker", dead_after),
        relays=count_live(session, "relay", dead_after),
        controls=controls.current(session),
        inside=hints.in_flight(session),
        running=hints.running(session),
        queue_of=queue_of,
        window=window,
    )


def job(session: Session, job_id: int, around: Snapshot) -> str:
    """Return in a sentence why a job does not run, or that it does, or what became of it."""
    found = session.get(Job, job_id) if is_id(job_id) else None
    if found is not None:
        return _sentence(session, found, around)
    letter = select(DeadLetter.id, DeadLetter.state, DeadLetter.error).where(DeadLetter.job_id == job_id)
    given_up = session.execute(letter.order_by(DeadLetter.id.desc()).limit(1)).first()
    if given_up is None:
        return f"There is no job {job_id}: it is done, or it never was."
    return f"It was given up, and is dead letter {given_up.id} ({given_up.state}): {_short(given_up.error)}"


def ticket(session: Session, ticket_id: int, around: Snapshot) -> str:
    """Return in a sentence what a ticket waits for, or that it waits for nothing."""
    found = session.get(Ticket, ticket_id) if is_id(ticket_id) else None
    if found is None:
        return f"There is no ticket {ticket_id}."
    told = select(Notification.id).where(Notification.ticket_id == ticket_id)
    mine = or_(Job.key == str(ticket_id), Job.key.in_(told))
    promised = session.scalars(select(Job).where(mine).order_by(Job.id).limit(2)).all()
    if promised:
        more = " Another job of it waits, too." if len(promised) > 1 else ""
        return f"{promised[0].actor}: {_sentence(session, promised[0], around)}{more}"
    keys = or_(DeadLetter.key == str(ticket_id), DeadLetter.key.in_(told))
    letter = select(DeadLetter.id, DeadLetter.actor, DeadLetter.error).where(keys, DeadLetter.state == "dead")
    if dead := session.execute(letter.order_by(DeadLetter.id.desc()).limit(1)).first():
        return f"{dead.actor} was given up, and is dead letter {dead.id}: {_short(dead.error)} Replay it when that is mended."
    if found.stage != "notified":
        return "Nothing promises it any more; the recovery sweep of the clock starts its journey again within minutes."
    if found.needs_review:
        return "Its journey is done; a person should look at the verdict, which is not sure enough."
    return "Nothing is left to do: it was classified, and people were told."


def held(around: Snapshot, queue: str) -> str:
    """Return why a whole queue stands still, in a sentence; empty when nothing holds it back."""
    control = around.controls.get(queue, Control(queue))
    if control.paused:
        until = f"until {_at(control.paused_until)}" if control.paused_until else "until somebody resumes it"
        return f"The queue {queue} is paused {until}{f' ({control.reason})' if control.reason else ''}."
    if control.limit is not None and around.busy(queue) >= control.limit:
        return f"The queue {queue} may run {control.limit} jobs at once, and does."
    if not around.relays:
        return "No relay lives, so no job is given to a worker: start `dramatiq actors`, or `aura run`."
    if not around.workers:
        return "No worker lives: start `dramatiq actors`, or `aura run`."
    return ""


def _sentence(session: Session, found: Job, around: Snapshot) -> str:
    queue = around.queue_of.get(found.actor)
    if found.lease is not None:
        return _running(session, found)
    if queue is None:
        return f"No actor {found.actor} is declared here: it was renamed, or a newer version promised it."
    late = session.scalar(select(elapsed(Job.due_at)).where(Job.id == found.id)) or 0.0
    if late < 0:
        tried = f" after attempt {found.attempts} failed: {_short(found.last_error)}" if found.last_error else ""
        return f"It is due at {_at(found.due_at)}, in {_time(-late)}{tried}{'' if tried else '.'}"
    if reason := held(around, queue):
        return reason
    if found.crashes >= hints.SUSPECT_AFTER:
        return f"It took {found.crashes} workers down, so it is tried alone, when no other such job is under way."
    if found.hinted_at is not None:
        inside = around.inside.get(found.actor, 0)
        return f"A worker is about to take it: {inside} jobs of {found.actor} wait inside RabbitMQ."
    if around.inside.get(found.actor, 0) >= around.window:
        return (
            f"It waits in line, behind {_before(session, found)} of {found.actor}: {around.window} wait inside RabbitMQ, "
            "as many as AURA_MAX_IN_FLIGHT lets in."
        )
    return f"It is due, and waits in line behind {_before(session, found)} of {found.actor}."


def _running(session: Session, found: Job) -> str:
    row = session.execute(
        select(Worker.name, elapsed(Worker.heartbeat_at).label("silent")).where(Worker.id == found.worker)
    ).first()
    if row is None or row.silent > 6:
        silent = f"has not been heard of for {_time(row.silent)}" if row else "is gone"
        return f"The worker that runs it {silent}; it is due again as soon as that worker counts as dead."
    return f"It is running on {row.name}, attempt {found.attempts}."


def _before(session: Session, found: Job) -> str:
    mine = (Job.actor == found.actor, Job.lease.is_(None), Job.hinted_at.is_(None))
    first = or_(
        Job.priority > found.priority,
        and_(Job.priority == found.priority, Job.due_at < found.due_at),
    )
    ahead = select(Job.id).where(*mine, first, Job.due_at <= from_now(0)).limit(LINE).subquery()
    count = session.scalar(select(func.count()).select_from(ahead)) or 0
    return f"{count:,}{' or more' if count == LINE else ''} {'job' if count == 1 else 'jobs'}"


def _at(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC" if moment else "some time"


def _time(seconds: Any) -> str:
    seconds = int(seconds)
    for size, unit in ((86_400, "days"), (3_600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} seconds"


def _short(error: str | None) -> str:
    text = " ".join((error or "no error was recorded").split())
    return f"{text[:200]}{'…' if len(text) > 200 else ''}"
