"""Housekeeping: what is old goes a batch at a time, each batch a job of its own, until nothing old is left."""

from __future__ import annotations

from sqlalchemy.orm import Session

from aura.jobs.actor import JobResult, durable
from aura.settings import get_settings
from db import jobs, retention
from db.jobs import Claimed, NewJob

#: Seconds between two batches, in which others write and VACUUM works.
REST = 1.0


def rules() -> dict[str, retention.RetentionRule]:
    """Return what goes when, as the settings say."""
    settings = get_settings()
    return retention.rules(
        settings.job_retention_days,
        settings.notification_retention_days,
        settings.verdict_text_retention_days,
        settings.mail_retention_days,
    )


def save_deleted(session: Session, done: list[JobResult]) -> None:
    """Prune one batch of each, and come back for what may be left."""
    for each in done:
        if retention.delete_batch(session, each.result) >= retention.BATCH:
            jobs.enqueue(session, [NewJob(each.job.actor, each.job.key, delay=REST)])


@durable(queue_name="retention", save=save_deleted, batch=1, background=True)
def delete_expired(batch: list[Claimed]) -> list[retention.RetentionRule | LookupError]:
    """Find the rule that each job names; the work itself is in the transaction that keeps the job."""
    known = rules()
    return [known.get(job.key) or LookupError(f"there is no rule {job.key!r}") for job in batch]
