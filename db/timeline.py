"""Timeline of a ticket: everything that happened to it, and its open jobs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from db import participants
from db.clients import unscoped
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

Entry = dict[str, Any]

#: The kinds of entries; of those at the same moment the first kind comes first.
KINDS = (
    *("received", "mail", "ai_call", "verdict", "correction", "confirmation", "comment", "action"),
    *("notification", "attempt", "dead_letter"),
)
#: The columns that an entry shows.
_VERDICT = (
    *("category", "confidence", "priority", "priority_confidence", "reason", "summary", "sentiment", "self_fix"),
    *("words", "suggested_agent", "similar", "resolution_p50", "resolution_p90", "engine", "model", "prompt_version"),
    *("fallback", "disagreement", "change", "cost", "cached", "needs_review"),
)
_CORRECTION = ("field", "old", "old_by", "new", "author")
_AI_CALL = ("model", "prompt_version", "outcome", "cost", "masked", "sent")
_NOTIFICATION = ("event", "channel", "recipient", "role", "state", "subject", "sent_at")
_ATTEMPT = ("actor", "number", "outcome", "seconds", "error")
_MAIL = (*("created_at", "id", "sender", "sender_verified", "outcome", "ticket_id", "refers_to", "note"), "attachments")
#: Mails that name the ticket without being comments on it, the newest.
NAMED_LIMIT = 50
_DEAD_LETTER = ("id", "actor", "error", "state")


def timeline(session: Session, ticket_id: int) -> dict[str, Any] | None:
    """Return the ticket with its open `jobs` and its `timeline`, the oldest entry first; None if there is none.

    All values are plain. Each entry has the moment `at`, its `kind`, and what the kind shows.
    """
    ticket = session.get(Ticket, ticket_id) if is_id(ticket_id) else None
    if ticket is None:
        return None
    notifications = session.scalars(select(Notification).where(Notification.ticket_id == ticket_id)).all()
    # the key of a delivery is its notification; all other jobs of a ticket have the ticket as their key
    keys = [str(ticket_id), *(notification.id for notification in notifications)]
    entries = [
        _entry(ticket.created_at, "received", source=ticket.source),
        *_of_ticket(session, ticket_id),
        *_of_jobs(session, keys),
        *(_entry(each.created_at, "notification", **_values(each, _NOTIFICATION)) for each in notifications),
    ]
    order = {kind: place for place, kind in enumerate(KINDS)}
    entries.sort(key=lambda entry: (entry["at"], order[entry["kind"]]))
    jobs = [
        {
            "id": job.id,
            "actor": job.actor,
            "due_at": job.due_at,
            "attempts": job.attempts,
            "running": job.lease is not None,
            "last_error": job.last_error,
        }
        for job in session.scalars(select(Job).where(Job.key.in_(keys)).order_by(Job.id))
    ]
    details = {"description": ticket.description, "participants": participants.listing(session, ticket_id)}
    return {**summary(ticket), **details, "jobs": jobs, "timeline": entries}


def summary(ticket: Ticket) -> dict[str, Any]:
    """Return the values of a ticket without its description."""
    fields = (
        "id source external_id title requester requester_name forwarded_by no_auto_reply sender_verified department language "
        "claimed_priority category category_by priority priority_by confidence needs_review status resolution assignee "
        "duplicate_of incident_id stage version created_at changed_at classified_at notified_at resolved_at due_at sla_state "
        "paused_since"
    )
    return {
        **_values(ticket, fields.split()),
        "external_id": unscoped(ticket.external_id, ticket.raw),
        "resolution_visibility": _resolution_visibility(ticket),
    }


def _resolution_visibility(ticket: Ticket) -> str | None:
    """Return internal or public; None without a resolution. Earlier versions of Aura always sent it to the requester."""
    if not ticket.resolution:
        return None
    public = ticket.imported_at is None if ticket.resolution_public is None else ticket.resolution_public
    return "public" if public else "internal"


def _of_ticket(session: Session, ticket_id: int) -> Iterator[Entry]:
    for verdict in session.scalars(select(VerdictRecord).where(VerdictRecord.ticket_id == ticket_id)):
        yield _entry(verdict.created_at, "verdict", **_values(verdict, _VERDICT))
    for correction in session.scalars(select(Correction).where(Correction.ticket_id == ticket_id)):
        kind = "correction" if correction.old != correction.new else "confirmation"
        yield _entry(correction.created_at, kind, **_values(correction, _CORRECTION))
    for comment in session.scalars(select(Comment).where(Comment.ticket_id == ticket_id).order_by(Comment.id)):
        visibility = "internal" if comment.internal else "public"
        shown = {"source": comment.source, "visibility": visibility, "sender_verified": comment.sender_verified}
        source = {} if comment.source == ACTION else shown
        kind = "comment" if source else "action"
        yield _entry(comment.created_at, kind, author=comment.author, text=comment.text, **source)
    for call in session.scalars(select(AiCall).where(AiCall.ticket_id == ticket_id)):
        yield _entry(call.created_at, "ai_call", **_values(call, _AI_CALL))
    # without the raw mail, which may be large
    columns = select(*(getattr(InboundMail, name) for name in _MAIL))
    own = columns.where(InboundMail.ticket_id == ticket_id)
    # anybody can name a ticket
    named = columns.where(InboundMail.refers_to == ticket_id).order_by(InboundMail.id.desc()).limit(NAMED_LIMIT)
    for mail in (*session.execute(own), *session.execute(named)):
        values = dict(mail._mapping)
        yield _entry(values.pop("created_at"), "mail", **values)


def _of_jobs(session: Session, keys: list[str]) -> Iterator[Entry]:
    for attempt in session.scalars(select(Attempt).where(Attempt.key.in_(keys))):
        yield _entry(attempt.created_at, "attempt", **_values(attempt, _ATTEMPT))
    for letter in session.scalars(select(DeadLetter).where(DeadLetter.key.in_(keys))):
        yield _entry(letter.created_at, "dead_letter", **_values(letter, _DEAD_LETTER))


def _entry(at: datetime, kind: str, **values: Any) -> Entry:
    return {"at": at, "kind": kind, **values}


def _values(row: object, names: Any) -> dict[str, Any]:
    return {name: getattr(row, name) for name in names}
