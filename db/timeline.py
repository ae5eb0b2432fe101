"""Everything that happened to one ticket, and everything that is still promised."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from db.models import Attempt, DeadLetter, Job, Notification, Ticket, VerdictRecord


def timeline(session: Session, ticket_id: int) -> dict[str, Any] | None:
    """Return the ticket with its timeline, oldest first, as plain values; None when there is no such ticket."""
    ticket = session.get(Ticket, ticket_id) if 0 < ticket_id < 2**63 else None
    if ticket is None:
        return None
    entries: list[dict[str, Any]] = [{"at": ticket.created_at, "what": "received", "source": ticket.source}]
    notifications = session.scalars(select(Notification).where(Notification.ticket_id == ticket_id)).all()
    # a delivery's key is its notification; all other jobs of a ticket are keyed by the ticket
    keys = [str(ticket_id), *(notification.id for notification in notifications)]
    for attempt in session.scalars(select(Attempt).where(Attempt.key.in_(keys))):
        entries.append(
            {
                "at": attempt.created_at,
                "what": "attempt",
                "actor": attempt.actor,
                "number": attempt.number,
                "outcome": attempt.outcome,
                "seconds": attempt.seconds,
                "error": attempt.error,
            }
        )
    for verdict in session.scalars(select(VerdictRecord).where(VerdictRecord.ticket_id == ticket_id)):
        said = ("category", "confidence", "priority", "reason", "engine", "model", "fallback", "needs_review")
        entries.append({"at": verdict.created_at, "what": "verdict"} | {name: getattr(verdict, name) for name in said})
    for notification in notifications:
        told = ("event", "channel", "recipient", "role", "state", "subject", "sent_at")
        entries.append(
            {"at": notification.created_at, "what": "notification"}
            | {name: getattr(notification, name) for name in told}
        )
    for letter in session.scalars(select(DeadLetter).where(DeadLetter.key.in_(keys))):
        entries.append(
            {
                "at": letter.created_at,
                "what": "dead letter",
                "id": letter.id,
                "actor": letter.actor,
                "error": letter.error,
                "state": letter.state,
            }
        )
    order = {"received": 0, "verdict": 1, "notification": 2, "attempt": 3, "dead letter": 4}
    entries.sort(key=lambda entry: (entry["at"], order[entry["what"]]))
    waiting = [
        {
            "actor": job.actor,
            "due_at": job.due_at,
            "attempts": job.attempts,
            "running": job.lease is not None,
            "last_error": job.last_error,
        }
        for job in session.scalars(select(Job).where(Job.key.in_(keys)).order_by(Job.id))
    ]
    return {**summary(ticket), "description": ticket.description, "waiting": waiting, "timeline": entries}


def summary(ticket: Ticket) -> dict[str, Any]:
    """Return the ticket's own values without its description."""
    fields = (
        "id source external_id title requester department language claimed_priority category category_by priority priority_by "
        "confidence needs_review status assignee duplicate_of stage version created_at classified_at notified_at"
    )
    return {name: getattr(ticket, name) for name in fields.split()}
