"""Notifications: written once for each dedupe key, delivered, listed, resent and settled."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Text, case, func, null, or_, select, tuple_, update
from sqlalchemy.orm import Session

from aura.errors import Conflict, NotFound
from db.models import Agent, Notification, Ticket
from db.statements import BulkInsert, BulkUpdate, Prepared, in_list, table
from db.time import now

#: Open tickets of one agent are counted up to this number.
MOST_OPEN_TICKETS = 1000

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
    # the row of an in-app notification is its delivery
    computed=lambda new: {"sent_at": case((new["state"] == "sent", now()), else_=null())},
    finish=lambda insert: insert.on_conflict_do_nothing(index_elements=["dedupe_key"]).returning(_c.id),
)
#: Defaults of the optional columns.
_DEFAULTS: dict[str, Any] = {"data": {}, "delayed_until": None, "traceparent": None}
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
    """Insert notifications and return the ids of the new ones; a row with an existing dedupe key is ignored.

    A delayed notification has `delayed_until`, and optionally the `traceparent` of the span that wrote it. `data` holds the
    facts for programs and is optional.
    """
    if not rows:
        return []
    return list(_WRITE(session, [_DEFAULTS | row for row in rows]).scalars())


class Loaded(NamedTuple):
    """A notification as its delivery needs it."""

    id: str
    ticket_id: int | None
    channel: str
    recipient: str
    role: str
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
    """Mark notifications as sent, given as (id, id at the provider); a repeat changes nothing."""
    if sent:
        _MARK_SENT(session, [{"id": key, "provider_id": provider_id} for key, provider_id in sent])


def agents(session: Session) -> list[tuple[Any, int]]:
    """Return every agent with the number of their open tickets, counted up to MOST_OPEN_TICKETS."""
    return [(row, row.open_tickets) for row in _AGENTS(session)]


def _agents(_session: Session) -> Any:
    # by index and with a limit for each agent: counting all open tickets would grow with the table
    tickets, people = table(Ticket).c, table(Agent)
    assigned = select(tickets.id).where(tickets.assignee == people.c.name, tickets.status.in_(("open", "in_progress")))
    counted = select(func.count()).select_from(assigned.limit(MOST_OPEN_TICKETS).correlate(people).subquery())
    return select(*people.c, counted.scalar_subquery().label("open_tickets"))


_AGENTS = Prepared(_agents)


def address_of(session: Session, user_id: str) -> str | None:
    """Return the e-mail address of an agent by id, name or address, or the id itself when it is an address."""
    known = or_(Agent.name == user_id, Agent.email == user_id)
    if user_id.isdecimal() and len(user_id) < 19:
        known = or_(known, Agent.id == int(user_id))
    address = session.scalar(select(Agent.email).where(known))
    return address or (user_id if "@" in user_id else None)


def is_known(session: Session, address: str) -> bool:
    """Return whether the address is an agent's or the requester's of a ticket, in any case of its letters."""
    spellings = {address, address.lower()}
    agent = select(Agent.id).where(Agent.email.in_(spellings)).limit(1)
    requester = select(Ticket.id).where(Ticket.requester.in_(spellings)).limit(1)
    return session.scalar(agent) is not None or session.scalar(requester) is not None


# -- the inbox: in-app notifications ----------------------------------------------------------------------------------

#: Unread notifications are counted up to this number.
MOST_UNREAD = 1000


class Inbox(NamedTuple):
    """An in-app notification."""

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
    """The cursor names no notification of this recipient."""


def listing(
    session: Session, recipient: str, unread_only: bool = False, before: str | None = None, limit: int = 50
) -> list[Inbox]:
    """Return the in-app notifications of a user name, newest first, older than `before`.

    Raises UnknownCursor when `before` is not a notification of the user.
    """
    inbox = [_c.channel == "in_app", _c.recipient == recipient]
    query = select(*(_c[name] for name in Inbox._fields)).where(*inbox)
    if unread_only:
        query = query.where(_c.read_at.is_(None))
    if before is not None:
        if session.scalar(select(_c.id).where(*inbox, _c.id == before)) is None:
            raise UnknownCursor("before: the notification does not exist any more; start again without a cursor")
        last = select(_c.created_at, _c.id).where(*inbox, _c.id == before).subquery()
        query = query.where(
            tuple_(_c.created_at, _c.id)
            < tuple_(select(last.c.created_at).scalar_subquery(), select(last.c.id).scalar_subquery())
        )
    newest = query.order_by(_c.created_at.desc(), _c.id.desc()).limit(limit)
    return [Inbox._make(row) for row in session.execute(newest)]


def mark_read(session: Session, recipient: str, ids: Sequence[str]) -> int:
    """Mark in-app notifications of a user name as read. Returns the number of those that were unread."""
    unread = (_c.id.in_(ids), _c.channel == "in_app", _c.recipient == recipient, _c.read_at.is_(None))
    statement = update(table(Notification)).where(*unread).values(read_at=now()).returning(_c.id)
    return len(session.execute(statement).all())


def find_in_app(session: Session, recipient: str, notification_id: str) -> Inbox | None:
    """Return an in-app notification of a user name; None when it does not exist."""
    own = (_c.id == notification_id, _c.channel == "in_app", _c.recipient == recipient)
    row = session.execute(select(*(_c[name] for name in Inbox._fields)).where(*own)).first()
    return None if row is None else Inbox._make(row)


def unread(session: Session, recipient: str) -> int:
    """Return the number of unread in-app notifications of a user name, counted up to MOST_UNREAD."""
    unread_ids = select(_c.id).where(_c.channel == "in_app", _c.recipient == recipient, _c.read_at.is_(None))
    return session.scalar(select(func.count()).select_from(unread_ids.limit(MOST_UNREAD).subquery())) or 0


# -- administration ---------------------------------------------------------------------------------------------------

#: States of notifications that can be resent.
RESENDABLE = ("in_doubt", "delayed", "enqueued", "sent", "cancelled")


class UnknownNotification(NotFound):
    """No notification has this id."""


class WrongState(Conflict):
    """The state of the notification does not allow the action; the message names the states that do."""


def overview(
    session: Session,
    state: str | None = None,
    ticket_id: int | None = None,
    limit: int = 50,
    channel: str | None = None,
    recipient: str | None = None,
) -> list[dict[str, Any]]:
    """Return the newest notifications without their bodies, by state, ticket, channel or recipient."""
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
    query = select(*(_c[name] for name in (*shown, "created_at", "sent_at")))
    filters = ((_c.state, state), (_c.ticket_id, ticket_id), (_c.channel, channel), (_c.recipient, recipient))
    for column, value in filters:
        if value is not None:
            query = query.where(column == value)
    newest = query.order_by(_c.created_at.desc(), _c.id).limit(limit)
    return [dict(row) for row in session.execute(newest).mappings()]


def in_doubt_count(session: Session) -> int:
    """Return the number of notifications in doubt."""
    return session.scalar(select(func.count()).where(_c.state == "in_doubt")) or 0


def resend(session: Session, notification_id: str) -> str:
    """Mark a delayed, sent or doubtful notification as enqueued. Returns its channel; the caller enqueues the job.

    It keeps its id, by which a receiver recognises a repeat. Raises UnknownNotification, WrongState.
    """
    return _move(session, notification_id, RESENDABLE, "enqueued")


def settle(session: Session, notification_id: str) -> str:
    """Mark a notification in doubt as sent. Returns its channel. Raises UnknownNotification, WrongState."""
    return _move(session, notification_id, ("in_doubt",), "sent")


def _move(session: Session, notification_id: str, allowed: Sequence[str], state: str) -> str:
    statement = (
        update(table(Notification))
        .where(_c.id == notification_id, _c.state.in_(allowed), _c.channel != "in_app")
        .values(state=state, delayed_until=None, sent_at=func.coalesce(_c.sent_at, now()) if state == "sent" else None)
        .returning(_c.channel)
    )
    channel = session.scalar(statement)
    if channel is not None:
        return str(channel)
    row = session.execute(select(_c.state, _c.channel, _c.digest_id).where(_c.id == notification_id)).first()
    if row is None:
        raise UnknownNotification(f"notification {notification_id} does not exist")
    if row.channel == "in_app":
        raise WrongState(f"notification {notification_id} is in-app: its row is the delivery")
    digest = f" (digest {row.digest_id})" if row.digest_id else ""
    raise WrongState(f"notification {notification_id} is {row.state}{digest}; it must be {' or '.join(allowed)}")
