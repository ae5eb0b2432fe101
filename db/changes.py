"""Changes since a cursor: tickets that were created, processed or acted on, for the live stream of the pages."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from db.ids import parse_ids
from db.models import Attempt, AuditEntry, DeadLetter, QueueControl, Ticket

#: Tickets of one answer; when more changed, none is named and the client reloads.
MAX_TICKETS = 200
#: Attempts before the cursor that are read again: an id may be committed after a higher one.
OVERLAP = 200
#: The columns of a ticket that the stream shows.
SHOWN = ("id", "stage", "status", "category", "priority", "assignee", "version")


class Cursor(NamedTuple):
    """How far a reader is: the newest ticket, attempt, audit entry and dead letter, and the last change of a queue."""

    ticket: int
    attempt: int
    action: int
    letter: int
    queue_changed_at: datetime | None


def cursor(session: Session) -> Cursor:
    """Return the current position."""
    models = (Ticket, Attempt, AuditEntry, DeadLetter)
    newest = [select(func.coalesce(func.max(model.id), 0)).scalar_subquery() for model in models]
    queues = select(func.max(QueueControl.changed_at)).scalar_subquery()
    row = session.execute(select(*newest, queues)).one()
    return Cursor(row[0], row[1], row[2], row[3], row[4])


def changed(session: Session, since: Cursor) -> list[dict[str, Any]] | None:
    """Return the tickets that changed since a cursor, as they are now; None when there are more than MAX_TICKETS."""
    new = select(Ticket.id).where(Ticket.id > since.ticket).limit(MAX_TICKETS + 1)
    attempted = select(Attempt.key).where(Attempt.id > since.attempt - OVERLAP).limit(10 * MAX_TICKETS + OVERLAP)
    acted = (
        select(AuditEntry.subject)
        .where(AuditEntry.id > since.action, AuditEntry.subject.like("ticket/%"))
        .limit(MAX_TICKETS + 1)
    )
    keys = {*session.scalars(attempted), *(each.removeprefix("ticket/") for each in session.scalars(acted))}
    ids = {*session.scalars(new), *parse_ids(keys)}
    if len(ids) > MAX_TICKETS + OVERLAP:
        return None
    rows = session.execute(select(*[getattr(Ticket, name) for name in SHOWN]).where(Ticket.id.in_(ids)))
    return [dict(row._mapping) for row in rows]


def classified(session: Session, ids: list[int]) -> set[int]:
    """Return the ids of those tickets that are classified."""
    return set(session.scalars(select(Ticket.id).where(Ticket.id.in_(ids), Ticket.classified_at.is_not(None))))
