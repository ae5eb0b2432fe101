"""Everything that happened to one ticket, and everything that is still promised."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from db.ids import is_id
from db.models import (
    AiCall,
    Attempt,
    Comment,
    Correction,
    DeadLetter,
    InboundMail,
    Job,
    Notification,
    Ticket,
    VerdictRecord,
)
from db.ticket_actions import ACTION

#: What is shown of a verdict.
_SAID = (
    *(
        "category",
        "confidence",
        "priority",
        "priority_confidence",
        "reason",
        "summary",
        "sentiment",
        "self_fix",
        "words",
    ),
    *(
        "suggested_agent",
        "similar",
        "resolution_p50",
        "resolution_p90",
        "engine",
        "model",
        "prompt_version",
        "fallback",
    ),
    *("disagreement", "change", "cost", "cached", "needs_review"),
)
#: Which comes first of what happened at the same moment.
_ORDER = (
    *("received", "mail", "sent out", "verdict", "correction", "confirmation", "comment", "action"),
    *("notification", "attempt", "dead letter"),
)


def timeline(session: Session, ticket_id: int) -> dict[str, Any] | None:
    """Return the ticket with its timeline, oldest first, as plain values; None when there is no such ticket."""
    ticket = session.get(Ticket, ticket_id) if is_id(ticket_id) else None
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
        entries.append({"at": verdict.created_at, "what": "verdict"} | {name: getattr(verdict, name) for name in _SAID})
    for correction in session.scalars(select(Correction).where(Correction.ticket_id == ticket_id)):
        what = "correction" if correction.old != correction.new else "confirmation"
        said = ("field", "old", "old_by", "new", "author")
        entries.append({"at": correction.created_at, "what": what} | {name: getattr(correction, name) for name in said})
    for comment in session.scalars(select(Comment).where(Comment.ticket_id == ticket_id).order_by(Comment.id)):
        source = {} if comment.source == ACTION else {"source": comment.source}
        what = "comment" if source else "action"
        entries.append(
            {"at": comment.created_at, "what": what, "author": comment.author, "text": comment.text} | source
        )
    for call in session.scalars(select(AiCall).where(AiCall.ticket_id == ticket_id)):
        sent = ("model", "prompt_version", "outcome", "cost", "masked", "sent")
        entries.append({"at": call.created_at, "what": "sent out"} | {name: getattr(call, name) for name in sent})
    # not the bytes, which may be many
    came = (InboundMail.id, InboundMail.sender, InboundMail.outcome, InboundMail.attachments)
    for mail in session.execute(
        select(InboundMail.created_at.label("at"), *came).where(InboundMail.ticket_id == ticket_id)
    ).mappings():
        entries.append({"what": "mail"} | dict(mail))
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
    order = {name: place for place, name in enumerate(_ORDER)}
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
        "confidence needs_review status resolution assignee duplicate_of incident_id stage version "
        "created_at classified_at notified_at resolved_at due_at sla_state paused_since"
    )
    return {name: getattr(ticket, name) for name in fields.split()}
