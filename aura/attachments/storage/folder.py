"""Storage in a folder, local or mounted: a file for each content, complete from the moment it has its name."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from aura.attachments.storage.base import ContentMissing, StorageUnavailable
from db.attachments import CHUNK


class FolderStorage:
    """Stores contents below a folder, readable by the user of the process alone."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write(self, key: str, chunks: Iterable[bytes]) -> None:
        """Write a temporary file, flush it to the disk, and rename it."""
        path = self._folder / key
        temporary = path.with_name(f".{uuid.uuid4().hex}")
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                for chunk in chunks:
                    file.write(chunk)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
            _flush(path.parent)
        except BaseException as error:
            # also when the chunks cannot be read: nothing else would ever delete this file
            with suppress(OSError):
                temporary.unlink()
            if isinstance(error, OSError):
                raise self._unavailable(error) from None
            raise

    def read(self, key: str) -> Iterator[bytes]:
        """Yield the content in chunks."""
        try:
            with (self._folder / key).open("rb") as file:
                while chunk := file.read(CHUNK):
                    yield chunk
        except FileNotFoundError as error:
            if not self._folder.is_dir():
                raise self._unavailable(error) from None
            raise ContentMissing(f"the file {key} is missing in the folder of attachments") from None
        except OSError as error:
            raise self._unavailable(error) from None

    def delete(self, key: str) -> None:
        """Delete the file, if it exists; without the folder, which is not mounted then, it may exist."""
        try:
            (self._folder / key).unlink()
        except OSError as error:
            if isinstance(error, FileNotFoundError) and self._folder.is_dir():
                return
            raise self._unavailable(error) from None

    def _unavailable(self, error: OSError) -> StorageUnavailable:
        return StorageUnavailable(
            f"the folder of attachments, {self._folder}: {error.strerror or type(error).__name__}"
        )


def _flush(folder: Path) -> None:
    """Write the entries of a folder to the disk, so that a rename survives a power failure."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
