"""Storage interface: writes, reads and deletes the content of an attachment under its key."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

from aura.errors import NotFound, Unavailable
from db.attachments import StoredAttachment


class StorageUnavailable(Unavailable):
    """The storage does not answer, or refuses the request."""


class ContentMissing(NotFound):
    """The storage has no content under the key."""


class Storage(Protocol):
    """A place for contents. A write is complete or has no effect; a repeated one replaces the same content."""

    def write(self, key: str, chunks: Iterable[bytes]) -> None:
        """Store the content durably. Raises StorageUnavailable."""
        ...

    def read(self, key: str) -> Iterator[bytes]:
        """Yield the content in parts. Raises ContentMissing, StorageUnavailable."""
        ...

    def delete(self, key: str) -> None:
        """Delete the content, if it exists. Raises StorageUnavailable."""
        ...


def key_of(attachment: StoredAttachment) -> str:
    """Return the key of an attachment: its SHA-256 and its id.

    No two attachments share a content, so the deletion of one cannot take the content of another. After a restore of an
    older database, a number that is used again has another key.
    """
    return f"{attachment.sha256[:2]}/{attachment.sha256}-{attachment.id}"
