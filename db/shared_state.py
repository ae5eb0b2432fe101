"""Shared state of all workers in the database: counters with limits, and texts that expire."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import case, delete, or_, select, update
from sqlalchemy.orm import Session

from db.models import SharedCounter, SharedText
from db.statements import table, upsert
from db.time import from_now, now

_c, _t = table(SharedCounter).c, table(SharedText).c


class CounterFull(Exception):
    """A counter would exceed its limit; the caller's transaction is rolled back."""

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


class CounterMissing(Exception):
    """A counter that must exist does not; the caller's transaction is rolled back."""


def text(session: Session, key: str) -> str | None:
    """Return a text that has not expired."""
    return session.scalar(select(_t.value).where(_t.key == key, _t.expires_at > now()))


def put(session: Session, key: str, value: str, seconds: float) -> None:
    """Store a text for some seconds."""
    values = {"value": value, "expires_at": from_now(seconds)}
    statement = upsert(session, SharedText).values(key=key, **values)
    session.execute(statement.on_conflict_do_update(index_elements=["key"], set_=values))


def claim(session: Session, key: str, seconds: float) -> bool:
    """Store an empty text for some seconds. Returns False if there is one that has not expired."""
    values = {"value": "", "expires_at": from_now(seconds)}
    statement: Any = upsert(session, SharedText).values(key=key, **values)
    # from before the clock of the database went back: no claim lasts twice as long
    expired = or_(_t.expires_at <= now(), _t.expires_at > from_now(seconds * 2))
    statement = statement.on_conflict_do_update(index_elements=["key"], set_=values, where=expired)
    return session.scalar(statement.returning(_t.key)) is not None


def delete_text(session: Session, key: str) -> None:
    """Delete a text."""
    session.execute(delete(table(SharedText)).where(_t.key == key))


def reserve(
    session: Session, limits: Mapping[str, int], amount: int, seconds: float, existing: Collection[str] = ()
) -> None:
    """Add to every counter, and keep each for some seconds more. Raises CounterFull and CounterMissing.

    The counters are locked in one order, so two reservations cannot deadlock. A counter outside `existing` starts at zero.
    """
    for key in sorted(limits):
        if key not in existing:
            start(session, key, 0, seconds)
        within = update(table(SharedCounter)).where(_c.key == key, _c.amount + amount <= limits[key])
        added = within.values(amount=_c.amount + amount, expires_at=from_now(seconds)).returning(_c.key)
        while session.scalar(added) is None:
            present = session.scalar(select(_c.amount).where(_c.key == key))
            if present is None:
                raise CounterMissing(key)
            if present + amount > limits[key]:
                raise CounterFull(key)
            # another transaction created or lowered it in between


def start(session: Session, key: str, amount: int, seconds: float) -> None:
    """Create a counter unless it exists."""
    new = upsert(session, SharedCounter).values(key=key, amount=amount, expires_at=from_now(seconds))
    session.execute(new.on_conflict_do_nothing(index_elements=["key"]))


def add(session: Session, key: str, amount: int, seconds: float) -> None:
    """Add to a counter that exists, which does not go below zero."""
    total = case((_c.amount + amount < 0, 0), else_=_c.amount + amount)
    session.execute(
        update(table(SharedCounter)).where(_c.key == key).values(amount=total, expires_at=from_now(seconds))
    )
