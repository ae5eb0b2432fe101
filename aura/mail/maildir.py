"""A Maildir: what stands in new/ is taken, and moved to cur/ as seen only after its transaction has committed.

A crash between the two leaves the mail in new/: it is offered again, and known.
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
    """The folder is no Maildir; the text says what is missing."""


def take_all(folder: Path) -> Iterator[tuple[str, IngestResult]]:
    """Take every new mail, the oldest first. Yields its file's name and what became of it. Raises NoMaildir."""
    new, cur = folder / "new", folder / "cur"
    for each in (new, cur):
        if not each.is_dir():
            raise NoMaildir(f"{folder} is no Maildir: it has no folder {each.name}/")
    waiting = [entry for entry in os.scandir(new) if entry.is_file(follow_symlinks=False) and entry.name[0] != "."]
    for entry in sorted(waiting, key=lambda each: (each.stat().st_mtime_ns, each.name)):
        path = Path(entry.path)
        try:
            taken = take_file(path)
        except FileNotFoundError:
            continue  # another process was faster
        flag = "F" if taken.outcome.startswith("refused") else "S"
        with suppress(FileNotFoundError):  # another process took it at the same moment, and moved it
            path.rename(cur / f"{entry.name.partition(':')[0]}:2,{flag}")
        yield entry.name, taken


def take_file(path: Path) -> IngestResult:
    """Take the mail in a file; of one that is too large only the beginning is read."""
    with path.open("rb") as file:
        size, limit = os.fstat(file.fileno()).st_size, get_settings().mail_limit
        return ingest_mail(file.read(HEAD), size) if size > limit else ingest_mail(file.read(limit + 1))
