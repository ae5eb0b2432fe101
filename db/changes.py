"""What changed lately, for those who watch: the tickets that came in, were worked on, or that somebody acted on."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from db.ids import parse_ids
from db.models import Attempt, AuditEntry, DeadLetter, QueueControl, Ticket

#: Tickets of one look; when more changed, it says so, and whoever watches looks at the whole.
MOST = 200
#: Rows of the ledger that each look reads again: an id may be committed after a higher one.
OVERLAP = 200
#: What is told of a ticket.
SHOWN = ("id", "stage", "status", "category", "priority", "assignee", "version")


class Cursor(NamedTuple):
    """How far a watcher has read: the newest ticket, attempt, action and dead letter, and when a queue was last held."""

    ticket: int
    attempt: int
    action: int
    letter: int
    held: datetime | None


def cursor(session: Session) -> Cursor:
    """Return how far there is to read just now."""
    models = (Ticket, Attempt, AuditEntry, DeadLetter)
    newest = [select(func.coalesce(func.max(model.id), 0)).scalar_subquery() for model in models]
    held = select(func.max(QueueControl.changed_at)).scalar_subquery()
    row = session.execute(select(*newest, held)).one()
    return Cursor(row[0], row[1], row[2], row[3], row[4])


def changed(session: Session, since: Cursor) -> list[dict[str, Any]] | None:
    """Return the tickets that changed since a place as they are now; None when they are too many to name."""
    new = select(Ticket.id).where(Ticket.id > since.ticket).limit(MOST + 1)
    tried = select(Attempt.key).where(Attempt.id > since.attempt - OVERLAP).limit(10 * MOST + OVERLAP)
    acted = (
        select(AuditEntry.subject)
        .where(AuditEntry.id > since.action, AuditEntry.subject.like("ticket/%"))
        .limit(MOST + 1)
    )
    keys = {*session.scalars(tried), *(each.removeprefix("ticket/") for each in session.scalars(acted))}
    ids = {*session.scalars(new), *parse_ids(keys)}
    if len(ids) > MOST + OVERLAP:
        return None
    rows = session.execute(select(*[getattr(Ticket, name) for name in SHOWN]).where(Ticket.id.in_(ids)))
    return [dict(row._mapping) for row in rows]


def decided(session: Session, ids: list[int]) -> set[int]:
    """Return those of the tickets that have a verdict."""
    return set(session.scalars(select(Ticket.id).where(Ticket.id.in_(ids), Ticket.classified_at.is_not(None))))
