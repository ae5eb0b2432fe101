"""Leader election: a lease in the database, held by one process at a time.

The term of a lease grows with every change of leader, so a write of an earlier leader is recognised.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from db.models import LeaderLease
from db.statements import upsert
from db.time import from_now, now


def acquire(session: Session, name: str, holder: str, seconds: float) -> int | None:
    """Take or renew the lease for some seconds. Returns its term, or None while another process leads.

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
        where=LeaderLease.expires_at < now(),
    ).returning(LeaderLease.term)
    renewed = (
        update(LeaderLease)
        .where(LeaderLease.name == name, LeaderLease.holder == holder, LeaderLease.expires_at >= now())
        .values(expires_at=from_now(seconds))
        .returning(LeaderLease.term)
    )
    return session.scalar(renewed) or session.scalar(statement)


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
