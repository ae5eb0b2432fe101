"""Endpoints: named URLs of Slack, Teams, webhooks and apprise, with the keys that sign messages.

Every function takes the caller's session and commits nothing. The returned objects show neither URL nor key when printed.
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
    """No endpoint has this name."""


@dataclass(frozen=True, slots=True)
class EndpointAddress:
    """The URL of an endpoint, and its signing keys, newest first."""

    name: str
    channel: str
    url: str = field(repr=False)
    keys: tuple[str, ...] = field(repr=False)


_COLUMNS = (_c.name, _c.channel, _c.url, _c.secret, _c.old_secret)
_FIND = Prepared(lambda session: select(*_COLUMNS).where(in_list(session, _c.name, "names")))


def find(session: Session, names: Collection[str]) -> dict[str, EndpointAddress]:
    """Return the endpoints of these names; unknown ones are left out."""
    return {
        row.name: EndpointAddress(
            row.name, row.channel, row.url, tuple(key for key in (row.secret, row.old_secret) if key)
        )
        for row in _FIND(session, names=list(names))
    }


def listing(session: Session) -> list[EndpointAddress]:
    """Return every endpoint, by name."""
    names = session.scalars(select(_c.name).order_by(_c.name)).all()
    found = find(session, names)
    return [found[name] for name in names if name in found]


def get(session: Session, name: str) -> EndpointAddress:
    """Return an endpoint. Raises UnknownEndpoint."""
    found = find(session, [name])
    if name not in found:
        raise UnknownEndpoint(f"endpoint {name!r} does not exist")
    return found[name]


def add(session: Session, name: str, channel: str, url: str, secret: str = "") -> bool:
    """Add an endpoint. Returns False, and changes nothing, when the name exists."""
    values = {"name": name, "channel": channel, "url": url, "secret": secret, "old_secret": "", "changed_at": now()}
    statement = upsert(session, Endpoint).values(**values).on_conflict_do_nothing(index_elements=["name"])
    return session.scalar(statement.returning(_c.name)) is not None


def set_url(session: Session, name: str, url: str) -> None:
    """Set the URL of an endpoint; its keys stay. Raises UnknownEndpoint."""
    get(session, name)
    session.execute(update(table(Endpoint)).where(_c.name == name).values(url=url, changed_at=now()))


def rotate(session: Session, name: str, secret: str) -> None:
    """Add a signing key; the previous one signs too, an older one no longer. Raises UnknownEndpoint."""
    get(session, name)
    new = {"secret": secret, "old_secret": _c.secret, "changed_at": now()}
    session.execute(update(table(Endpoint)).where(_c.name == name).values(**new))


def drop_old_secret(session: Session, name: str) -> bool:
    """Remove the previous signing key. Returns whether there was one. Raises UnknownEndpoint."""
    had = len(get(session, name).keys) > 1
    session.execute(update(table(Endpoint)).where(_c.name == name).values(old_secret="", changed_at=now()))
    return had


def remove(session: Session, name: str) -> int:
    """Delete an endpoint. Returns the number of subscriptions that still name it. Raises UnknownEndpoint."""
    channel = get(session, name).channel
    session.execute(delete(Endpoint).where(_c.name == name))
    remaining = select(Subscription.id).where(Subscription.channel == channel, Subscription.recipient == name)
    return len(session.scalars(remaining).all())
