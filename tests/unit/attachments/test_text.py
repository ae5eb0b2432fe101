"""Text of attachments: charsets, PDFs, and PDFs that attack the reader."""

from __future__ import annotations

import resource
import subprocess
import sys

import pytest
from structlog.testing import capture_logs

from aura.attachments.pdf import MEMORY, PROCESSOR_SECONDS
from aura.attachments.text import CHARACTERS, Budget, pdf_text
from tests.files import pdf

#: Seconds in which a busy machine reads a short PDF.
PATIENCE = 60.0
#: pypdf quotes the value that it cannot read.
CANARY_PDF = pdf("x").replace(b"xref\n0 6", b"xref\n-canary")


def test_the_pages_of_a_pdf_are_read_up_to_the_limit():
    found = pdf_text(pdf("The tunnel drops", "every ten minutes"), PATIENCE)
    assert found.split("\n") == ["The tunnel drops", "every ten minutes"]

    long = pdf_text(pdf(*("word " * 200 for _ in range(30))), PATIENCE)
    assert 3_000 < len(long) <= CHARACTERS


@pytest.mark.parametrize("content", [b"", b"%PDF-1.4", b"%PDF-1.4\n" + b"\0" * 1000, pdf("x")[:-200]])
def test_a_damaged_pdf_has_no_text_or_its_readable_part(content: bytes):
    assert pdf_text(content) in ("", "x")


@pytest.mark.parametrize("content", [b"", b"canary", b"%PDF-1.4\ncanary\nstartxref\ncanary\n%%EOF", CANARY_PDF])
def test_the_warning_about_a_damaged_pdf_does_not_quote_it(content: bytes):
    with capture_logs() as lines:
        pdf_text(content)
    assert "canary" not in str(lines)


def test_a_pdf_that_takes_too_long_is_stopped_and_has_no_text():
    slow = pdf(") Tj (x" * 2_000_000)
    begun = processor_seconds_of_children()

    assert pdf_text(slow, 1.0) == ""

    assert processor_seconds_of_children() - begun < PROCESSOR_SECONDS - 1, "its own limit would stop it later"


def processor_seconds_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_the_process_that_reads_a_pdf_has_limits_of_memory_and_time():
    """The limits are set before the PDF is read; a process beyond them is killed, and the worker is not."""
    program = (
        "import resource, aura.attachments.pdf as pdf; pdf.extract = lambda *_: str(tuple(map(resource.getrlimit, {})))"
    )
    limits = "(resource.RLIMIT_AS, resource.RLIMIT_CPU)"
    done = subprocess.run(
        [sys.executable, "-c", f"{program.format(limits)}; pdf.main()", "9"], input=b"", capture_output=True, check=True
    )
    assert done.stdout.decode() == str(((MEMORY, MEMORY), (PROCESSOR_SECONDS, PROCESSOR_SECONDS)))


def test_a_budget_that_is_used_up_leaves_no_time():
    assert Budget(0).left == 0
    assert 0 < Budget(100).left <= 100
