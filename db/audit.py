"""Audit log: who did what to which object, when and from which address, written in the transaction of the action."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from db.database import transaction
from db.models import AuditEntry
from db.text import storable

#: Actions of refused requests, whose entries are deleted after a time of their own: wrong password, wrong code, throttled
#: login, wrong key, missing scope or CSRF token.
REFUSALS = ("login.refuse", "login.code", "login.throttle", "key.refuse", "access.refuse")


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts: `user ada`, `key import`, `cli root@desk`; with the IP address of a request."""

    name: str
    address: str = ""


def record(session: Session, who: Actor, action: str, subject: str, details: dict[str, Any]) -> None:
    """Add an entry in the caller's transaction; texts are cut at 500 characters, empty details left out."""
    stored = {name: storable(value)[:500] if isinstance(value, str) else value for name, value in details.items()}
    session.execute(
        insert(AuditEntry).values(
            who=storable(who.name)[:120],
            action=action,
            subject=storable(subject)[:250],
            details={name: value for name, value in stored.items() if value not in (None, "", False)},
            address=who.address[:64],
        )
    )


@contextmanager
def acting(who: Actor, action: str, subject: str, **details: Any) -> Iterator[Session]:
    """Run the block in one transaction with its audit entry; a block that raises leaves neither."""
    with transaction() as session:
        yield session
        record(session, who, action, subject, details)


def listing(
    session: Session, *, subject: str | None = None, who: str | None = None, before: int | None = None, limit: int = 50
) -> list[dict[str, Any]]:
    """Return entries, the newest first: of one subject, of one actor, with ids below `before`."""
    newest = select(*AuditEntry.__table__.c).order_by(AuditEntry.id.desc()).limit(limit)
    for column, value in ((AuditEntry.subject, subject), (AuditEntry.who, who)):
        if value is not None:
            newest = newest.where(column == value)
    if before is not None:
        newest = newest.where(AuditEntry.id < before)
    return [dict(row._mapping) for row in session.execute(newest)]
