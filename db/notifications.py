"""Notifications: written once per dedupe key, and marked when they were sent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Text, case, func, or_, select
from sqlalchemy.orm import Session

from db.bulk import BulkInsert, BulkUpdate, table
from db.models import Agent, Notification, Ticket
from db.time import now

#: Open tickets of one agent that are counted; whoever has more is busy all the same.
MOST_COUNTED = 1000

_c = table(Notification).c
_WRITE = BulkInsert(
    Notification,
    (
        "id",
        "ticket_id",
        "event",
        "channel",
        "recipient",
        "role",
        "dedupe_key",
        "subject",
        "body",
        "html",
        "state",
    ),
    finish=lambda insert: insert.on_conflict_do_nothing(index_elements=["dedupe_key"]).returning(_c.id),
)
_MARK_SENT = BulkUpdate(
    Notification,
    {"id": Text(), "provider_id": Text()},
    lambda new: {
        "state": "sent",
        "sent_at": func.coalesce(_c.sent_at, now()),
        "provider_id": case((_c.state == "sent", _c.provider_id), else_=new["provider_id"]),
    },
)


def write(session: Session, rows: Sequence[dict[str, Any]]) -> list[str]:
    """Insert notifications and return the ids of the new ones; a dedupe key that exists adds none."""
    return list(_WRITE(session, rows).scalars()) if rows else []


class Loaded(NamedTuple):
    """What a channel needs of a notification."""

    id: str
    ticket_id: int | None
    recipient: str
    subject: str
    body: str
    html: str
    state: str
    provider_id: str


_LOADED = select(*[_c[name] for name in Loaded._fields])


def load(session: Session, keys: Sequence[str]) -> dict[str, Loaded]:
    """Return the notifications by id; unknown ids are left out."""
    return {row[0]: Loaded._make(row) for row in session.execute(_LOADED.where(_c.id.in_(keys)))}


def mark_sent(session: Session, sent: Sequence[tuple[str, str]]) -> None:
    """Record deliveries as (id, the provider's id); the first time counts, a repeat changes nothing."""
    if sent:
        _MARK_SENT(session, [{"id": key, "provider_id": theirs} for key, theirs in sent])


def agents(session: Session) -> list[tuple[Agent, int]]:
    """Return every agent with the number of open tickets they have, counted up to MOST_COUNTED."""
    # for each agent by the index and with an end: counting all open tickets would grow with the table
    theirs = select(Ticket.id).where(Ticket.assignee == Agent.name, Ticket.status.in_(("open", "in_progress")))
    counted = select(func.count()).select_from(theirs.limit(MOST_COUNTED).correlate(Agent).subquery())
    return [(agent, count) for agent, count in session.execute(select(Agent, counted.scalar_subquery()))]


def address_of(session: Session, user_id: str) -> str | None:
    """Return the e-mail address of an agent by id, name or address, or the id itself when it is an address."""
    known = or_(Agent.name == user_id, Agent.email == user_id)
    if user_id.isdecimal() and len(user_id) < 19:
        known = or_(known, Agent.id == int(user_id))
    address = session.scalar(select(Agent.email).where(known))
    return address or (user_id if "@" in user_id else None)
