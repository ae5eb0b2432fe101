"""Pruning: the ledger and what was sent long ago, in batches that keep no lock for long."""

from __future__ import annotations

from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from db.models import AiCall, Attempt, IdempotencyKey, Notification, ScheduleRun
from db.time import from_now

#: Days that an Idempotency-Key is remembered.
IDEMPOTENCY_DAYS = 2


def prune(session: Session, days: float, batch: int = 5000) -> int:
    """Delete one batch of what is older than `days`: attempts, sent notifications, what was sent to a remote engine,
    schedule runs. Returns how many.
    """
    old = from_now(-days * 86400)
    chosen = [
        (Attempt, select(Attempt.id).where(Attempt.created_at < old)),
        (Notification, select(Notification.id).where(Notification.state == "sent", Notification.sent_at < old)),
        (AiCall, select(AiCall.id).where(AiCall.created_at < old)),
        (ScheduleRun, select(ScheduleRun.id).where(ScheduleRun.started_at < old)),
        (
            IdempotencyKey,
            select(IdempotencyKey.key).where(IdempotencyKey.created_at < from_now(-IDEMPOTENCY_DAYS * 86400)),
        ),
    ]
    deleted = 0
    for model, ids in chosen:
        key: Any = model.__mapper__.primary_key[0]
        statement = delete(model).where(key.in_(ids.limit(batch).scalar_subquery()))
        result: Any = session.execute(statement.execution_options(synchronize_session=False))
        deleted += result.rowcount
    return deleted
