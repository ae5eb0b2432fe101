"""Reads the content of an attachment in parts, from the database, the folder or the store."""

from __future__ import annotations

from collections.abc import Iterator

from aura.attachments.storage import ContentMissing, key_of, make_storage
from db import attachments, reading
from db.attachments import DATABASE, StoredAttachment


def read_content(attachment: StoredAttachment) -> Iterator[bytes]:
    """Yield the content in parts. Each part is read in its own transaction, so that a slow reader holds none.

    Raises ContentMissing, StorageUnavailable, ConfigurationError.
    """
    if not attachment.storage:
        raise ContentMissing(f"attachment {attachment.id} is not stored: {attachment.reason}")
    if attachment.storage != DATABASE:
        yield from make_storage(attachment.storage).read(key_of(attachment))
        return
    sent = number = 0
    while sent < attachment.size:
        with reading() as session:
            chunk = attachments.read_chunk(session, attachment.id, number)
        if chunk is None:
            yield from _moved(attachment, sent)
            return
        yield chunk
        sent, number = sent + len(chunk), number + 1


def _moved(attachment: StoredAttachment, sent: int) -> Iterator[bytes]:
    """Yield the rest of a content that was moved to another storage, or deleted, while it was read."""
    with reading() as session:
        current = attachments.by_ids(session, [attachment.id])
    if not current or current[0].storage in ("", DATABASE):
        raise ContentMissing(f"the content of attachment {attachment.id} is deleted")
    for part in make_storage(current[0].storage).read(key_of(attachment)):
        skipped = min(sent, len(part))
        sent -= skipped
        if skipped < len(part):
            yield part[skipped:]
