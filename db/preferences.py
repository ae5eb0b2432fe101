"""Preferences: how somebody wants to be told; one row for each address or user name, in lower case."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from db.models import Preference
from db.statements import table, upsert
from db.time import now

_c = table(Preference).c
#: What somebody prefers.
FIELDS = ("language", "timezone", "quiet_from", "quiet_to", "digest", "digest_at")


def every(session: Session) -> dict[str, dict[str, str]]:
    """Return all preferences by recipient."""
    found = session.execute(select(_c.recipient, *(_c[name] for name in FIELDS)).order_by(_c.recipient))
    return {row.recipient: {name: getattr(row, name) for name in FIELDS} for row in found}


def put(session: Session, recipient: str, values: Mapping[str, str]) -> None:
    """Set these of somebody's preferences; those that are not named stay as they are."""
    row: dict[str, Any] = {"recipient": recipient.lower(), **values}
    changed = {**values, "changed_at": now()}
    session.execute(
        upsert(session, Preference).values(row).on_conflict_do_update(index_elements=["recipient"], set_=changed)
    )


def forget(session: Session, recipient: str) -> bool:
    """Forget all preferences of somebody. Returns whether there were any."""
    gone = delete(Preference).where(_c.recipient == recipient.lower()).returning(_c.recipient)
    return session.execute(gone).first() is not None
