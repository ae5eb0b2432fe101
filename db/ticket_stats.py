"""What a lead of the desk asks first: how many tickets of what kind, and what waits for a person. Counts are bounded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from db.models import DeadLetter, Incident, Ticket
from db.queue_stats import MOST, counted
from db.tickets import UNDONE
from db.time import from_now

#: Hours of the tickets that are told apart by category and priority.
HOURS = 24.0


@dataclass(frozen=True, slots=True)
class TicketStats:
    """Counts up to MOST; the kinds are of the tickets of the last day, the newest MOST of them."""

    tickets: int
    review: int
    dead: int
    incidents: int
    late: int
    warned: int
    categories: dict[str, int]
    priorities: dict[str, int]


def ticket_stats(session: Session) -> TicketStats:
    """Return all of it in three statements."""
    open_ = Ticket.status.in_(UNDONE)
    newest = select(Ticket.id).order_by(Ticket.id.desc())
    row = session.execute(
        select(
            counted(newest, 0).label("any"),
            counted(review()).label("review"),
            counted(select(DeadLetter.id).where(DeadLetter.state == "dead").order_by(DeadLetter.id)).label("dead"),
            counted(select(Incident.id).where(Incident.state == "proposed")).label("incidents"),
            counted(select(Ticket.id).where(Ticket.sla_state == "breached", open_)).label("late"),
            counted(select(Ticket.id).where(Ticket.sla_state == "warned", open_)).label("warned"),
        )
    ).one()
    return TicketStats(
        row.any, row.review, row.dead, row.incidents, row.late, row.warned,
        _kinds(session, Ticket.category), _kinds(session, Ticket.priority),
    )  # fmt: skip


def review() -> Any:
    """Return the statement that finds tickets whose verdict a person should look at, the oldest first."""
    return (
        select(Ticket.id)
        .where(Ticket.needs_review, Ticket.status == "open", Ticket.classified_at.is_not(None))
        .order_by(Ticket.classified_at)
    )


def _kinds(session: Session, column: Any) -> dict[str, int]:
    newest = select(column.label("kind"), Ticket.created_at).order_by(Ticket.id.desc()).limit(MOST).subquery()
    kinds = select(newest.c.kind, func.count().label("tickets")).where(
        newest.c.created_at >= from_now(-HOURS * 3600), newest.c.kind.is_not(None)
    )
    rows = session.execute(kinds.group_by(newest.c.kind).order_by(func.count().desc()))
    return {row.kind: row.tickets for row in rows}


def in_review(session: Session, skip: int = 0) -> tuple[int, int | None]:
    """Return how many tickets wait for a review, and the one that waits longest but for those that are skipped."""
    row = session.execute(select(counted(review()), review().offset(skip).limit(1).scalar_subquery())).one()
    return row[0], row[1]
