"""Corrections: categories and priorities that a person set or confirmed, which no engine overwrites; and resolutions."""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy import func, insert, select, update
from sqlalchemy.orm import Session

from db.ids import is_id
from db.models import Correction, Ticket, VerdictRecord
from db.statements import table
from db.text import storable
from db.tickets import UnknownTicket
from db.time import from_now, now

_t, _c = table(Ticket).c, table(Correction).c
#: Fields of a verdict that a person may set.
FIELDS = ("category", "priority")
#: Characters of the longest resolution; a longer one is cut.
RESOLUTION_LIMIT = 20_000


def correct(session: Session, ticket_id: int, author: str, values: dict[str, str]) -> list[str]:
    """Set category or priority, and return the names of the fields that changed; an equal value confirms the verdict.

    Each value adds a row to `corrections`. A change raises the ticket's version, which is notified again. The caller
    checks that the values are configured ones. Raises UnknownTicket.
    """
    ticket = _lock(session, ticket_id)
    newest = (
        select(VerdictRecord.engine, VerdictRecord.confidence, VerdictRecord.priority_confidence)
        .where(VerdictRecord.ticket_id == ticket_id)
        .order_by(VerdictRecord.id.desc())
        .limit(1)
    )
    verdict = session.execute(newest).first()
    confidences = {"category": verdict.confidence, "priority": verdict.priority_confidence} if verdict else {}
    rows = [
        {
            "ticket_id": ticket_id,
            "field": field,
            "old": getattr(ticket, field),
            "old_by": getattr(ticket, f"{field}_by"),
            "new": value,
            "engine": verdict.engine if verdict else "",
            "confidence": confidences.get(field),
            "author": storable(author)[:254],
        }
        for field, value in values.items()
    ]
    session.execute(insert(Correction), rows)
    changed = [row["field"] for row in rows if row["old"] != row["new"]]
    columns: dict[str, Any] = {"needs_review": False, **values, **{f"{field}_by": "human" for field in values}}
    if changed:
        columns["version"] = _t.version + 1
    session.execute(update(table(Ticket)).where(_t.id == ticket_id).values(columns))
    return changed


def resolve(session: Session, ticket_id: int, resolution: str, public: bool = False) -> None:
    """Set a ticket to resolved, with the text that similar tickets will show; a public one is sent to the requester.

    Raises UnknownTicket.
    """
    _lock(session, ticket_id)
    text = storable(resolution).strip()[:RESOLUTION_LIMIT]
    values = {"status": "resolved", "resolution": text, "resolution_public": public, "resolved_at": now()}
    session.execute(update(table(Ticket)).where(_t.id == ticket_id).values(values))


def _lock(session: Session, ticket_id: int) -> Any:
    row = select(_t.category, _t.category_by, _t.priority, _t.priority_by).where(_t.id == ticket_id).with_for_update()
    ticket = session.execute(row).first() if is_id(ticket_id) else None
    if ticket is None:
        raise UnknownTicket(ticket_id)
    return ticket


class ReviewedTicket(NamedTuple):
    """A ticket whose category or priority a person set or confirmed."""

    id: int
    title: str
    description: str
    category: str
    priority: str


def reviewed_tickets(
    session: Session, limit: int, days: float | None = None, changed: bool = False
) -> list[ReviewedTicket]:
    """Return the tickets reviewed last, newest review first; with `changed` only those with a changed value."""
    reviews = select(_c.ticket_id, func.max(_c.id).label("latest")).group_by(_c.ticket_id)
    if days is not None:
        reviews = reviews.where(_c.created_at >= from_now(-days * 86_400))
    if changed:
        reviews = reviews.where(_c.new != func.coalesce(_c.old, ""))
    newest = reviews.subquery()
    rows = session.execute(
        select(_t.id, _t.title, _t.description, _t.category, _t.priority)
        .join(newest, newest.c.ticket_id == _t.id)
        .where(_t.category.is_not(None), _t.priority.is_not(None))
        .order_by(newest.c.latest.desc())
        .limit(limit)
    )
    return [ReviewedTicket(*row) for row in rows]


class ReviewedVerdict(NamedTuple):
    """A value that an engine predicted with some confidence, and the value that a person set or confirmed."""

    field: str
    predicted: str
    actual: str
    confidence: float


def reviewed_verdicts(session: Session, limit: int = 2_000) -> list[ReviewedVerdict]:
    """Return the newest corrections and confirmations of values of an engine."""
    rows = session.execute(
        select(_c.field, _c.old, _c.new, _c.confidence)
        .where(_c.old_by == "engine", _c.old.is_not(None), _c.confidence.is_not(None))
        .order_by(_c.id.desc())
        .limit(limit)
    )
    return [ReviewedVerdict(row.field, row.old, row.new, row.confidence) for row in rows]
