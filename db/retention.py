"""Retention: deletes expired rows, or clears their texts, in batches, which keeps transactions short and VACUUM effective."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, or_, select, update
from sqlalchemy.orm import Session

from db.audit import REFUSALS
from db.models import (
    AiCall,
    Attachment,
    Attempt,
    AuditEntry,
    IdempotencyKey,
    InboundMail,
    MetricSample,
    Notification,
    ScheduleRun,
    SharedCounter,
    SharedText,
    VerdictRecord,
)
from db.statements import in_subquery
from db.time import from_now

#: Retention of idempotency keys and of metric samples, in days.
IDEMPOTENCY_DAYS, SAMPLE_DAYS = 2.0, 30.0
#: Rows of a batch, and attachments of a batch, whose contents are deleted with them.
BATCH, ATTACHMENT_BATCH = 5_000, 200
#: The texts of a verdict; its other columns stay.
_CLEARED: dict[str, Any] = {"reason": "", "summary": "", "self_fix": [], "words": [], "similar": []}


@dataclass(frozen=True, slots=True)
class RetentionRule:
    """A table, its retention in days, and the condition of expired rows, which are deleted or set to `cleared`."""

    model: Any
    days: float
    expired: Callable[[ColumnElement[Any]], ColumnElement[bool]]
    cleared: Mapping[str, Any] | None = None
    #: Rows of a batch; None: BATCH.
    batch: int | None = None


def rules(
    days: float, notifications: float, verdict_texts: float, mails: float, attachments: float, refusals: float
) -> dict[str, RetentionRule]:
    """Return the rules by name; the arguments are days."""
    return {
        "attempts": RetentionRule(Attempt, days, lambda day: Attempt.created_at < day),
        "ai_calls": RetentionRule(AiCall, days, lambda day: AiCall.created_at < day),
        "schedule_runs": RetentionRule(ScheduleRun, days, lambda day: ScheduleRun.started_at < day),
        "idempotency_keys": RetentionRule(
            IdempotencyKey, IDEMPOTENCY_DAYS, lambda day: IdempotencyKey.created_at < day
        ),
        "metric_samples": RetentionRule(MetricSample, SAMPLE_DAYS, lambda day: MetricSample.at < day),
        # an unsent one still has a job or a dead letter
        "notifications": RetentionRule(
            Notification,
            notifications,
            lambda day: and_(Notification.created_at < day, Notification.state.in_(("sent", "digested", "cancelled"))),
        ),
        "verdicts": RetentionRule(
            VerdictRecord,
            verdict_texts,
            lambda day: and_(VerdictRecord.created_at < day, VerdictRecord.reason != ""),
            _CLEARED,
        ),
        "inbound_mails": RetentionRule(
            InboundMail, mails, lambda day: and_(InboundMail.created_at < day, InboundMail.raw != b""), {"raw": b""}
        ),
        # the other entries of the audit log stay
        "audit_log": RetentionRule(
            AuditEntry, refusals, lambda day: and_(AuditEntry.at < day, AuditEntry.action.in_(REFUSALS))
        ),
        "shared_counters": RetentionRule(SharedCounter, 0, lambda now: SharedCounter.expires_at < now),
        "shared_texts": RetentionRule(SharedText, 0, lambda now: SharedText.expires_at < now),
        # without its ticket nobody can open it
        "attachments": RetentionRule(
            Attachment,
            attachments,
            lambda day: or_(Attachment.created_at < day, Attachment.ticket_id.is_(None)),
            batch=ATTACHMENT_BATCH,
        ),
    }


def delete_batch(session: Session, rule: RetentionRule, batch: int = BATCH) -> int:
    """Delete or clear one batch of expired rows. Returns their number."""
    expired = rule.expired(from_now(-rule.days * 86_400))
    if rule.model is MetricSample:  # its primary key has two columns
        first = select(MetricSample.at).where(expired).order_by(MetricSample.at).limit(1).offset(batch)
        result: Any = session.execute(
            delete(MetricSample).where(expired, MetricSample.at <= (session.scalar(first) or from_now(0)))
        )
        return int(result.rowcount)
    key = rule.model.__mapper__.primary_key[0]
    batch_of_rows = in_subquery(session, key, select(key).where(expired).limit(batch))
    statement: Any = delete(rule.model) if rule.cleared is None else update(rule.model).values(dict(rule.cleared))
    result = session.execute(statement.where(batch_of_rows).execution_options(synchronize_session=False))
    return int(result.rowcount)
