"""The audit: who did what, on what, when and from where, written in the transaction of the action itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from db.database import transaction
from db.models import AuditEntry
from db.new_tickets import storable


@dataclass(frozen=True, slots=True)
class Actor:
    """Somebody who does something: `user ada`, `key import`, `cli root@desk`."""

    name: str
    address: str = ""


def record(session: Session, who: Actor, action: str, subject: str, details: dict[str, Any]) -> None:
    """Write that somebody does something, as part of the caller's transaction."""
    said = {name: storable(value)[:500] if isinstance(value, str) else value for name, value in details.items()}
    session.execute(
        insert(AuditEntry).values(
            who=storable(who.name)[:120],
            action=action,
            subject=storable(subject)[:250],
            details={name: value for name, value in said.items() if value not in (None, "", False)},
            address=who.address[:64],
        )
    )


@contextmanager
def acting(who: Actor, action: str, subject: str, **details: Any) -> Iterator[Session]:
    """Do what the block does in one transaction with the row that says who did it; what fails leaves none."""
    with transaction() as session:
        yield session
        record(session, who, action, subject, details)


def listing(
    session: Session, *, subject: str | None = None, who: str | None = None, before: int | None = None, limit: int = 50
) -> list[dict[str, Any]]:
    """Return what was done, the newest first."""
    newest = select(*AuditEntry.__table__.c).order_by(AuditEntry.id.desc()).limit(limit)
    for column, value in ((AuditEntry.subject, subject), (AuditEntry.who, who)):
        if value is not None:
            newest = newest.where(column == value)
    if before is not None:
        newest = newest.where(AuditEntry.id < before)
    return [dict(row._mapping) for row in session.execute(newest)]
