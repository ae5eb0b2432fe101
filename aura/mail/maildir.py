"""Maildir: ingests the mails in new/, and moves each to cur/ as seen after its transaction is committed.

Several mails share a transaction; when it fails, each is ingested alone, so that one mail stops no other. After a crash
between commit and move, the mail is read again and recognised as a duplicate.
"""

from __future__ import annotations

import heapq
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

import structlog

from aura.errors import InvalidInput
from aura.mail.ingest import HEAD, IngestResult, ingest_batch, ingest_mail
from aura.settings import get_settings

logger = structlog.get_logger("aura.mail")

#: Mails that are listed at a time: a Maildir of any size takes the same memory.
LISTED = 10_000
#: Mails, and bytes, of one transaction.
BATCH, BATCH_BYTES = 50, 4_000_000


class NoMaildir(InvalidInput):
    """The folder is not a Maildir; the message names the missing folder."""


def count_new(folder: Path) -> int:
    """Return the number of mails in new/. Raises NoMaildir."""
    _check(folder)
    return sum(1 for _ in _scan(folder / "new"))


def ingest_all(folder: Path) -> Iterator[tuple[str, IngestResult]]:
    """Ingest every new mail, the oldest first. Yields the name of each file with the result. Raises NoMaildir."""
    _check(folder)
    listed = LISTED
    while listed == LISTED:  # the listed ones have moved to cur/
        names = [name for _, name in heapq.nsmallest(LISTED, _scan(folder / "new"))]
        listed = len(names)
        for batch in _batches(folder / "new", names):
            yield from _ingest(folder, batch)


def ingest_file(path: Path) -> IngestResult:
    """Ingest the mail in a file that an operator chose; only the beginning of a too large one is read."""
    raw, size = _read(path)
    return ingest_mail(raw, size, needs_token=False)


def _check(folder: Path) -> None:
    for name in ("new", "cur"):
        if not (folder / name).is_dir():
            raise NoMaildir(f"{folder} is not a Maildir: the folder {name}/ is missing")


def _scan(new: Path) -> Iterator[tuple[int, str]]:
    """Yield modification time and name of each mail."""
    with os.scandir(new) as entries:
        for entry in entries:
            with suppress(FileNotFoundError):  # another process moved it
                if entry.name[0] != "." and entry.is_file(follow_symlinks=False):
                    yield entry.stat(follow_symlinks=False).st_mtime_ns, entry.name


def _batches(new: Path, names: Iterable[str]) -> Iterator[dict[str, tuple[bytes, int]]]:
    """Yield the bytes and the size of the mails by name, in groups for one transaction."""
    batch: dict[str, tuple[bytes, int]] = {}
    total = 0
    for name in names:
        try:
            raw, size = _read(new / name)
        except FileNotFoundError:
            continue  # another process moved it
        if batch and (len(batch) == BATCH or total + len(raw) > BATCH_BYTES):
            yield batch
            batch, total = {}, 0
        batch[name] = raw, size
        total += len(raw)
    if batch:
        yield batch


def _ingest(folder: Path, batch: dict[str, tuple[bytes, int]]) -> Iterator[tuple[str, IngestResult]]:
    limit = get_settings().mail_limit
    results: list[IngestResult] = []
    if len(batch) > 1 and all(size <= limit for _, size in batch.values()):
        try:
            results = ingest_batch([raw for raw, _ in batch.values()])
        except Exception as error:  # of one mail: each is tried alone, and raises its own error
            logger.warning("batch of mails rolled back, ingested one by one", error=type(error).__name__)
    done = iter(results)
    for name, (raw, size) in batch.items():
        result = next(done) if results else ingest_mail(raw, size)
        flag = "F" if result.outcome.startswith("refused") else "S"
        with suppress(FileNotFoundError):  # another process read it at the same time, and moved it
            (folder / "new" / name).rename(folder / "cur" / f"{name.partition(':')[0]}:2,{flag}")
        yield name, result


def _read(path: Path) -> tuple[bytes, int]:
    """Return the bytes of a file, or the beginning of a too large one, and its size."""
    with path.open("rb") as file:
        size, limit = os.fstat(file.fileno()).st_size, get_settings().mail_limit
        if size > limit:
            return file.read(HEAD), size
        raw = file.read(limit + 1)  # it may have grown
        return raw, len(raw)
