"""Ticket counts for the overview page: by category and priority, to review, at risk and overdue. Every count is bounded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from db.models import DeadLetter, Incident, Ticket
from db.queue_stats import COUNT_LIMIT, bounded_count
from db.tickets import UNRESOLVED
from db.time import from_now

#: Hours whose tickets are counted by category and priority.
HOURS = 24.0


@dataclass(frozen=True, slots=True)
class TicketStats:
    """Counts up to COUNT_LIMIT; `categories` and `priorities` count the newest tickets of the last HOURS."""

    tickets: int
    review: int
    dead: int
    incidents: int
    late: int
    warned: int
    categories: dict[str, int]
    priorities: dict[str, int]


def ticket_stats(session: Session) -> TicketStats:
    """Return the counts, by three statements."""
    open_ = Ticket.status.in_(UNRESOLVED)
    newest = select(Ticket.id).order_by(Ticket.id.desc())
    row = session.execute(
        select(
            bounded_count(newest, 0).label("any"),
            bounded_count(needing_review()).label("review"),
            bounded_count(select(DeadLetter.id).where(DeadLetter.state == "dead").order_by(DeadLetter.id)).label(
                "dead"
            ),
            bounded_count(select(Incident.id).where(Incident.state == "proposed")).label("incidents"),
            bounded_count(select(Ticket.id).where(Ticket.sla_state == "breached", open_)).label("late"),
            bounded_count(select(Ticket.id).where(Ticket.sla_state == "warned", open_)).label("warned"),
        )
    ).one()
    return TicketStats(
        row.any, row.review, row.dead, row.incidents, row.late, row.warned,
        _count_by(session, Ticket.category), _count_by(session, Ticket.priority),
    )  # fmt: skip


def needing_review() -> Any:
    """Return a SELECT of the tickets whose verdict needs a review, longest waiting first."""
    return (
        select(Ticket.id)
        .where(Ticket.needs_review, Ticket.status == "open", Ticket.classified_at.is_not(None))
        .order_by(Ticket.classified_at)
    )


def _count_by(session: Session, column: Any) -> dict[str, int]:
    newest = select(column.label("value"), Ticket.created_at).order_by(Ticket.id.desc()).limit(COUNT_LIMIT).subquery()
    counts = select(newest.c.value, func.count().label("tickets")).where(
        newest.c.created_at >= from_now(-HOURS * 3600), newest.c.value.is_not(None)
    )
    rows = session.execute(counts.group_by(newest.c.value).order_by(func.count().desc()))
    return {row.value: row.tickets for row in rows}


def review_queue(session: Session, skip: int = 0) -> tuple[int, int | None]:
    """Return the number of tickets to review, and the id of the longest waiting one after `skip` others."""
    row = session.execute(
        select(bounded_count(needing_review()), needing_review().offset(skip).limit(1).scalar_subquery())
    ).one()
    return row[0], row[1]
