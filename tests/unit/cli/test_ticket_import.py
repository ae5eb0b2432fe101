"""`aura import`."""

from __future__ import annotations

from pathlib import Path

import pytest

from db.models import Ticket
from tests.commands import Run
from tests.embedded import count

pytestmark = pytest.mark.usefixtures("sqlite")


def test_bad_rows_are_printed_on_stderr(run: Run, tmp_path: Path):
    file = tmp_path / "tickets.csv"
    file.write_text("Wer,Was\nada,VPN [/red]\n,\nbob,Mail\n")

    result = run("import", file, "--map", "requester=Wer", "--map", "title=Was")

    assert (result.code, result.out) == (0, "3 rows: 2 tickets created, 0 duplicates, 1 rejected\n")
    assert f"{file}:3: a ticket needs a title or a description" in result.err.replace("\n", "")
    again = run("import", file, "--map", "requester=Wer", "--map", "title=Was", "--format", "json")
    assert again.json() == {"rows": 3, "new": 0, "known": 2, "rejected": 1}
    assert count(Ticket) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([__file__], "only .csv, .jsonl and .ndjson files"),
        ([__file__, "--map", "colour=x"], "--map colour=x: use FIELD=COLUMN with one of title, "),
        ([__file__, "--map", "title"], "--map title: use FIELD=COLUMN"),
    ],
)
def test_an_invalid_argument_is_one_line_on_stderr(run: Run, arguments: list[str], message: str):
    result = run("import", *arguments)

    assert (result.code, result.out) == (1, "")
    *_progress, line = result.err.strip().splitlines()
    assert line.startswith("aura: ")
    assert message in line
