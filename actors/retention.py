"""Retention: delete expired rows, one batch for each job, until none is left."""

from __future__ import annotations

from sqlalchemy.orm import Session

from aura.errors import NotFound
from aura.jobs.actor import JobResult, durable
from aura.settings import get_settings
from db import jobs, retention
from db.jobs import Claimed, NewJob

#: Seconds between two batches, which leave time for other writers and VACUUM.
BATCH_INTERVAL = 1.0


def rules() -> dict[str, retention.RetentionRule]:
    """Return the retention rules of the settings, by name."""
    settings = get_settings()
    return retention.rules(
        settings.job_retention_days,
        settings.notification_retention_days,
        settings.verdict_text_retention_days,
        settings.mail_retention_days,
    )


def save_deleted(session: Session, done: list[JobResult]) -> None:
    """Delete one batch of each rule; after a full one enqueue the next job."""
    for each in done:
        if retention.delete_batch(session, each.result) >= retention.BATCH:
            jobs.enqueue(session, [NewJob(each.job.actor, each.job.key, delay=BATCH_INTERVAL)])


@durable(queue_name="retention", save=save_deleted, batch=1, background=True)
def delete_expired(batch: list[Claimed]) -> list[retention.RetentionRule | NotFound]:
    """Return the rule that each job names; the transaction that completes the job deletes."""
    by_name = rules()
    return [by_name.get(job.key) or NotFound(f"retention rule {job.key!r} does not exist") for job in batch]
