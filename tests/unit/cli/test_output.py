"""Output of the commands: tables, fields and JSON on stdout, notes on stderr, no escape sequences."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from aura.cli import output

ESCAPE = "\x1b]0;owned\x07[red]x[/red]:smile:"


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output.out, "width", 120)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "-"),
        (0, "0"),
        ("", ""),
        (0.5, "0.50"),
        (datetime(2026, 11, 30, 8, 5, 2, tzinfo=UTC), "11-30 08:05:02"),
        (["a", 1], "a, 1"),
        ("two\n lines", "two lines"),
        ("x" * 61, "x" * 59 + "…"),
        ("x" * 60, "x" * 60),
        ("[red]", r"\[red]"),
        ("a\x1b[2J", "a\N{REPLACEMENT CHARACTER}[2J"),
    ],
)
def test_a_cell_is_one_short_line(value: Any, shown: str):
    assert output.cell(value) == shown


def test_a_table_shows_text_as_it_is_without_control_characters(capsys: pytest.CaptureFixture[str]):
    output.print_rows([{"id": 7, "title": ESCAPE, "hidden": "no"}], ("id", "title"), "table", "Nothing.")

    printed = capsys.readouterr()
    assert printed.err == ""
    assert "[red]x[/red]:smile:" in printed.out
    assert not {"\x1b", "\x07"} & set(printed.out)
    assert "no" not in printed.out.split()


def test_an_identifier_is_whole_on_a_narrow_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(output.out, "width", 20)
    output.print_rows([{"id": "f" * 12, "title": "word " * 10}], ("id", "title"), "table", "")

    assert "f" * 12 in capsys.readouterr().out


def test_an_empty_table_is_a_note_and_an_empty_json_list_is_data(capsys: pytest.CaptureFixture[str]):
    output.print_rows([], ("id",), "table", "No tickets.")
    assert tuple(capsys.readouterr()) == ("", "No tickets.\n")
    output.print_rows([], ("id",), "json", "No tickets.")
    assert tuple(capsys.readouterr()) == ("[]\n", "")


def test_json_has_every_field_and_readable_text(capsys: pytest.CaptureFixture[str]):
    output.print_rows([{"id": 7, "title": "Drücker", "at": datetime(2026, 1, 2, tzinfo=UTC)}], ("id",), "json", "")

    printed = capsys.readouterr().out
    assert "Drücker" in printed
    assert json.loads(printed) == [{"id": 7, "title": "Drücker", "at": "2026-01-02 00:00:00+00:00"}]


def test_empty_fields_are_left_out_and_the_others_aligned(capsys: pytest.CaptureFixture[str]):
    output.print_fields({"id": 7, "category": "", "tags": [], "parent": None, "count": 0, "title": ESCAPE})

    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["id", "count", "title"]
    assert len({line.index("  ", len(line) - len(line.lstrip())) for line in lines}) == 1
    assert "[red]x[/red]:smile:" in lines[2] and "\x1b" not in lines[2]


def test_a_result_is_json_or_text_and_says_which(capsys: pytest.CaptureFixture[str]):
    assert output.print_result("table", {"id": 7}, "first", "second\x1b")
    assert capsys.readouterr().out == "first\nsecond\N{REPLACEMENT CHARACTER}\n"
    assert not output.print_result("json", {"id": 7}, "first")
    assert json.loads(capsys.readouterr().out) == {"id": 7}


def test_json_sends_no_command_to_a_terminal(capsys: pytest.CaptureFixture[str]):
    value = {"title": f"{ESCAPE}\x7f\x9b31m\u2028\u202e\U000e0041 Köln 😀"}
    output.print_json(value)
    printed = capsys.readouterr().out
    assert printed.replace("\n", "").isprintable()
    assert json.loads(printed) == value
    assert "Köln 😀" in printed
