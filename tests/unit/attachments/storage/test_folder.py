"""Storage in a folder: whole files or none."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from aura.attachments.storage import ContentMissing, StorageUnavailable, probe
from aura.attachments.storage.folder import FolderStorage

KEY = "ab/abcdef-17"


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_a_content_is_written_read_replaced_and_deleted(tmp_path: Path):
    storage = FolderStorage(tmp_path / "attachments")

    storage.write(KEY, [b"one ", b"two"])
    storage.write(KEY, [b"one ", b"two"])

    assert b"".join(storage.read(KEY)) == b"one two"
    (path,) = files(tmp_path)
    assert path == tmp_path / "attachments" / KEY
    assert path.stat().st_mode & 0o077 == 0 and path.parent.stat().st_mode & 0o077 == 0
    storage.delete(KEY)
    storage.delete(KEY)
    assert files(tmp_path) == []
    with pytest.raises(ContentMissing):
        list(storage.read(KEY))


def test_an_interrupted_write_leaves_no_file_under_the_key(tmp_path: Path):
    storage = FolderStorage(tmp_path)

    def broken() -> Iterator[bytes]:
        yield b"begin"
        raise OSError(28, "No space left on device")

    with pytest.raises(StorageUnavailable, match="No space left on device"):
        storage.write(KEY, broken())

    assert files(tmp_path) == []


def test_a_folder_that_cannot_be_written_is_unavailable(tmp_path: Path):
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(StorageUnavailable, match=str(tmp_path / "file")):
        FolderStorage(tmp_path / "file").write(KEY, [b"x"])


def test_the_probe_leaves_nothing_behind(tmp_path: Path):
    probe(FolderStorage(tmp_path))

    assert files(tmp_path) == []


def test_a_written_content_is_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    flushed: list[bool] = []
    fsync = os.fsync
    monkeypatch.setattr(
        os, "fsync", lambda number: (flushed.append(os.path.isdir(f"/proc/self/fd/{number}")), fsync(number))
    )

    FolderStorage(tmp_path).write(KEY, [b"x"])

    assert flushed == [False, True]  # the file, then its folder
