"""Retention: what is old goes, or loses its texts, a batch at a time, so that no transaction is long and VACUUM keeps up."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, select, update
from sqlalchemy.orm import Session

from db.models import (
    AiCall,
    Attempt,
    IdempotencyKey,
    InboundMail,
    MetricSample,
    Notification,
    ScheduleRun,
    VerdictRecord,
)
from db.statements import in_subquery
from db.time import from_now

#: Days that an Idempotency-Key is remembered, and that samples are kept.
IDEMPOTENCY_DAYS, SAMPLE_DAYS = 2.0, 30.0
#: Rows of one batch.
BATCH = 5_000
#: What a verdict keeps for ever are its figures.
_WORDLESS: dict[str, Any] = {"reason": "", "summary": "", "self_fix": [], "words": [], "similar": []}


@dataclass(frozen=True, slots=True)
class Rule:
    """Of which table which rows go, after how many days; with `blank` they stay, and these columns are emptied."""

    model: Any
    days: float
    old: Callable[[ColumnElement[Any]], ColumnElement[bool]]
    blank: Mapping[str, Any] | None = None


def rules(days: float, notifications: float, verdict_texts: float, mails: float) -> dict[str, Rule]:
    """Return what goes when, by name; the arguments are days."""
    return {
        "attempts": Rule(Attempt, days, lambda day: Attempt.created_at < day),
        "calls": Rule(AiCall, days, lambda day: AiCall.created_at < day),
        "slots": Rule(ScheduleRun, days, lambda day: ScheduleRun.started_at < day),
        "keys": Rule(IdempotencyKey, IDEMPOTENCY_DAYS, lambda day: IdempotencyKey.created_at < day),
        "samples": Rule(MetricSample, SAMPLE_DAYS, lambda day: MetricSample.at < day),
        # what is not sent yet is somebody's to hear, or a dead letter's
        "notifications": Rule(
            Notification,
            notifications,
            lambda day: and_(Notification.created_at < day, Notification.state.in_(("sent", "digested"))),
        ),
        "verdicts": Rule(
            VerdictRecord,
            verdict_texts,
            lambda day: and_(VerdictRecord.created_at < day, VerdictRecord.reason != ""),
            _WORDLESS,
        ),
        "mails": Rule(
            InboundMail, mails, lambda day: and_(InboundMail.created_at < day, InboundMail.raw != b""), {"raw": b""}
        ),
    }


def delete_batch(session: Session, rule: Rule, batch: int = BATCH) -> int:
    """Delete or blank one batch of what is old. Returns how many rows."""
    old = rule.old(from_now(-rule.days * 86_400))
    if rule.model is MetricSample:  # its key is a pair
        first = select(MetricSample.at).where(old).order_by(MetricSample.at).limit(1).offset(batch)
        result: Any = session.execute(
            delete(MetricSample).where(old, MetricSample.at <= (session.scalar(first) or from_now(0)))
        )
        return int(result.rowcount)
    key = rule.model.__mapper__.primary_key[0]
    chosen = in_subquery(session, key, select(key).where(old).limit(batch))
    statement: Any = delete(rule.model) if rule.blank is None else update(rule.model).values(dict(rule.blank))
    result = session.execute(statement.where(chosen).execution_options(synchronize_session=False))
    return int(result.rowcount)
