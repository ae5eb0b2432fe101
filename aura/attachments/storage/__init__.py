"""Storage of attachment contents outside the database: a folder, or an S3-compatible store."""

from aura.attachments.storage.base import ContentMissing, Storage, StorageUnavailable, key_of
from aura.attachments.storage.factory import make_storage, probe

__all__ = ["ContentMissing", "Storage", "StorageUnavailable", "key_of", "make_storage", "probe"]
