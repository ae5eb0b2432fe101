"""Notifications: written once per dedupe key, and marked when they were sent."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Text, case, func, null, or_, select, tuple_, update
from sqlalchemy.orm import Session

from aura.errors import NotFound
from db.models import Agent, Notification, Ticket
from db.statements import BulkInsert, BulkUpdate, Prepared, in_list, table
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
        "data",
        "state",
        "delayed_until",
        "traceparent",
    ),
    # what is written as sent, in-app, is delivered by being there
    computed=lambda new: {"sent_at": case((new["state"] == "sent", now()), else_=null())},
    finish=lambda insert: insert.on_conflict_do_nothing(index_elements=["dedupe_key"]).returning(_c.id),
)
#: What a row need not say.
_UNSAID: dict[str, Any] = {"data": {}, "delayed_until": None, "traceparent": None}
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
    """Insert notifications and return the ids of the new ones; a dedupe key that exists adds none.

    Of what waits a row says until when, as `delayed_until`, and may name the span that wrote it, as `traceparent`; a row without
    facts for programs needs no `data`.
    """
    if not rows:
        return []
    return list(_WRITE(session, [_UNSAID | row for row in rows]).scalars())


class Loaded(NamedTuple):
    """What a channel needs of a notification."""

    id: str
    ticket_id: int | None
    channel: str
    recipient: str
    subject: str
    body: str
    state: str
    provider_id: str
    event: str
    data: dict[str, Any]
    created_at: datetime


_LOAD = Prepared(lambda session: select(*[_c[name] for name in Loaded._fields]).where(in_list(session, _c.id, "ids")))


def load(session: Session, keys: Sequence[str]) -> dict[str, Loaded]:
    """Return the notifications by id; unknown ids are left out."""
    return {row[0]: Loaded._make(row) for row in _LOAD(session, ids=list(keys))}


def mark_sent(session: Session, sent: Sequence[tuple[str, str]]) -> None:
    """Record deliveries as (id, the provider's id); the first time counts, a repeat changes nothing."""
    if sent:
        _MARK_SENT(session, [{"id": key, "provider_id": theirs} for key, theirs in sent])


def agents(session: Session) -> list[tuple[Any, int]]:
    """Return every agent with the number of open tickets they have, counted up to MOST_COUNTED."""
    return [(row, row.has) for row in _AGENTS(session)]


def _agents(_session: Session) -> Any:
    # for each agent by the index and with an end: counting all open tickets would grow with the table
    tickets, people = table(Ticket).c, table(Agent)
    theirs = select(tickets.id).where(tickets.assignee == people.c.name, tickets.status.in_(("open", "in_progress")))
    counted = select(func.count()).select_from(theirs.limit(MOST_COUNTED).correlate(people).subquery())
    return select(*people.c, counted.scalar_subquery().label("has"))


_AGENTS = Prepared(_agents)


def address_of(session: Session, user_id: str) -> str | None:
    """Return the e-mail address of an agent by id, name or address, or the id itself when it is an address."""
    known = or_(Agent.name == user_id, Agent.email == user_id)
    if user_id.isdecimal() and len(user_id) < 19:
        known = or_(known, Agent.id == int(user_id))
    address = session.scalar(select(Agent.email).where(known))
    return address or (user_id if "@" in user_id else None)


# -- the inbox: what somebody was told in-app -------------------------------------------------------------------------

#: Unread notifications that are counted.
MOST_UNREAD = 1000


class Inbox(NamedTuple):
    """An in-app notification as its reader sees it."""

    id: str
    ticket_id: int | None
    event: str
    role: str
    subject: str
    body: str
    data: dict[str, Any]
    created_at: datetime
    read_at: datetime | None


class UnknownCursor(NotFound):
    """The cursor names no notification of this recipient; the text says what to do."""


def listing(
    session: Session, recipient: str, unread_only: bool = False, before: str | None = None, limit: int = 50
) -> list[Inbox]:
    """Return the in-app notifications of a user name, newest first, from the one after `before` on.

    Raises UnknownCursor when `before` is none of theirs: else what follows it would be missed in silence.
    """
    theirs = [_c.channel == "in_app", _c.recipient == recipient]
    wanted = select(*(_c[name] for name in Inbox._fields)).where(*theirs)
    if unread_only:
        wanted = wanted.where(_c.read_at.is_(None))
    if before is not None:
        if session.scalar(select(_c.id).where(*theirs, _c.id == before)) is None:
            raise UnknownCursor("there is no such notification any more; begin again without a cursor")
        last = select(_c.created_at, _c.id).where(*theirs, _c.id == before).subquery()
        wanted = wanted.where(
            tuple_(_c.created_at, _c.id)
            < tuple_(select(last.c.created_at).scalar_subquery(), select(last.c.id).scalar_subquery())
        )
    newest = wanted.order_by(_c.created_at.desc(), _c.id.desc()).limit(limit)
    return [Inbox._make(row) for row in session.execute(newest)]


def mark_read(session: Session, recipient: str, ids: Sequence[str]) -> int:
    """Record that somebody has read these; what is not theirs, or was read before, stays as it is. Returns how many."""
    theirs = (_c.id.in_(ids), _c.channel == "in_app", _c.recipient == recipient, _c.read_at.is_(None))
    read = update(table(Notification)).where(*theirs).values(read_at=now()).returning(_c.id)
    return len(session.execute(read).all())


def one(session: Session, recipient: str, notification_id: str) -> Inbox | None:
    """Return an in-app notification of a user name, if there is such a one."""
    theirs = (_c.id == notification_id, _c.channel == "in_app", _c.recipient == recipient)
    row = session.execute(select(*(_c[name] for name in Inbox._fields)).where(*theirs)).first()
    return None if row is None else Inbox._make(row)


def unread(session: Session, recipient: str) -> int:
    """Return how many in-app notifications somebody has not read, counted up to MOST_UNREAD."""
    theirs = select(_c.id).where(_c.channel == "in_app", _c.recipient == recipient, _c.read_at.is_(None))
    return session.scalar(select(func.count()).select_from(theirs.limit(MOST_UNREAD).subquery())) or 0


# -- by hand ----------------------------------------------------------------------------------------------------------

#: What a person may send once more: what waits, what nobody knows of, and what has arrived already.
RESENDABLE = ("in_doubt", "delayed", "enqueued", "sent")


class NotPossible(NotFound):
    """There is no such notification, or it is in no state for this; the text says what to do."""


def overview(
    session: Session,
    state: str | None = None,
    ticket_id: int | None = None,
    limit: int = 50,
    channel: str | None = None,
    recipient: str | None = None,
) -> list[dict[str, Any]]:
    """Return the newest notifications without their texts: in a state, of a ticket, on a channel, to somebody."""
    shown = (
        "id",
        "ticket_id",
        "event",
        "channel",
        "recipient",
        "role",
        "state",
        "subject",
        "delayed_until",
        "digest_id",
    )
    wanted = select(*(_c[name] for name in (*shown, "created_at", "sent_at")))
    asked = ((_c.state, state), (_c.ticket_id, ticket_id), (_c.channel, channel), (_c.recipient, recipient))
    for column, value in asked:
        if value is not None:
            wanted = wanted.where(column == value)
    newest = wanted.order_by(_c.created_at.desc(), _c.id).limit(limit)
    return [dict(row) for row in session.execute(newest).mappings()]


def unknown(session: Session) -> int:
    """Return how many notifications wait for a person, because nobody knows whether they left."""
    return session.scalar(select(func.count()).where(_c.state == "in_doubt")) or 0


def resend(session: Session, notification_id: str) -> str:
    """Promise the delivery of a notification now, whether it waits, is unknown or was sent. Returns its channel.

    It keeps its id, by which a receiver tells a repeat. Raises NotPossible.
    """
    return _move(session, notification_id, RESENDABLE, "enqueued", "can be sent again")


def settle(session: Session, notification_id: str) -> str:
    """Record that a notification of which nobody knew has arrived. Returns its channel. Raises NotPossible."""
    return _move(session, notification_id, ("in_doubt",), "sent", "can be settled")


def _move(session: Session, notification_id: str, allowed: Sequence[str], state: str, can: str) -> str:
    moved = (
        update(table(Notification))
        .where(_c.id == notification_id, _c.state.in_(allowed), _c.channel != "in_app")
        .values(state=state, delayed_until=None, sent_at=func.coalesce(_c.sent_at, now()) if state == "sent" else None)
        .returning(_c.channel)
    )
    channel = session.scalar(moved)
    if channel is not None:
        return str(channel)
    found = session.execute(select(_c.state, _c.channel, _c.digest_id).where(_c.id == notification_id)).first()
    if found is None:
        raise NotPossible(f"there is no notification {notification_id}; `aura notices list` shows those there are")
    if found.channel == "in_app":
        raise NotPossible(f"{notification_id} is an in-app notification: it is delivered by being there")
    part = f" into {found.digest_id}" if found.digest_id else ""
    raise NotPossible(f"{notification_id} is {found.state}{part}; only what is {' or '.join(allowed)} {can}")
