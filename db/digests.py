"""Delayed notifications of one (channel, recipient), until they are delivered alone or as one digest.

    enqueued <---alone--- delayed ---several---> digested (the digest is a notification like any other)

Every function takes the caller's session and commits nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Integer, bindparam, func, select, update
from sqlalchemy.orm import Session

from aura.errors import JobError
from db.models import Notification
from db.statements import Prepared, table, text_array, unnest
from db.time import elapsed, from_now, now

_c = table(Notification).c
#: Seconds within which the notifications to one recipient are counted.
STORM_SECONDS = 60.0


class ConcurrentChange(JobError):
    """Another transaction changed a delayed notification, such as by sending it; the next attempt reads what is left."""


class DelayedNotification(NamedTuple):
    """A delayed notification without its body."""

    id: str
    ticket_id: int | None
    event: str
    role: str
    subject: str
    data: dict[str, Any]
    traceparent: str | None


def current_time(session: Session) -> datetime:
    """Return the database's time."""
    moment: datetime = session.execute(select(now())).scalar_one()
    return moment


def count_recent(
    session: Session, addresses: Collection[tuple[str, str]], limit: int
) -> tuple[dict[tuple[str, str], int], datetime]:
    """Return the notifications of the last minute by (channel, recipient), counted up to `limit`; and the database's time."""
    recipients: defaultdict[str, list[str]] = defaultdict(list)
    for channel, recipient in sorted(addresses):
        recipients[channel].append(recipient)
    counts: dict[tuple[str, str], int] = {}
    moment: datetime | None = None
    for channel, names in recipients.items():
        for recipient, count, at in _COUNT_RECENT(session, channel=channel, limit=limit, recipients=names):
            counts[channel, recipient], moment = count, at
    return counts, moment or current_time(session)


def _count_recent(session: Session) -> Any:
    names = unnest(session, "recipients")
    recent = (
        select(_c.id)
        .where(
            _c.channel == bindparam("channel"),
            _c.recipient == names.c.value,
            _c.created_at > from_now(-STORM_SECONDS),
        )
        .limit(bindparam("limit", type_=Integer))
        .correlate(names)
    )
    return select(names.c.value, select(func.count()).select_from(recent.subquery()).scalar_subquery(), now())


_COUNT_RECENT = Prepared(_count_recent)


def due(session: Session, channel: str, recipient: str, limit: int) -> list[DelayedNotification]:
    """Return the notifications of a recipient whose delay has ended, oldest first."""
    query = (
        select(*(_c[name] for name in DelayedNotification._fields))
        .where(*_delayed(channel, recipient), _c.delayed_until <= now())
        .order_by(_c.delayed_until, _c.created_at, _c.id)
        .limit(limit)
    )
    return [DelayedNotification._make(row) for row in session.execute(query)]


def move(session: Session, ids: Sequence[str], **values: Any) -> None:
    """Update these delayed notifications, all or none. Raises ConcurrentChange when one is no longer delayed."""
    if not ids:
        return
    chosen = _c.id.in_(select(unnest(session, "ids").c.value))
    statement = update(table(Notification)).where(chosen, _c.state == "delayed").values(**values).returning(_c.id)
    if len(session.execute(statement, {"ids": text_array(session, ids)}).all()) != len(ids):
        raise ConcurrentChange("another transaction changed a delayed notification")


def delayed_addresses(session: Session, names: Collection[str]) -> list[tuple[str, str]]:
    """Return the (channel, recipient) pairs of these recipients, given in lower case, that have delayed notifications."""
    rows = session.execute(select(_c.channel, _c.recipient).where(_c.state == "delayed").distinct())
    # lower() of SQLite changes ASCII letters only
    return sorted((row.channel, row.recipient) for row in rows if row.recipient.lower() in names)


def overview(session: Session) -> list[dict[str, Any]]:
    """Return the number of delayed notifications of each (channel, recipient), and when the first is delivered."""
    first = func.min(_c.delayed_until).label("delayed_until")
    delayed = select(_c.channel, _c.recipient, func.count().label("delayed"), first).where(_c.state == "delayed")
    query = delayed.group_by(_c.channel, _c.recipient).order_by(first)
    return [dict(row) for row in session.execute(query).mappings()]


def reschedule(session: Session, channel: str, recipient: str, until: datetime, except_events: Collection[str]) -> int:
    """Delay the delayed notifications of a recipient, except of these events, until then. Returns their number.

    Those that are due within a minute stay: a storm delayed them, not the preference.
    """
    later = (_c.event.not_in(except_events), _c.delayed_until > from_now(STORM_SECONDS))
    chosen = update(table(Notification)).where(*_delayed(channel, recipient), *later)
    return len(session.execute(chosen.values(delayed_until=until).returning(_c.id)).all())


def seconds_to_next(session: Session, channel: str, recipient: str) -> float | None:
    """Return the seconds until the next delay of a recipient ends; None when nothing is delayed."""
    since = session.scalar(select(elapsed(func.min(_c.delayed_until))).where(*_delayed(channel, recipient)))
    return None if since is None else max(-since, 0.0)


def _delayed(channel: str, recipient: str) -> tuple[Any, ...]:
    return (_c.channel == channel, _c.recipient == recipient, _c.state == "delayed")
