"""The demo: the sample tickets through the whole triage, embedded, in the database that the settings name."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select

from aura.desk import samples
from aura.desk.agents import import_agents
from aura.desk.importing import import_tickets
from db import dead_letters, reading, tickets
from db.migrate import migrate
from db.models import Job, Notification, Ticket
from pipelines.embedded import running

#: Seconds after which the demo stops waiting.
TIMEOUT = 90.0


@dataclass(frozen=True, slots=True)
class Progress:
    """Number of tickets by stage, of dead letters and of open jobs."""

    tickets: int
    classified: int
    notified: int
    dead: int
    jobs: int


def run_demo(report: Callable[[Progress], None]) -> dict[str, Any]:
    """Migrate the database, import the samples, and work until no job is open.

    Calls `report` with the progress several times a second. Returns {"tickets", "notified", "dead", "seconds",
    "results": [...]}.
    """
    migrate()
    import_agents(samples.AGENTS)
    started = time.perf_counter()
    with running(scheduler=False):
        import_tickets(samples.TICKETS)
        while True:
            progress = read_progress()
            report(progress)
            if not progress.jobs or time.perf_counter() - started > TIMEOUT:
                break
            time.sleep(0.1)
        seconds = time.perf_counter() - started
    return {
        "tickets": progress.tickets,
        "notified": progress.notified,
        "dead": progress.dead,
        "seconds": round(seconds, 2),
        "results": results(),
    }


def read_progress() -> Progress:
    """Return the progress; a ticket counts as notified when all its notifications are sent."""
    with reading() as session:
        stages = tickets.count_by_stage(session)
        unsent = select(Notification.id).where(Notification.ticket_id == Ticket.id, Notification.state != "sent")
        notified = session.scalar(select(func.count()).where(Ticket.stage == "notified", ~unsent.exists())) or 0
        jobs = session.scalar(select(func.count()).select_from(Job)) or 0
        dead = dead_letters.count(session)
    classified = stages.get("classified", 0) + stages.get("notified", 0)
    return Progress(sum(stages.values()), classified, notified, dead, jobs)


def results() -> list[dict[str, Any]]:
    """Return each ticket with its verdict and the recipients of its notifications."""
    with reading() as session:
        recipients: dict[int | None, list[str]] = {}
        for ticket_id, channel, recipient in session.execute(
            select(Notification.ticket_id, Notification.channel, Notification.recipient)
            .where(Notification.state == "sent")
            .order_by(Notification.created_at)
        ):
            recipients.setdefault(ticket_id, []).append(f"{recipient} ({channel})")
        return [
            {
                "ticket": ticket.id,
                "title": ticket.title,
                "category": ticket.category,
                "priority": ticket.priority,
                "confidence": round(ticket.confidence, 2) if ticket.confidence is not None else None,
                "duplicate_of": ticket.duplicate_of,
                "notified": recipients.get(ticket.id, []),
            }
            for ticket in session.scalars(select(Ticket).order_by(Ticket.id))
        ]
