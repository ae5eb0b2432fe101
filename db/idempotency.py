"""Idempotency keys: a repeated request of a client gets the ticket of the first one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import attrgetter
from typing import NamedTuple

from sqlalchemy import BigInteger, ColumnElement, Text, delete, select, text, update
from sqlalchemy.orm import Session

from db.clients import key_digest
from db.models import IdempotencyKey
from db.statements import BulkInsert, NewRow, on_postgresql, table
from db.time import now


class KeyUse(NamedTuple):
    """The stored form of a key and the fingerprint of its request."""

    key: str
    fingerprint: str
    #: The form in which versions before 0.4 stored it, for all clients; the same request of that time is found by it.
    legacy: str | None = None


def use_of(client: str, key: str, fingerprint: str, line: int | None = None) -> KeyUse:
    """Return the use of a client's key, or of a line of its bulk request."""
    return KeyUse(key_digest(client, key, line), fingerprint, key if line is None else f"{key}#{line}")


class PreviousUse(NamedTuple):
    """The request and the ticket that a key was used for."""

    fingerprint: str
    ticket_id: int


_c = table(IdempotencyKey).c


def _is_legacy(new: NewRow) -> ColumnElement[bool]:
    earlier = table(IdempotencyKey).alias("earlier")
    same = select(earlier.c.key).where(earlier.c.key == new["legacy"], earlier.c.fingerprint == new["fingerprint"])
    # a scalar subquery is an index scan for each row; EXISTS may become a scan of the whole table
    return same.limit(1).scalar_subquery().is_not(None)


_RESERVE = BulkInsert(
    IdempotencyKey,
    ("key", "fingerprint"),
    inputs={"ticket_id": BigInteger(), "legacy": Text()},
    unless=_is_legacy,
    computed=lambda new: {"ticket_id": new["ticket_id"], "created_at": now()},
    finish=lambda insert: insert.on_conflict_do_nothing(index_elements=["key"]).returning(_c.key),
)


def reserve(session: Session, uses: Sequence[KeyUse], patience: float) -> dict[str, PreviousUse]:
    """Reserve new keys and return the previous use of the others; the keys must be distinct.

    Waits for a concurrent request with the same key, on PostgreSQL for `patience` seconds. Raises OperationalError
    (LockNotAvailable) afterwards.
    """
    if not uses:
        return {}
    if on_postgresql(session):
        session.execute(text(f"SET LOCAL lock_timeout = {int(patience * 1000)}"))
    # one order in all transactions prevents deadlocks
    ordered = sorted(uses, key=attrgetter("key"))
    legacy = {} if on_postgresql(session) else _legacy(session, ordered)
    rows = [{**use._asdict(), "ticket_id": 0} for use in ordered if use.key not in legacy]
    new = set(_RESERVE(session, rows).scalars()) if rows else set()
    old = [use for use in ordered if use.key not in new and use.key not in legacy]
    if not old:
        return legacy
    previous = session.execute(select(_c.key, _c.fingerprint, _c.ticket_id).where(_c.key.in_([use.key for use in old])))
    found = {row.key: PreviousUse(row.fingerprint, row.ticket_id) for row in previous}
    return found | legacy | _legacy(session, [use for use in old if use.key not in found])


def _legacy(session: Session, uses: Sequence[KeyUse]) -> dict[str, PreviousUse]:
    """Return the previous uses that an earlier version stored, with the same fingerprint."""
    by_key = {use.legacy: use for use in uses if use.legacy is not None}
    if not by_key:
        return {}
    rows = session.execute(select(_c.key, _c.fingerprint, _c.ticket_id).where(_c.key.in_(by_key)))
    return {
        by_key[row.key].key: PreviousUse(row.fingerprint, row.ticket_id)
        for row in rows
        if row.fingerprint == by_key[row.key].fingerprint
    }


def release(session: Session, keys: Sequence[str]) -> None:
    """Forget the keys of requests that were refused after `reserve`."""
    if keys:
        session.execute(delete(table(IdempotencyKey)).where(_c.key.in_(keys)))


def record_tickets(session: Session, ticket_ids: Mapping[str, int]) -> None:
    """Record the ticket id of each key that this transaction reserved."""
    for key, ticket_id in ticket_ids.items():
        session.execute(update(table(IdempotencyKey)).where(_c.key == key).values(ticket_id=ticket_id))
