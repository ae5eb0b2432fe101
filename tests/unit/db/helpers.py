"""Tickets for the tests of db/."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select, update

from db import reading, tickets, transaction
from db.models import Ticket
from db.new_tickets import NewTicket


def create(*new: NewTicket, source: str = "test") -> list[int]:
    """Create tickets and return the ids of the new ones."""
    with transaction() as session:
        return tickets.create(session, source, [(each, {"original": "request"}) for each in new])


def all_tickets() -> list[Ticket]:
    with reading() as session:
        return list(session.scalars(select(Ticket).order_by(Ticket.id)))


def one_ticket() -> Ticket:
    (ticket,) = all_tickets()
    return ticket


def update_tickets(**values: Any) -> None:
    """Set columns of every ticket."""
    with transaction() as session:
        session.execute(update(Ticket).values(**values))


def verdict(
    ticket_id: int, category: str = "Network", priority: str = "high", confidence: float = 0.9
) -> dict[str, Any]:
    """Return a row for `tickets.save_verdicts`."""
    row = {"priority_confidence": 0.9, "reason": "because", "needs_review": confidence < 0.5, "engine": "local"}
    row |= {"model": "m", "self_fix": [], "words": [], "similar": [], "cost": 0.0, "cached": False, "latency_ms": 1.0}
    texts = ("prompt_version", "fallback", "disagreement", "change", "summary", "sentiment", "language")
    row |= dict.fromkeys(texts, "")
    row |= dict.fromkeys(("input_tokens", "output_tokens"), 0)
    row |= dict.fromkeys(("suggested_agent", "resolution_p50", "resolution_p90", "due_at", "warn_at"))
    row |= {"paused_seconds": 0.0}
    return {"ticket_id": ticket_id, "category": category, "confidence": confidence, "priority": priority} | row


def save_verdicts(*verdicts: dict[str, Any]) -> None:
    with transaction() as session:
        tickets.save_verdicts(session, verdicts)
