"""What people of the desk do to a ticket: one at a time on its locked row, and each remembered with who did it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, String, func, insert, or_, select, update
from sqlalchemy.orm import Session

from db.models import Agent, Comment, Ticket
from db.new_tickets import storable
from db.statements import BulkUpdate, table
from db.tickets import UnknownTicket
from db.time import UtcDateTime, now

_t, _c = table(Ticket).c, table(Comment).c
#: The source of a row of `comments` that is no comment, but says what somebody did.
ACTION = "action"
#: The longest comment that is kept, in characters.
COMMENT_LIMIT = 20_000


class LockedTicket(NamedTuple):
    """A ticket whose row is locked until the transaction ends, and the database's clock."""

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


_HELD = select(*[_t[name] for name in LockedTicket._fields[:-1]], now().label("now"))


def lock_ticket(session: Session, ticket_id: int) -> LockedTicket:
    """Lock a ticket, so that what is decided by its state holds when it is written. Raises UnknownTicket."""
    wanted = _HELD.where(_t.id == ticket_id).with_for_update()
    row = session.execute(wanted).first() if 0 < ticket_id < 2**63 else None
    if row is None:
        raise UnknownTicket(f"there is no ticket {ticket_id}; `aura tickets list` shows those there are")
    return LockedTicket._make(row)


def change(session: Session, ticket_id: int, values: Mapping[str, Any]) -> None:
    """Set columns of a ticket that is held."""
    if values:
        session.execute(update(table(Ticket)).where(_t.id == ticket_id).values(dict(values)))


def record(session: Session, ticket_id: int, author: str, did: str) -> int:
    """Record what somebody did. Returns a number that no other action has."""
    return _add(session, ticket_id, author, did, ACTION)


def comment(session: Session, ticket_id: int, author: str, text: str, source: str) -> int:
    """Add a comment, which the next look of an engine takes into account. Returns its number."""
    change(session, ticket_id, {"changed_at": now()})
    return _add(session, ticket_id, author, text, source)


def _add(session: Session, ticket_id: int, author: str, text: str, source: str) -> int:
    said = {
        "ticket_id": ticket_id,
        "author": storable(author).strip()[:254] or "operator",
        "text": storable(text).strip()[:COMMENT_LIMIT],
        "source": source,
    }
    number: int = session.execute(insert(Comment).values(said).returning(_c.id)).scalar_one()
    return number


def agent_named(session: Session, said: str) -> str | None:
    """Return the name of the agent with this name or e-mail address; None when there is none."""
    wanted = said.strip().lower()
    found = select(Agent.name).where(or_(func.lower(Agent.name) == wanted, func.lower(Agent.email) == wanted))
    return session.scalar(found.order_by(Agent.id).limit(1))


# -- targets ----------------------------------------------------------------------------------------------------------


def any_to_look_at(session: Session) -> bool:
    """Return whether the time of a ticket's target has come to warn or to escalate."""
    return session.scalar(select(_t.id).where(_t.sla_next_at <= now()).limit(1)) is not None


def to_look_at(session: Session, limit: int) -> list[LockedTicket]:
    """Hold the tickets to warn of or to escalate, the oldest first; those that somebody else holds are passed over."""
    due = _HELD.where(_t.sla_next_at <= now()).order_by(_t.sla_next_at).limit(limit)
    return [LockedTicket._make(row) for row in session.execute(due.with_for_update(skip_locked=True))]


_LOOKED_AT = BulkUpdate(
    Ticket,
    {"id": BigInteger(), "due_at": UtcDateTime(), "sla_next_at": UtcDateTime(), "sla_state": String()},
    lambda new: {name: new[name] for name in ("due_at", "sla_next_at", "sla_state")},
)


def looked_at(session: Session, rows: Sequence[Mapping[str, Any]]) -> None:
    """Record of tickets that are held when they are due, when to look again and how far it went."""
    if rows:
        _LOOKED_AT(session, rows)
