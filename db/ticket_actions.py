"""Actions of agents and requesters on a ticket, with its row locked, and the SLA checks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, String, func, insert, or_, select, update
from sqlalchemy.orm import Session

from db.ids import is_id
from db.models import Agent, Comment, Ticket
from db.statements import BulkUpdate, table
from db.text import storable
from db.tickets import UnknownTicket
from db.time import UtcDateTime, now

_t, _c = table(Ticket).c, table(Comment).c
#: `source` of a row of `comments` that records an action.
ACTION = "action"
#: Characters of the longest comment; a longer one is cut.
COMMENT_LIMIT = 20_000


class LockedTicket(NamedTuple):
    """A ticket whose row is locked until the transaction ends, with the time of the database."""

    id: int
    status: str
    assignee: str | None
    priority: str | None
    requester: str
    version: int
    created_at: datetime
    classified_at: datetime | None
    resolved_at: datetime | None
    paused_since: datetime | None
    paused_seconds: float
    due_at: datetime | None
    sla_state: str
    now: datetime


_SELECT = select(*[_t[name] for name in LockedTicket._fields[:-1]], now().label("now"))


def lock_ticket(session: Session, ticket_id: int) -> LockedTicket:
    """Lock and return a ticket, so that its state cannot change before it is updated. Raises UnknownTicket."""
    statement = _SELECT.where(_t.id == ticket_id).with_for_update()
    row = session.execute(statement).first() if is_id(ticket_id) else None
    if row is None:
        raise UnknownTicket(ticket_id)
    return LockedTicket._make(row)


def lock_columns(session: Session, ticket_id: int, names: Sequence[str]) -> Mapping[str, Any]:
    """Lock a ticket and return some of its columns. Raises UnknownTicket."""
    statement = select(*[_t[name] for name in names]).where(_t.id == ticket_id).with_for_update()
    row = session.execute(statement).mappings().first() if is_id(ticket_id) else None
    if row is None:
        raise UnknownTicket(ticket_id)
    return dict(row)


def update_ticket(session: Session, ticket_id: int, values: Mapping[str, Any]) -> None:
    """Update columns of a locked ticket."""
    if values:
        session.execute(update(table(Ticket)).where(_t.id == ticket_id).values(dict(values)))


def record_action(session: Session, ticket_id: int, author: str, action: str) -> int:
    """Record an action on the ticket. Returns its id."""
    return _insert(session, ticket_id, author, action, ACTION)


def add_comment(session: Session, ticket_id: int, author: str, text: str, source: str, internal: bool = False) -> int:
    """Add a comment, which makes the ticket's verdict stale. Returns its id."""
    update_ticket(session, ticket_id, {"changed_at": now()})
    return _insert(session, ticket_id, author, text, source, internal)


def _insert(session: Session, ticket_id: int, author: str, text: str, source: str, internal: bool = False) -> int:
    values = {
        "ticket_id": ticket_id,
        "author": storable(author).strip()[:254] or "operator",
        "text": storable(text).strip()[:COMMENT_LIMIT],
        "source": source,
        "internal": internal,
    }
    comment_id: int = session.execute(insert(Comment).values(values).returning(_c.id)).scalar_one()
    return comment_id


def find_agent(session: Session, name_or_email: str) -> str | None:
    """Return the name of the agent with this name or e-mail address, or None."""
    value = name_or_email.strip().lower()
    agents = select(Agent.name).where(or_(func.lower(Agent.name) == value, func.lower(Agent.email) == value))
    return session.scalar(agents.order_by(Agent.id).limit(1))


# -- SLA --------------------------------------------------------------------------------------------------------------


def any_sla_check_due(session: Session) -> bool:
    """Return whether an SLA check of a ticket is due."""
    return session.scalar(select(_t.id).where(_t.sla_next_at <= now()).limit(1)) is not None


def lock_due_for_sla_check(session: Session, limit: int) -> list[LockedTicket]:
    """Lock and return the tickets whose SLA check is due, longest overdue first, without those that are locked."""
    due = _SELECT.where(_t.sla_next_at <= now()).order_by(_t.sla_next_at).limit(limit)
    return [LockedTicket._make(row) for row in session.execute(due.with_for_update(skip_locked=True))]


_SAVE_SLA_CHECKS = BulkUpdate(
    Ticket,
    {"id": BigInteger(), "due_at": UtcDateTime(), "sla_next_at": UtcDateTime(), "sla_state": String()},
    lambda new: {name: new[name] for name in ("due_at", "sla_next_at", "sla_state")},
)


def save_sla_checks(session: Session, rows: Sequence[Mapping[str, Any]]) -> None:
    """Update `due_at`, `sla_next_at` and `sla_state` of locked tickets; each row has their `id`."""
    if rows:
        _SAVE_SLA_CHECKS(session, rows)
