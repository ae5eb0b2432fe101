"""`aura import` and `aura tickets import`."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import pytest

from db.models import Ticket
from tests.commands import Run
from tests.embedded import count

pytestmark = pytest.mark.usefixtures("sqlite")


@pytest.fixture
def export(tmp_path: Path) -> Path:
    path = tmp_path / "export.csv"
    path.write_text(
        "Ticket ID,Subject,Status,Priority,Created time,Full name,Email\n"
        "88,Screen [/red] flickers,Closed,1,2021-11-20 10:00:00,Ada Lovelace,Ada@example.com\n"
        "89,Mail is full,Parked,4,2021-11-21 10:00:00,Bob,bob@example.com\n"
    )
    return path


def test_bad_rows_are_printed_on_stderr_and_the_exit_code_is_1(run: Run, tmp_path: Path):
    file = tmp_path / "tickets.csv"
    file.write_text("Wer,Was\nada,VPN [/red]\nbob,\nbob,Mail\n")

    result = run("import", file, "--map", "requester=Wer", "--map", "title=Was")

    assert (result.code, result.out) == (1, "3 rows: 2 tickets created, 0 duplicates, 1 rejected\n")
    assert f"{file}:3: a ticket needs a title or a description" in result.err
    assert count(Ticket) == 2


def test_known_rows_are_printed_with_line_id_and_reason(run: Run, export: Path):
    run("import", export)
    export.write_text(export.read_text().replace("Mail is full", "Mail is empty"))
    result = run("import", export)

    assert result.code == 0
    assert result.out == "2 rows: 0 tickets created, 2 duplicates, 0 rejected\n"
    assert f"{export}:2: id 88: ticket 1 was imported from an equal row" in result.err
    assert f"{export}:3: id 89: ticket 2 has this id with other content (Subject) and is not changed" in result.err


def test_equal_known_rows_are_printed_up_to_a_limit_and_listed_as_json(run: Run, tmp_path: Path):
    file = tmp_path / "tickets.csv"
    file.write_text("id,title\n" + "".join(f"{number},VPN\n" for number in range(30)))
    run("import", file)

    assert "... and 10 more known rows; --format json lists all" in run("import", file).err
    listed = run("import", file, "--format", "json").json()
    assert (listed["known"], len(listed["known_rows"])) == (30, 30)
    assert listed["known_rows"][0] == {
        "line": 2,
        "external_id": "0",
        "ticket": 1,
        "changed": False,
        "reason": "ticket 1 was imported from an equal row",
    }


def test_json_has_the_counts_and_how_the_file_was_read(run: Run, export: Path):
    value = run("import", export, "--format", "json").json()

    assert {name: value[name] for name in ("rows", "new", "known", "rejected", "finished", "dry_run")} == {
        "rows": 2,
        "new": 2,
        "known": 0,
        "rejected": 0,
        "finished": 1,
        "dry_run": False,
    }
    assert (value["file"]["preset"], value["file"]["source"]) == ("freshdesk", "import:freshdesk")
    assert value["warnings"] == [
        {
            "line": 3,
            "text": "status 'Parked' is unknown: it is read as open; --status 'Parked=closed' names another one",
        }
    ]


def test_a_dry_run_shows_the_tickets_and_stores_nothing(run: Run, export: Path):
    result = run("import", export, "--dry-run", "--status", "parked=pending")

    assert result.code == 0
    assert count(Ticket) == 0
    for text in (
        "encoding  utf-8",
        "delimiter  ,",
        "help desk  freshdesk",
        "source  import:freshdesk",
        "title=Subject, email=Email",
    ):
        assert text in result.out
    assert "88  Screen [/red] flickers  ada@example.com  closed   low" in result.out
    assert "89  Mail is full            bob@example.com  pending  critical" in result.out
    assert "2 rows: 2 tickets can be imported (1 of them resolved or closed), 0 rejected" in result.out
    rows = run("import", export, "--dry-run", "--format", "json").json()["tickets"]
    assert [(row["line"], row["id"], row["created"]) for row in rows] == [
        (2, "88", "2021-11-20 10:00"),
        (3, "89", "2021-11-21 10:00"),
    ]


def test_a_dry_run_needs_no_database(run: Run, export: Path, configure: Any):
    configure(DATABASE_URL="postgresql://nobody@127.0.0.1:1/none")

    assert run("import", export, "--dry-run").code == 0
    result = run("import", export)
    assert result.code == 1
    assert "127.0.0.1:1" in result.err


def test_tickets_are_read_from_standard_input(run: Run, monkeypatch: pytest.MonkeyPatch):
    for content, options in (
        ('{"title": "VPN"}\n', ()),
        ("title|description\nMail|full\n", ("--input-format", "csv")),
    ):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content.encode())))
        assert run("import", "-", *options).out.startswith("1 rows: 1 tickets created")

    assert count(Ticket) == 2


def test_tickets_import_is_the_same_command(run: Run, export: Path):
    assert run("tickets", "import", export, "--source", "Old-desk").out.startswith("2 rows: 2 tickets created")
    assert run("import", export, "--source", "old-desk", "--format", "json").json()["known"] == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([__file__], "only .csv, .tsv, "),
        ([__file__, "--map", "colour=x"], "--map colour=x: use FIELD=COLUMN with one of title, "),
        ([__file__, "--map", "title"], "--map title: use FIELD=COLUMN"),
        ([__file__, "--status", "Parked=parked"], "--status Parked=parked: use VALUE=STATUS with one of open, "),
        ([__file__, "--source", "a b"], "--source a b: use at most 30 letters"),
        ([__file__, "--input-format", "xml"], "--input-format xml: use csv, json or jsonl"),
        ([__file__, "--delimiter", ";;"], "--delimiter ;;: use one character, or tab"),
    ],
)
def test_an_invalid_argument_is_one_line_on_stderr(run: Run, arguments: list[str], message: str):
    result = run("import", *arguments)

    assert (result.code, result.out) == (1, "")
    (line,) = result.err.strip().splitlines()
    assert line.startswith("aura: ")
    assert message in line


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--from", "zendisk"], "no preset 'zendisk'; there are zendesk, jira, "),
        (["--map", "title=Topic"], "title=Topic: no such column among Ticket ID, Subject, "),
        (["--encoding", "klingon"], "klingon: not an encoding"),
        (["--timezone", "Mars/Base"], "'Mars/Base' is not a time zone"),
        (["--date-format", "dmyy"], "--date-format dmyy: use dmy, mdy, ymd or a format"),
    ],
)
def test_a_wrong_choice_names_the_possible_ones(run: Run, export: Path, options: list[str], message: str):
    result = run("import", export, *options)

    assert (result.code, count(Ticket)) == (1, 0)
    assert message in result.err
