"""Maildir: ingests the mails in new/, and moves each to cur/ as seen after its transaction is committed.

After a crash in between, the mail is read again and recognised as a duplicate.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from aura.errors import InvalidInput
from aura.mail.ingest import HEAD, IngestResult, ingest_mail
from aura.settings import get_settings


class NoMaildir(InvalidInput):
    """The folder is not a Maildir; the message names the missing folder."""


def ingest_all(folder: Path) -> Iterator[tuple[str, IngestResult]]:
    """Ingest every new mail, the oldest first. Yields the name of each file with the result. Raises NoMaildir."""
    new, cur = folder / "new", folder / "cur"
    for each in (new, cur):
        if not each.is_dir():
            raise NoMaildir(f"{folder} is not a Maildir: the folder {each.name}/ is missing")
    entries = [entry for entry in os.scandir(new) if entry.is_file(follow_symlinks=False) and entry.name[0] != "."]
    for entry in sorted(entries, key=lambda each: (each.stat().st_mtime_ns, each.name)):
        path = Path(entry.path)
        try:
            result = ingest_file(path)
        except FileNotFoundError:
            continue  # another process moved it
        flag = "F" if result.outcome.startswith("refused") else "S"
        with suppress(FileNotFoundError):  # another process read it at the same time, and moved it
            path.rename(cur / f"{entry.name.partition(':')[0]}:2,{flag}")
        yield entry.name, result


def ingest_file(path: Path) -> IngestResult:
    """Ingest the mail in a file; only the beginning of a too large one is read."""
    with path.open("rb") as file:
        size, limit = os.fstat(file.fileno()).st_size, get_settings().mail_limit
        return ingest_mail(file.read(HEAD), size) if size > limit else ingest_mail(file.read(limit + 1))
