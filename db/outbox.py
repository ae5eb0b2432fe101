"""The transactional outbox: events are recorded with the change that they report, and published by the relay."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from aura.settings import get_settings
from db.jobs import wake_relay
from db.models import OutboxEvent as EventRow
from db.statements import BulkInsert, Prepared, in_subquery, table
from db.time import elapsed

_c = table(EventRow).c
_ANY = Prepared(lambda _session: select(_c.id).limit(1))
_RECORD = BulkInsert(EventRow, ("id", "routing_key", "subject", "data"))


@dataclass(frozen=True, slots=True)
class Event:
    """An event for other services."""

    id: str
    routing_key: str
    subject: str
    data: dict[str, Any]
    created_at: datetime


def routing_word(text: str) -> str:
    """Return the text as one word of a routing key: lower case, no dots."""
    return re.sub(r"[^a-z0-9_-]+", "_", text.lower()).strip("_") or "other"


def record(session: Session, events: Iterable[tuple[str, int, dict[str, Any]]]) -> None:
    """Record events as (routing key, ticket id, data); not in embedded mode, nor with AURA_EVENTS=false."""
    if get_settings().embedded or not get_settings().events:
        return
    rows = [
        {
            "id": uuid.uuid4().hex,
            "routing_key": key[:255],
            "subject": f"ticket/{ticket}",
            "data": {"ticket_id": ticket, **data},
        }
        for key, ticket, data in events
    ]
    if rows:
        _RECORD(session, rows)
        wake_relay(session)


def any_waiting(session: Session) -> bool:
    """Return whether an event waits to be published."""
    return _ANY(session).first() is not None


def oldest(session: Session) -> float:
    """Return the seconds that the oldest event waits to be published; 0 when none waits."""
    return float(session.scalar(select(elapsed(func.min(_c.created_at)))) or 0.0)


def dispatch(session: Session, limit: int) -> list[Event]:
    """Delete and return the oldest events, except those that another relay publishes.

    The caller commits when the broker has confirmed them.
    """
    oldest = select(_c.id).order_by(_c.created_at, _c.id).limit(limit).with_for_update(skip_locked=True)
    rows = session.execute(delete(table(EventRow)).where(in_subquery(session, _c.id, oldest)).returning(*_c))
    events = (Event(row.id, row.routing_key, row.subject, row.data, row.created_at) for row in rows)
    return sorted(events, key=lambda event: (event.created_at, event.id))
