"""What waits for its recipient: held rows of one (channel, recipient), until they go out alone or as one digest.

promised <---alone--- waiting ---several---> folded (its digest is a notification like any other)
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
from db.statements import on_postgresql, table, text_array, unnest
from db.time import elapsed, from_now, now

_c = table(Notification).c
#: Seconds within which too many messages to one recipient are a storm.
STORM_SECONDS = 60.0


class Changed(JobError):
    """Somebody moved what waits, such as by sending it at once: the next try sees what is left."""


class Waiting(NamedTuple):
    """A notification that waits, without its texts."""

    id: str
    ticket_id: int | None
    event: str
    role: str
    subject: str
    data: dict[str, Any]
    traceparent: str | None


def clock(session: Session) -> datetime:
    """Return the database's time."""
    moment: datetime = session.execute(select(now())).scalar_one()
    return moment


def recent(
    session: Session, addressed: Collection[tuple[str, str]], limit: int
) -> tuple[dict[tuple[str, str], int], datetime | None]:
    """Return how many notifications each (channel, recipient) got in the last minute, counted up to `limit`.

    And the database's time; None when nobody is asked about.
    """
    by_channel: defaultdict[str, list[str]] = defaultdict(list)
    for channel, recipient in sorted(addressed):
        by_channel[channel].append(recipient)
    counts: dict[tuple[str, str], int] = {}
    moment: datetime | None = None
    statement = _counting(on_postgresql(session), session)
    for channel, recipients in by_channel.items():
        values = {"channel": channel, "limit": limit, "recipients": text_array(session, recipients)}
        for recipient, count, at in session.connection().execute(statement, values):
            counts[channel, recipient], moment = count, at
    return counts, moment


_statements: dict[bool, Any] = {}


def _counting(postgresql: bool, session: Session) -> Any:
    """Return the statement that counts for many recipients; built once, for that takes longer than running it."""
    if postgresql not in _statements:
        asked = unnest(session, "recipients")
        theirs = (
            select(_c.id)
            .where(
                _c.channel == bindparam("channel"),
                _c.recipient == asked.c.value,
                _c.created_at > from_now(-STORM_SECONDS),
            )
            .limit(bindparam("limit", type_=Integer))
            .correlate(asked)
        )
        number = select(func.count()).select_from(theirs.subquery()).scalar_subquery()
        _statements[postgresql] = select(asked.c.value, number, now())
    return _statements[postgresql]


def over(session: Session, channel: str, recipient: str, limit: int) -> list[Waiting]:
    """Return what has waited long enough for one recipient, oldest first."""
    wanted = (
        select(*(_c[name] for name in Waiting._fields))
        .where(*_waiting(channel, recipient), _c.delayed_until <= now())
        .order_by(_c.delayed_until, _c.created_at, _c.id)
        .limit(limit)
    )
    return [Waiting._make(row) for row in session.execute(wanted)]


def move(session: Session, ids: Sequence[str], **values: Any) -> None:
    """Change these that wait, all or none. Raises Changed when one of them waits no longer."""
    if not ids:
        return
    mine = _c.id.in_(select(unnest(session, "ids").c.value))
    moved = update(table(Notification)).where(mine, _c.state == "delayed").values(**values).returning(_c.id)
    if len(session.execute(moved, {"ids": text_array(session, ids)}).all()) != len(ids):
        raise Changed("somebody moved what waits here meanwhile")


def waited_for(session: Session, names: Collection[str]) -> list[tuple[str, str]]:
    """Return under which (channel, recipient) something waits for these names, which are in lower case."""
    found = session.execute(select(_c.channel, _c.recipient).where(_c.state == "delayed").distinct())
    # not by SQL: SQLite knows the lower case of ASCII alone
    return sorted((row.channel, row.recipient) for row in found if row.recipient.lower() in names)


def overview(session: Session) -> list[dict[str, Any]]:
    """Return for whom something waits, how much, and when the first of it goes out."""
    first = func.min(_c.delayed_until).label("goes_at")
    waiting = select(_c.channel, _c.recipient, func.count().label("waiting"), first).where(_c.state == "delayed")
    grouped = waiting.group_by(_c.channel, _c.recipient).order_by(first)
    return [dict(row) for row in session.execute(grouped).mappings()]


def reschedule(session: Session, channel: str, recipient: str, until: datetime, but: Collection[str]) -> int:
    """Let what waits for one recipient wait until then, without these events. Returns how many."""
    theirs = update(table(Notification)).where(*_waiting(channel, recipient), _c.event.not_in(but))
    return len(session.execute(theirs.values(delayed_until=until).returning(_c.id)).all())


def next_end(session: Session, channel: str, recipient: str) -> float | None:
    """Return in how many seconds the next one has waited long enough; None when nothing waits."""
    since = session.scalar(select(elapsed(func.min(_c.delayed_until))).where(*_waiting(channel, recipient)))
    return None if since is None else max(-since, 0.0)


def _waiting(channel: str, recipient: str) -> tuple[Any, ...]:
    return (_c.channel == channel, _c.recipient == recipient, _c.state == "delayed")
