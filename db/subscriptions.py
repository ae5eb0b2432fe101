"""Subscriptions of recipients to events of tickets; equal subscriptions are one row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from aura.errors import NotFound
from db.models import Endpoint, Subscription
from db.statements import table, upsert

_c = table(Subscription).c
#: The columns that identify a subscription.
FIELDS = ("recipient", "channel", "event", "category", "priority", "department", "team")


class UnknownSubscription(NotFound):
    """No subscription has this number."""


def all_subscriptions(session: Session) -> list[dict[str, str]]:
    """Return all subscriptions, oldest first."""
    rows = session.execute(select(*(_c[name] for name in FIELDS)).order_by(_c.id))
    return [dict(row) for row in rows.mappings()]


def listing(session: Session, recipient: str | None = None) -> list[dict[str, Any]]:
    """Return the subscriptions with their numbers, of all recipients or of one."""
    query = select(*_c).order_by(_c.recipient, _c.id)
    if recipient is not None:
        query = query.where(_c.recipient == recipient)
    return [dict(row) for row in session.execute(query).mappings()]


def add(session: Session, rows: Sequence[Mapping[str, str]]) -> int:
    """Add subscriptions; a row has all of FIELDS. Returns the number of new ones."""
    new = 0
    for row in rows:
        insert = upsert(session, Subscription).values(**row).on_conflict_do_nothing(index_elements=list(FIELDS))
        new += len(session.execute(insert.returning(_c.id)).all())
    return new


def remove(session: Session, number: int) -> None:
    """Remove a subscription. Raises UnknownSubscription."""
    statement = delete(Subscription).where(_c.id == number).returning(_c.id)
    if not 0 < number < 2**63 or session.execute(statement).first() is None:
        raise UnknownSubscription(f"subscription {number} does not exist")


def remove_all(session: Session, recipient: str, channel: str) -> int:
    """Remove the subscriptions of a recipient on a channel; its case is ignored. Returns their number."""
    own = (func.lower(_c.recipient) == recipient.lower(), _c.channel == channel)
    return len(session.execute(delete(Subscription).where(*own).returning(_c.id)).all())


def endpoints(session: Session) -> set[tuple[str, str]]:
    """Return all endpoints as (channel, name)."""
    return {(row.channel, row.name) for row in session.execute(select(Endpoint.channel, Endpoint.name))}
