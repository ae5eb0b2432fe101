"""Idempotency keys: what a request was answered with, so that the same request again gets the same answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import BigInteger, select, text, update
from sqlalchemy.orm import Session

from db.models import IdempotencyKey
from db.statements import BulkInsert, on_postgresql, table
from db.time import now


class Use(NamedTuple):
    """A key with the fingerprint of the request that came with it."""

    key: str
    fingerprint: str


class Earlier(NamedTuple):
    """What a key was used for before."""

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


def reserve(session: Session, uses: Sequence[Use], patience: float) -> dict[str, Earlier]:
    """Reserve the keys that are new and return what the others were used for; each key once.

    It waits for a request with the same key that is under way elsewhere, so two at once are one ticket; on PostgreSQL for
    `patience` seconds, then it raises OperationalError (LockNotAvailable).
    """
    if not uses:
        return {}
    if on_postgresql(session):
        session.execute(text(f"SET LOCAL lock_timeout = {int(patience * 1000)}"))
    # in one order everywhere, so that two transactions cannot wait for each other
    rows = [{"key": use.key, "fingerprint": use.fingerprint, "ticket_id": 0} for use in sorted(uses)]
    new = set(_RESERVE(session, rows).scalars())
    old = [use.key for use in uses if use.key not in new]
    if not old:
        return {}
    found = session.execute(select(_c.key, _c.fingerprint, _c.ticket_id).where(_c.key.in_(old)))
    return {row.key: Earlier(row.fingerprint, row.ticket_id) for row in found}


def settle(session: Session, answered: Mapping[str, int]) -> None:
    """Record the ticket of each key that was reserved in this transaction."""
    for key, ticket_id in answered.items():
        session.execute(update(table(IdempotencyKey)).where(_c.key == key).values(ticket_id=ticket_id))
