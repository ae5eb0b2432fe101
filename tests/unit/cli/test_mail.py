"""`aura mail`: the source of a mail on a terminal and in a file."""

from __future__ import annotations

import io
import sys

import pytest

from aura.mail import ingest_mail
from tests.commands import Run

pytestmark = pytest.mark.usefixtures("sqlite")

SOURCE = b"From: eve@evil.example\r\nSubject: \x1b]0;owned\x07\xc2\x9b31m\r\n\r\nText \x1b[2J\xff\r\n"


class _Terminal(io.TextIOWrapper):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("kind", [io.TextIOWrapper, _Terminal], ids=["file", "terminal"])
def test_the_source_of_a_mail_sends_no_escape_sequence_to_a_terminal(
    kind: type[io.TextIOWrapper], run: Run, monkeypatch: pytest.MonkeyPatch
):
    number = ingest_mail(SOURCE).id
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", kind(raw, "utf-8"))
    assert run("mail", "show", number).code == 0
    sys.stdout.flush()
    if kind is _Terminal:
        shown = raw.getvalue().decode()
        assert "eve@evil.example" in shown
        assert shown.replace("\n", "").isprintable()
    else:
        assert raw.getvalue() == SOURCE
