"""Shared state of all workers in the database: counters with limits, and texts that expire."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Float,
    String,
    bindparam,
    case,
    cast,
    column,
    delete,
    func,
    or_,
    select,
    update,
)
from sqlalchemy.orm import Session

from db.models import SharedCounter, SharedText
from db.statements import BulkInsert, Prepared, in_list, in_subquery, table, upsert
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


# -- many at once, on PostgreSQL: keys are locked in their order, so two transactions cannot deadlock


def put_many(session: Session, values: Mapping[str, tuple[str, float]]) -> None:
    """Store texts, each for some seconds."""
    _PUT(session, [{"key": key, "value": text, "lasts": seconds} for key, (text, seconds) in sorted(values.items())])


def claim_many(session: Session, seconds: Mapping[str, float]) -> set[str]:
    """Store empty texts, each for some seconds; as `claim`. Returns the keys that had none."""
    rows = [{"key": key, "value": "", "lasts": lasts} for key, lasts in sorted(seconds.items())]
    return set(_CLAIM(session, rows).scalars())


def delete_texts(session: Session, keys: Collection[str]) -> None:
    """Delete texts."""
    _DELETE(session, keys=sorted(keys))


def texts(session: Session, keys: Collection[str]) -> dict[str, str]:
    """Return those of the texts that have not expired, by key."""
    return {row.key: row.value for row in _TEXTS(session, keys=sorted(keys))}


def lock_counters(
    session: Session, keys: Collection[str], new: Collection[str], seconds: float
) -> tuple[dict[str, int], int]:
    """Create those of `new` that do not exist, lock all, and return their amounts and the time in microseconds."""
    if new:
        _START(session, [{"key": key, "amount": 0, "lasts": seconds} for key in sorted(new)])
    rows = _LOCK(session, keys=sorted(keys)).all()
    return {row.key: row.amount for row in rows}, max((row.now for row in rows), default=0)


def set_counters(session: Session, amounts: Mapping[str, int], seconds: float) -> None:
    """Set the amounts of locked counters, and keep each for some seconds more."""
    if amounts:
        _SET(session, keys=list(amounts), amounts=list(amounts.values()), lasts=seconds)


def _put(statement: Any) -> Any:
    values = {"value": statement.excluded.value, "expires_at": statement.excluded.expires_at}
    return statement.on_conflict_do_update(index_elements=["key"], set_=values)


def _claim(statement: Any) -> Any:
    until = statement.excluded.expires_at
    # from before the clock of the database went back: no claim lasts twice as long
    expired = or_(_t.expires_at <= now(), _t.expires_at - until > until - now())
    values = {"value": statement.excluded.value, "expires_at": until}
    return statement.on_conflict_do_update(index_elements=["key"], set_=values, where=expired).returning(_t.key)


def _delete(session: Session) -> Any:
    found = select(_t.key).where(in_list(session, _t.key, "keys")).order_by(_t.key).with_for_update()
    return delete(table(SharedText)).where(in_subquery(session, _t.key, found))


def _lock(session: Session) -> Any:
    microseconds = cast(func.extract("epoch", func.clock_timestamp()) * 1_000_000, BigInteger)
    found = select(_c.key, _c.amount, microseconds.label("now")).where(in_list(session, _c.key, "keys"))
    return found.order_by(_c.key).with_for_update()


def _set(_session: Session) -> Any:
    values = func.unnest(
        bindparam("keys", type_=ARRAY(String)), bindparam("amounts", type_=ARRAY(BigInteger))
    ).table_valued(column("key", String), column("amount", BigInteger), name="changed")
    changed = values.render_derived()
    statement = update(table(SharedCounter)).where(_c.key == changed.c.key)
    return statement.values(amount=changed.c.amount, expires_at=from_now(bindparam("lasts", type_=Float)))


_LASTS = {"lasts": Float()}
_PUT = BulkInsert(
    SharedText,
    ("key", "value"),
    inputs=_LASTS,
    computed=lambda new: {"expires_at": from_now(new["lasts"])},
    finish=_put,
)
_CLAIM = BulkInsert(
    SharedText,
    ("key", "value"),
    inputs=_LASTS,
    computed=lambda new: {"expires_at": from_now(new["lasts"])},
    finish=_claim,
)
_START = BulkInsert(
    SharedCounter,
    ("key", "amount"),
    inputs=_LASTS,
    computed=lambda new: {"expires_at": from_now(new["lasts"])},
    finish=lambda statement: statement.on_conflict_do_nothing(index_elements=["key"]),
)
_TEXTS = Prepared(
    lambda session: select(_t.key, _t.value).where(in_list(session, _t.key, "keys"), _t.expires_at > now())
)
_DELETE, _LOCK, _SET = Prepared(_delete), Prepared(_lock), Prepared(_set)
