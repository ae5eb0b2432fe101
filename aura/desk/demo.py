"""The demo: the example tickets through the whole pipeline, embedded, in a database of its own that is thrown away."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from aura.desk.agents import import_staff
from aura.desk.ticket_import import import_file
from db import dead_letters, reading, tickets
from db.migrate import migrate
from db.models import Job, Notification, Ticket
from pipelines.embedded import running

EXAMPLES = Path(__file__).parents[2] / "examples"
#: Seconds after which the demo gives up waiting.
PATIENCE = 90.0


@dataclass(frozen=True, slots=True)
class Progress:
    """How many tickets came how far."""

    tickets: int
    classified: int
    notified: int
    dead: int
    waiting: int


def run_demo(tell: Callable[[Progress], None]) -> dict[str, Any]:
    """Run the example tickets from submission to notified; `tell` is called with the progress several times a second.

    Returns {"tickets", "notified", "dead", "seconds", "results": [...]}.
    """
    migrate()
    import_staff(EXAMPLES / "agents.csv")
    started = time.perf_counter()
    with running(clock=False):
        import_file(EXAMPLES / "tickets.csv")
        while True:
            progress = look()
            tell(progress)
            if not progress.waiting or time.perf_counter() - started > PATIENCE:
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


def look() -> Progress:
    """Return how far the tickets are; one counts as notified when all its notifications are sent."""
    with reading() as session:
        stages = tickets.count_by_stage(session)
        promised = select(Notification.id).where(Notification.ticket_id == Ticket.id, Notification.state != "sent")
        notified = session.scalar(select(func.count()).where(Ticket.stage == "notified", ~promised.exists())) or 0
        waiting = session.scalar(select(func.count()).select_from(Job)) or 0
        dead = dead_letters.count(session)
    classified = stages.get("classified", 0) + stages.get("notified", 0)
    return Progress(sum(stages.values()), classified, notified, dead, waiting)


def results() -> list[dict[str, Any]]:
    """Return each ticket with its verdict and who was told."""
    with reading() as session:
        told: dict[int | None, list[str]] = {}
        for ticket_id, channel, recipient in session.execute(
            select(Notification.ticket_id, Notification.channel, Notification.recipient)
            .where(Notification.state == "sent")
            .order_by(Notification.created_at)
        ):
            told.setdefault(ticket_id, []).append(f"{recipient} ({channel})")
        return [
            {
                "ticket": ticket.id,
                "title": ticket.title,
                "category": ticket.category,
                "priority": ticket.priority,
                "confidence": round(ticket.confidence, 2) if ticket.confidence is not None else None,
                "duplicate_of": ticket.duplicate_of,
                "told": told.get(ticket.id, []),
            }
            for ticket in session.scalars(select(Ticket).order_by(Ticket.id))
        ]
