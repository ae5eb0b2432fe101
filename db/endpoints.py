"""Endpoints: where a channel leads that is no person, with the keys that sign what goes there.

Every function takes the caller's session and commits nothing. What it returns shows neither URL nor key when it is printed.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from aura.errors import NotFound
from db.models import Endpoint, Subscription
from db.statements import Prepared, in_list, table, upsert
from db.time import now

_c = table(Endpoint).c


class UnknownEndpoint(NotFound):
    """There is no such endpoint; the text names the command that lists those there are."""


@dataclass(frozen=True, slots=True)
class Reachable:
    """An endpoint as a delivery needs it; `keys` are those that sign, the newest first."""

    name: str
    channel: str
    url: str = field(repr=False)
    keys: tuple[str, ...] = field(repr=False)


_FOUND = (_c.name, _c.channel, _c.url, _c.secret, _c.old_secret)
_FIND = Prepared(lambda session: select(*_FOUND).where(in_list(session, _c.name, "names")))


def find(session: Session, names: Collection[str]) -> dict[str, Reachable]:
    """Return the endpoints of these names; unknown ones are left out."""
    return {
        row.name: Reachable(row.name, row.channel, row.url, tuple(key for key in (row.secret, row.old_secret) if key))
        for row in _FIND(session, names=list(names))
    }


def listing(session: Session) -> list[Reachable]:
    """Return every endpoint, by name."""
    names = session.scalars(select(_c.name).order_by(_c.name)).all()
    found = find(session, names)
    return [found[name] for name in names if name in found]


def get(session: Session, name: str) -> Reachable:
    """Return an endpoint. Raises UnknownEndpoint."""
    found = find(session, [name])
    if name not in found:
        raise UnknownEndpoint(f"there is no endpoint {name!r}; `aura endpoints list` shows those there are")
    return found[name]


def add(session: Session, name: str, channel: str, url: str, secret: str = "") -> bool:
    """Add an endpoint. Returns False, and changes nothing, when there is one of that name."""
    values = {"name": name, "channel": channel, "url": url, "secret": secret, "old_secret": "", "changed_at": now()}
    statement = upsert(session, Endpoint).values(**values).on_conflict_do_nothing(index_elements=["name"])
    return session.scalar(statement.returning(_c.name)) is not None


def move(session: Session, name: str, url: str) -> None:
    """Let an endpoint lead to another URL; its keys stay. Raises UnknownEndpoint."""
    get(session, name)
    session.execute(update(table(Endpoint)).where(_c.name == name).values(url=url, changed_at=now()))


def rotate(session: Session, name: str, secret: str) -> None:
    """Sign with a new key from now on; the one until now signs too, one before that no more. Raises UnknownEndpoint."""
    get(session, name)
    new = {"secret": secret, "old_secret": _c.secret, "changed_at": now()}
    session.execute(update(table(Endpoint)).where(_c.name == name).values(**new))


def drop_old(session: Session, name: str) -> bool:
    """Sign with the newest key alone. Returns whether there was another. Raises UnknownEndpoint."""
    had = len(get(session, name).keys) > 1
    session.execute(update(table(Endpoint)).where(_c.name == name).values(old_secret="", changed_at=now()))
    return had


def remove(session: Session, name: str) -> int:
    """Delete an endpoint. Returns how many subscriptions still lead there. Raises UnknownEndpoint."""
    channel = get(session, name).channel
    session.execute(delete(Endpoint).where(_c.name == name))
    leading = select(Subscription.id).where(Subscription.channel == channel, Subscription.recipient == name)
    return len(session.scalars(leading).all())
