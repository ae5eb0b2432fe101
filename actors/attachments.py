"""The actor `move_attachment`: moves the content of an attachment from the database to the folder or the store.

A content is always stored in the database first, in the transaction that adds the attachment: no mail waits for a storage
that is down, and a transaction that is rolled back leaves no content behind. The transaction that completes the job deletes
the content from the database, after the storage has confirmed it. A crash in between repeats the write, under the same key.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import structlog
from sqlalchemy.orm import Session

from aura.attachments.content import read_content
from aura.attachments.storage import key_of, make_storage
from aura.errors import AuraError
from aura.jobs.actor import JobResult, durable
from aura.jobs.one_by_one import OneByOne
from aura.settings import get_settings
from db import attachments, jobs, transaction
from db.attachments import DATABASE, StoredAttachment
from db.database import after_commit
from db.ids import parse_ids
from db.jobs import NewJob

logger = structlog.get_logger("aura.attachments")

#: Attempts of a move: with pauses of up to ten minutes, about a day.
ATTEMPTS = 150
#: Attachments of one hint, which are moved one after the other.
BATCH = 20
#: Milliseconds that one move may take.
TIME_LIMIT = 120_000


def load(session: Session, keys: Sequence[str]) -> Mapping[str, StoredAttachment | None]:
    """Return the attachments by key; None for one that was deleted since."""
    found = {str(each.id): each for each in attachments.by_ids(session, parse_ids(keys))}
    return {key: found.get(key) for key in keys}


def save(session: Session, done: list[JobResult]) -> None:
    """Record the storages that have the contents now; the content of a row that was deleted meanwhile is deleted there."""
    for each in done:
        if each.result is None:
            continue
        attachments.mark_moved(session, each.item.id, each.result)
        if not attachments.by_ids(session, [each.item.id]):
            after_commit(session, partial(_delete, each.item, each.result))


@durable(
    queue_name="attachments",
    load=load,
    save=save,
    kind=OneByOne,
    batch=BATCH,
    max_attempts=ATTEMPTS,
    time_limit=TIME_LIMIT,
)
def move_attachment(batch: list[StoredAttachment | None]) -> list[str | AuraError | None]:
    """Write each content to the configured storage, and return the storage's name; None where nothing was to do."""
    return [_move(each) for each in batch]


def enqueue_moves(attachment_ids: Sequence[int]) -> None:
    """Enqueue the moves of contents in the open transaction, unless the database is their place."""
    if attachment_ids and get_settings().attachments != DATABASE:
        with transaction() as session:
            jobs.enqueue(session, [NewJob(move_attachment.actor_name, str(number)) for number in attachment_ids])


def _delete(attachment: StoredAttachment, storage: str) -> None:
    try:
        make_storage(storage).delete(key_of(attachment))
    except AuraError as error:
        logger.error("content of a deleted attachment not deleted", key=key_of(attachment), error=str(error))


def _move(attachment: StoredAttachment | None) -> str | AuraError | None:
    target = get_settings().attachments
    if attachment is None or attachment.storage != DATABASE or target == DATABASE:
        return None
    try:
        make_storage(target).write(key_of(attachment), read_content(attachment))
    except AuraError as error:
        return error
    return target
