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


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (OSError(28, "No space left on device"), StorageUnavailable),
        (ContentMissing("deleted meanwhile"), ContentMissing),
        (RuntimeError("the database does not answer"), RuntimeError),
        (KeyboardInterrupt(), KeyboardInterrupt),
    ],
)
def test_an_interrupted_write_leaves_no_file(tmp_path: Path, error: BaseException, raised: type[BaseException]):
    storage = FolderStorage(tmp_path)

    def broken() -> Iterator[bytes]:
        yield b"begin"
        raise error

    with pytest.raises(raised, match=str(error.args[-1]) if error.args else None):
        storage.write(KEY, broken())

    assert files(tmp_path) == []


def test_a_folder_that_is_a_symbolic_link_is_used(tmp_path: Path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "attachments").symlink_to(tmp_path / "disk")
    storage = FolderStorage(tmp_path / "attachments")

    storage.write(KEY, [b"x"])

    assert files(tmp_path / "disk") == [tmp_path / "disk" / KEY]
    assert b"".join(storage.read(KEY)) == b"x"


def test_without_the_folder_nothing_is_known_about_a_content(tmp_path: Path):
    storage = FolderStorage(tmp_path / "attachments")
    storage.write(KEY, [b"x"])
    (tmp_path / "attachments").rename(tmp_path / "not-mounted")

    for use in (lambda: list(storage.read(KEY)), lambda: storage.delete(KEY)):
        with pytest.raises(StorageUnavailable, match="No such file"):
            use()


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
