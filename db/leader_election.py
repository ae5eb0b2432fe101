"""Leader election: a lease in the database, held by one process at a time.

The term of a lease grows with every change of leader, so a write of an earlier leader is recognised. A lease that would last
longer than any process asks for is from before the database's clock went back, and counts as expired.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from db.models import LeaderLease
from db.statements import upsert
from db.time import from_now, now


class Lease(NamedTuple):
    """A lease that the caller holds: its term, and the time of the database."""

    term: int
    now: datetime


def acquire(session: Session, name: str, holder: str, seconds: float) -> int | None:
    """Take or renew the lease for some seconds. Returns its term, or None while another process leads."""
    lease = acquire_lease(session, name, holder, seconds)
    return lease.term if lease is not None else None


def acquire_lease(session: Session, name: str, holder: str, seconds: float) -> Lease | None:
    """Take or renew the lease for some seconds. Returns None while another process leads.

    The term grows with every change of leader, so a write of an older leader is recognised.
    """
    statement: Any = upsert(session, LeaderLease).values(name=name, holder=holder, term=1, expires_at=from_now(seconds))
    statement = statement.on_conflict_do_update(
        index_elements=["name"],
        set_={
            "term": LeaderLease.term + 1,
            "holder": holder,
            "expires_at": from_now(seconds),
        },
        where=or_(LeaderLease.expires_at < now(), LeaderLease.expires_at > from_now(seconds * 2)),
    ).returning(LeaderLease.term, now().label("now"))
    renewed = (
        update(LeaderLease)
        .where(LeaderLease.name == name, LeaderLease.holder == holder, LeaderLease.expires_at >= now())
        .values(expires_at=from_now(seconds))
        .returning(LeaderLease.term, now().label("now"))
    )
    row = session.execute(renewed).one_or_none() or session.execute(statement).one_or_none()
    return Lease(row.term, row.now) if row is not None else None


def is_held(session: Session, name: str) -> bool:
    """Return whether a process holds the lease."""
    held = select(LeaderLease.name).where(LeaderLease.name == name, LeaderLease.expires_at >= now())
    return session.scalar(held) is not None


def renew(session: Session, name: str, holder: str, term: int, seconds: float) -> bool:
    """Extend the lease by some seconds. Returns False when another process holds it."""
    own = update(LeaderLease).where(
        LeaderLease.name == name,
        LeaderLease.holder == holder,
        LeaderLease.term == term,
        LeaderLease.expires_at >= now(),
    )
    return session.scalar(own.values(expires_at=from_now(seconds)).returning(LeaderLease.term)) is not None


def extend(session: Session, name: str, holder: str, seconds: float) -> None:
    """Extend the lease by some seconds, in the transaction that has locked its row."""
    session.execute(
        update(LeaderLease)
        .where(LeaderLease.name == name, LeaderLease.holder == holder)
        .values(expires_at=from_now(seconds))
    )


def release(session: Session, name: str, holder: str) -> None:
    """Release the lease, so that another process can acquire it at once."""
    session.execute(
        update(LeaderLease)
        .where(LeaderLease.name == name, LeaderLease.holder == holder)
        .values(expires_at=from_now(-1))
    )
