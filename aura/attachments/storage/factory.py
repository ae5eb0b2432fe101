"""Makes the storage of a kind from the settings, and checks the configured one."""

from __future__ import annotations

import uuid

from aura.attachments.storage.base import Storage, StorageUnavailable
from aura.attachments.storage.folder import FolderStorage
from aura.errors import ConfigurationError
from aura.settings import get_settings
from db.attachments import FOLDER, S3


def make_storage(kind: str) -> Storage:
    """Return the storage of a kind: folder or s3. Raises ConfigurationError when its setting is missing.

    The kind is that of an attachment, which may differ from AURA_ATTACHMENTS after the setting changed.
    """
    settings = get_settings()
    if kind == FOLDER and settings.attachments_folder is not None:
        return FolderStorage(settings.attachments_folder)
    if kind == S3 and settings.attachments_s3_url is not None:
        from aura.attachments.storage.s3 import S3Storage

        return S3Storage(settings.attachments_s3_url.get_secret_value())
    variable = "AURA_ATTACHMENTS_FOLDER" if kind == FOLDER else "AURA_ATTACHMENTS_S3_URL"
    raise ConfigurationError(f"{variable}: not set, but attachments are stored there")


def probe(storage: Storage) -> None:
    """Write, read and delete a small content. Raises StorageUnavailable."""
    key, content = f"probe/{uuid.uuid4().hex}", b"aura doctor"
    storage.write(key, [content])
    try:
        if b"".join(storage.read(key)) != content:
            raise StorageUnavailable("the content that was read differs from the content that was written")
    finally:
        storage.delete(key)
