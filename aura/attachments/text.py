"""The beginning of the text in a text, log or PDF attachment, for the classification of its ticket."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import islice
from time import monotonic

import structlog

from aura.attachments.content import read_content
from aura.attachments.content_types import TEXT
from db.attachments import StoredAttachment

logger = structlog.get_logger("aura.attachments")

PDF = "application/pdf"
#: The types whose text is read.
READABLE = (TEXT, "text/csv", "text/markdown", "text/tab-separated-values", "application/json", PDF)
#: Characters of text that are returned, and bytes of a text file that are read.
CHARACTERS, TEXT_BYTES = 4_000, 16_000
#: Bytes of the largest PDF that is read, and seconds that reading one may take.
PDF_BYTES, PDF_SECONDS = 10_000_000, 5.0


class Budget:
    """Seconds that may be used for PDFs, of all tickets of a batch."""

    def __init__(self, seconds: float) -> None:
        self._end = monotonic() + seconds

    @property
    def left(self) -> float:
        return max(self._end - monotonic(), 0.0)


def read_text(attachment: StoredAttachment, budget: Budget, decode: Callable[[bytes], str]) -> str:
    """Return the beginning of the text in an attachment; empty when there is none, or no time.

    `decode` decodes the beginning of a text whose charset is unknown; its last character may be cut.
    Raises what `read_content` raises.
    """
    if attachment.content_type != PDF:
        return decode(_head(read_content(attachment)))[:CHARACTERS]
    seconds = min(PDF_SECONDS, budget.left)
    if attachment.size > PDF_BYTES or seconds <= 0:
        return ""
    return pdf_text(b"".join(read_content(attachment)), seconds)


def pdf_text(content: bytes, seconds: float = PDF_SECONDS) -> str:
    """Return the beginning of the text of a PDF, extracted in a process of its own.

    That process has limits of time and memory, and its crash is no crash of the worker: a hostile PDF yields no text.
    """
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-m", "aura.attachments.pdf", str(CHARACTERS)],
            input=content,
            capture_output=True,
            timeout=seconds,
            env={},
        )
    except subprocess.TimeoutExpired:
        logger.warning("PDF not read", reason=f"more than {seconds:.0f} seconds")
        return ""
    if done.returncode:
        # pypdf's warnings on stderr quote the file, the last line names the exception
        last = (done.stderr.decode("utf-8", "replace").splitlines() or [""])[-1]
        logger.warning("PDF not read", reason=last[:80] if last.isidentifier() else "killed")
        return ""
    return done.stdout.decode("utf-8", "replace")[:CHARACTERS]


def _head(parts: Iterator[bytes]) -> bytes:
    return b"".join(islice(parts, 1))[:TEXT_BYTES]
