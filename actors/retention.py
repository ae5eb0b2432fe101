"""Retention: delete expired rows, one batch for each job, until none is left."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from sqlalchemy import and_, false, or_
from sqlalchemy.orm import Session

from aura.attachments.storage import StorageUnavailable, key_of, make_storage
from aura.errors import AuraError, ConfigurationError, NotFound
from aura.jobs.actor import JobResult, durable
from aura.settings import get_settings
from db import attachments, jobs, reading, retention
from db.attachments import StoredAttachment
from db.jobs import Claimed, NewJob
from db.models import Attachment

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
        settings.attachment_retention_days,
        settings.refusal_retention_days,
    )


def save_deleted(session: Session, done: list[JobResult]) -> None:
    """Delete one batch of each rule; after a full one enqueue the next job."""
    for each in done:
        if retention.delete_batch(session, each.result) >= (each.result.batch or retention.BATCH):
            jobs.enqueue(session, [NewJob(each.job.actor, each.job.key, delay=BATCH_INTERVAL)])


@durable(queue_name="retention", save=save_deleted, batch=1, background=True)
def delete_expired(batch: list[Claimed]) -> list[retention.RetentionRule | AuraError]:
    """Return the rule that each job names; the transaction that completes the job deletes."""
    by_name = rules()
    return [_prepared(by_name[job.key]) if job.key in by_name else _unknown(job.key) for job in batch]


def _unknown(name: str) -> NotFound:
    return NotFound(f"retention rule {name!r} does not exist")


def _prepared(rule: retention.RetentionRule) -> retention.RetentionRule | AuraError:
    """Delete the contents of expired attachments outside the database, and return the rule for exactly these rows.

    A row outlives its content, and never the other way round: after a crash in between, the next attempt finds the row. A
    content that moves meanwhile stays, with its row, until the next run.
    """
    if rule.model is not Attachment:
        return rule
    with reading() as session:
        expired = attachments.expired(session, rule.days, rule.batch or retention.BATCH)
    try:
        for each in expired:
            if each.storage not in ("", attachments.DATABASE):
                make_storage(each.storage).delete(key_of(each))
        _delete_interrupted([each for each in expired if each.storage == attachments.DATABASE])
    except (StorageUnavailable, ConfigurationError) as error:
        return error
    seen: dict[str, list[int]] = {}
    for each in expired:
        seen.setdefault(each.storage, []).append(each.id)
    unchanged = [and_(Attachment.storage == storage, Attachment.id.in_(ids)) for storage, ids in seen.items()]
    return replace(rule, expired=lambda _day: or_(false(), *unchanged))


def _delete_interrupted(stored: Sequence[StoredAttachment]) -> None:
    """Delete what interrupted moves wrote. A storage that is down has seldom some of it, and delays no retention."""
    target = get_settings().attachments
    if target == attachments.DATABASE:
        return
    with suppress(StorageUnavailable):
        for each in stored:
            make_storage(target).delete(key_of(each))
