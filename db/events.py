"""Events that other services may hear: recorded with what makes them true, published by the relay with confirms."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import delete, insert, select
from sqlalchemy.orm import Session

from db.jobs import announce
from db.models import Event
from settings import get_settings


def word(text: str) -> str:
    """Return the text as one word of a routing key: lower case, no dots."""
    return re.sub(r"[^a-z0-9_-]+", "_", text.lower()).strip("_") or "other"


def record(session: Session, happened: Iterable[tuple[str, int, dict[str, Any]]]) -> None:
    """Record events as (routing key, ticket id, data); embedded mode has nobody to tell and records none."""
    if get_settings().embedded:
        return
    rows = [
        {
            "id": uuid.uuid4().hex,
            "routing_key": key[:255],
            "subject": f"ticket/{ticket}",
            "data": {"ticket_id": ticket, **data},
        }
        for key, ticket, data in happened
    ]
    if rows:
        session.execute(insert(Event), rows)
        announce(session)


def waiting(session: Session, limit: int) -> Sequence[Event]:
    """Lock and return the oldest events that are not published yet."""
    oldest = select(Event).order_by(Event.created_at, Event.id).limit(limit).with_for_update(skip_locked=True)
    return session.scalars(oldest).all()


def forget(session: Session, events: Iterable[Event]) -> None:
    """Delete events whose publication the broker has confirmed."""
    session.execute(delete(Event).where(Event.id.in_([event.id for event in events])))
