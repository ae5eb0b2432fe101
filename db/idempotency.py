"""Idempotency keys: a repeated request gets the ticket of the first one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import BigInteger, select, text, update
from sqlalchemy.orm import Session

from db.models import IdempotencyKey
from db.statements import BulkInsert, on_postgresql, table
from db.time import now


class KeyUse(NamedTuple):
    """A key and the fingerprint of its request."""

    key: str
    fingerprint: str


class PreviousUse(NamedTuple):
    """The request and the ticket that a key was used for."""

    fingerprint: str
    ticket_id: int


_c = table(IdempotencyKey).c
_RESERVE = BulkInsert(
    IdempotencyKey,
    ("key", "fingerprint"),
    inputs={"ticket_id": BigInteger()},
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
    rows = [{"key": use.key, "fingerprint": use.fingerprint, "ticket_id": 0} for use in sorted(uses)]
    new = set(_RESERVE(session, rows).scalars())
    old = [use.key for use in uses if use.key not in new]
    if not old:
        return {}
    previous = session.execute(select(_c.key, _c.fingerprint, _c.ticket_id).where(_c.key.in_(old)))
    return {row.key: PreviousUse(row.fingerprint, row.ticket_id) for row in previous}


def record_tickets(session: Session, ticket_ids: Mapping[str, int]) -> None:
    """Record the ticket id of each key that this transaction reserved."""
    for key, ticket_id in ticket_ids.items():
        session.execute(update(table(IdempotencyKey)).where(_c.key == key).values(ticket_id=ticket_id))
