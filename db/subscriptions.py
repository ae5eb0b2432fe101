"""Subscriptions: who wants to know of which events; the same one twice is one row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from aura.errors import NotFound
from db.ids import is_id
from db.models import Endpoint, Subscription
from db.statements import table, upsert

_c = table(Subscription).c
#: What makes a subscription the one that it is.
FIELDS = ("recipient", "channel", "event", "category", "priority", "department", "team")


class UnknownSubscription(NotFound):
    """There is no subscription with this number."""


def every(session: Session) -> list[dict[str, str]]:
    """Return every subscription, the oldest first."""
    found = session.execute(select(*(_c[name] for name in FIELDS)).order_by(_c.id))
    return [dict(row) for row in found.mappings()]


def listing(session: Session, recipient: str | None = None) -> list[dict[str, Any]]:
    """Return the subscriptions with their numbers, all or those of one recipient."""
    wanted = select(*_c).order_by(_c.recipient, _c.id)
    if recipient is not None:
        wanted = wanted.where(_c.recipient == recipient)
    return [dict(row) for row in session.execute(wanted).mappings()]


def add(session: Session, rows: Sequence[Mapping[str, str]]) -> int:
    """Subscribe; a row has all of FIELDS. Returns how many are new."""
    new = 0
    for row in rows:
        insert = upsert(session, Subscription).values(**row).on_conflict_do_nothing(index_elements=list(FIELDS))
        new += len(session.execute(insert.returning(_c.id)).all())
    return new


def remove(session: Session, number: int) -> None:
    """Forget a subscription. Raises UnknownSubscription."""
    gone = delete(Subscription).where(_c.id == number).returning(_c.id)
    if not is_id(number) or session.execute(gone).first() is None:
        raise UnknownSubscription(f"there is no subscription {number}; `aura subscriptions list` shows those there are")


def endpoints(session: Session) -> set[tuple[str, str]]:
    """Return the endpoints there are, as (channel, name)."""
    return {(row.channel, row.name) for row in session.execute(select(Endpoint.channel, Endpoint.name))}
