"""Corrections: what a human said about a ticket, which no machine overwrites; and how a ticket was resolved."""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy import func, insert, select, update
from sqlalchemy.orm import Session

from db.models import Correction, Ticket, VerdictRecord
from db.new_tickets import storable
from db.statements import table
from db.tickets import UnknownTicket
from db.time import from_now, now

_t, _c = table(Ticket).c, table(Correction).c
#: What a human may set of a verdict.
FIELDS = ("category", "priority")
#: The longest resolution that is kept, in characters.
RESOLUTION_LIMIT = 20_000


def correct(session: Session, ticket_id: int, author: str, said: dict[str, str]) -> list[str]:
    """Set category or priority for good, and return which of them changed; to say what is there confirms it.

    Each is a row of `corrections` with what the engine had said. A change raises the ticket's version: people are told
    again. The caller checks that the values are of the lists. Raises UnknownTicket.
    """
    ticket = _locked(session, ticket_id)
    newest = (
        select(VerdictRecord.engine, VerdictRecord.confidence, VerdictRecord.priority_confidence)
        .where(VerdictRecord.ticket_id == ticket_id)
        .order_by(VerdictRecord.id.desc())
        .limit(1)
    )
    verdict = session.execute(newest).first()
    sure = {"category": verdict.confidence, "priority": verdict.priority_confidence} if verdict else {}
    rows = [
        {
            "ticket_id": ticket_id,
            "field": field,
            "old": getattr(ticket, field),
            "old_by": getattr(ticket, f"{field}_by"),
            "new": value,
            "engine": verdict.engine if verdict else "",
            "confidence": sure.get(field),
            "author": storable(author)[:254],
        }
        for field, value in said.items()
    ]
    session.execute(insert(Correction), rows)
    changed = [row["field"] for row in rows if row["old"] != row["new"]]
    values: dict[str, Any] = {"needs_review": False, **said, **{f"{field}_by": "human" for field in said}}
    if changed:
        values["version"] = _t.version + 1
    session.execute(update(table(Ticket)).where(_t.id == ticket_id).values(values))
    return changed


def resolve(session: Session, ticket_id: int, resolution: str) -> None:
    """Record that a ticket is resolved, and by what; later tickets like it are shown that. Raises UnknownTicket."""
    _locked(session, ticket_id)
    values = {"status": "resolved", "resolution": storable(resolution).strip()[:RESOLUTION_LIMIT], "resolved_at": now()}
    session.execute(update(table(Ticket)).where(_t.id == ticket_id).values(values))


def _locked(session: Session, ticket_id: int) -> Any:
    wanted = select(_t.category, _t.category_by, _t.priority, _t.priority_by).where(_t.id == ticket_id)
    ticket = session.execute(wanted.with_for_update()).first() if 0 < ticket_id < 2**63 else None
    if ticket is None:
        raise UnknownTicket(f"there is no ticket {ticket_id}; `aura tickets list` shows those there are")
    return ticket


class Decided(NamedTuple):
    """A ticket that a human decided."""

    id: int
    title: str
    description: str
    category: str
    priority: str


def decided(session: Session, limit: int, days: float | None = None, changed: bool = False) -> list[Decided]:
    """Return the tickets that humans decided last, newest first; with `changed` only where they changed something."""
    chosen = select(_c.ticket_id, func.max(_c.id).label("latest")).group_by(_c.ticket_id)
    if days is not None:
        chosen = chosen.where(_c.created_at >= from_now(-days * 86_400))
    if changed:
        chosen = chosen.where(_c.new != func.coalesce(_c.old, ""))
    newest = chosen.subquery()
    rows = session.execute(
        select(_t.id, _t.title, _t.description, _t.category, _t.priority)
        .join(newest, newest.c.ticket_id == _t.id)
        .where(_t.category.is_not(None), _t.priority.is_not(None))
        .order_by(newest.c.latest.desc())
        .limit(limit)
    )
    return [Decided(*row) for row in rows]


def previous_values(session: Session, ids: list[int]) -> dict[int, tuple[str, str]]:
    """Return the category and the priority that an engine said last about each ticket."""
    v = table(VerdictRecord).c
    newest = select(func.max(v.id)).where(v.ticket_id.in_(ids)).group_by(v.ticket_id)
    rows = session.execute(select(v.ticket_id, v.category, v.priority).where(v.id.in_(newest)))
    return {row.ticket_id: (row.category, row.priority) for row in rows}


class Checked(NamedTuple):
    """What an engine said of a ticket, how sure it was, and what a human says it is."""

    field: str
    said: str
    truth: str
    confidence: float


def checked(session: Session, limit: int = 2_000) -> list[Checked]:
    """Return the newest corrections and confirmations of what an engine had said."""
    rows = session.execute(
        select(_c.field, _c.old, _c.new, _c.confidence)
        .where(_c.old_by == "engine", _c.old.is_not(None), _c.confidence.is_not(None))
        .order_by(_c.id.desc())
        .limit(limit)
    )
    return [Checked(row.field, row.old, row.new, row.confidence) for row in rows]
