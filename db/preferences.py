"""Preferences of recipients: language, quiet hours, digest; one row for each e-mail address or user name, in lower case."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from db.models import Preference
from db.statements import table, upsert
from db.time import now

_c = table(Preference).c
#: The columns of a preference.
FIELDS = ("language", "timezone", "quiet_from", "quiet_to", "digest", "digest_at")


def all_preferences(session: Session) -> dict[str, dict[str, str]]:
    """Return all preferences by recipient."""
    rows = session.execute(select(_c.recipient, *(_c[name] for name in FIELDS)).order_by(_c.recipient))
    return {row.recipient: {name: getattr(row, name) for name in FIELDS} for row in rows}


def save(session: Session, recipient: str, values: Mapping[str, str]) -> None:
    """Set these columns of a recipient's preference; the others keep their values."""
    row: dict[str, Any] = {"recipient": recipient.lower(), **values}
    changed = {**values, "changed_at": now()}
    session.execute(
        upsert(session, Preference).values(row).on_conflict_do_update(index_elements=["recipient"], set_=changed)
    )


def remove(session: Session, recipient: str) -> bool:
    """Remove the preference of a recipient. Returns whether there was one."""
    statement = delete(Preference).where(_c.recipient == recipient.lower()).returning(_c.recipient)
    return session.execute(statement).first() is not None
