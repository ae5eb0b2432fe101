"""CSV cells: no formula for any separator, and the text as it was after the import."""

from __future__ import annotations

import csv
import io
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aura.desk.csv_cells import restore_cell, safe_cell, write_row
from tests.growth import MOST, growth

SEPARATORS = (",", ";", "\t", "|")
PAYLOADS = (
    "=cmd|'/C calc'!A0",
    "+1+cmd",
    "-2+3",
    "@SUM(A1)",
    "＝1",
    "＋1",
    "－1",
    "＠A",
    '=HYPERLINK("https://evil.example")',
)


def fields(line: str, separator: str) -> list[str]:
    """Split as spreadsheets do: a quote counts at the beginning of a field alone, and a field may go on after it."""
    return [field for row in csv.reader(io.StringIO(line, newline=""), delimiter=separator) for field in row]


def begins_formula(field: str) -> bool:
    bare = field.lstrip(' \t\r\n\v\f"\u00a0\u200b\ufeff')
    return bare.startswith(("=", "+", "-", "@", "＝", "＋", "－", "＠"))


LEADS = ("", "Printer", '"', "'", '"Printer"', 'Printer "', "a\nb")
GAPS = ("", " ", '"', "'", ' "', "\u00a0", "\u200b", "\ufeff", "\t ", ";;", "\r\n")


@pytest.mark.parametrize("payload", PAYLOADS)
def test_no_field_is_a_formula_whatever_the_separator_of_the_spreadsheet(payload: str):
    for lead, gap, inner in product(LEADS, GAPS, (*SEPARATORS, "\n", "\r\n", "\v", "\u2028")):
        title = f"{lead}{inner}{gap}{payload};x"
        line = write_row([17, title, f"{gap}{payload}", None])
        for separator in SEPARATORS:
            assert [field for field in fields(line, separator) if begins_formula(field)] == [], (title, separator)
        assert restore_cell(safe_cell(title)) == title


@given(st.text(alphabet=st.sampled_from("=+-@＝;,|\t\n\r \"'ab\u200b"), max_size=30))
def test_every_text_is_read_as_it_was_and_begins_no_formula(text: str):
    assert restore_cell(safe_cell(text)) == text
    line = write_row(["1", text, "2"])
    for separator in SEPARATORS:
        assert [field for field in fields(line, separator) if begins_formula(field)] == []


@pytest.mark.parametrize(
    "text", ["Printer on floor 3", "e-mail", "C++ build", "a=b", "x@example.com", "a; b, c", "it's", ""]
)
def test_an_ordinary_text_stays_as_it_is(text: str):
    assert safe_cell(text) == text


def test_every_cell_is_in_quotes():
    assert write_row([1, 'say "hi"', None]) == '"1","say ""hi""",""\r\n'


@pytest.mark.slow
@pytest.mark.parametrize("piece", ["=", ";=", ";", "\t", '"', "'", ";\"'", "\u200b"])
def test_long_texts_take_linear_time(piece: str):
    assert growth(lambda text: restore_cell(safe_cell(text)), piece * (80_000 // len(piece))) < MOST
