"""Rows of CSV files: delimiter, header, and rows after damaged ones."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aura.desk.importing import csv_rows
from aura.desk.importing.csv_rows import read_table
from aura.desk.importing.lines import Line
from aura.desk.importing.presets import count_known
from aura.desk.importing.report import InvalidImportFile
from tests.growth import MOST, growth

Rows = list[tuple[int, list[str]]]


class Read:
    """The table of a text, with the messages about it."""

    def __init__(self, text: str, delimiter: str | None = None) -> None:
        self.rejected: list[tuple[int, str]] = []
        self.warnings: list[tuple[int, str]] = []
        lines = (Line(number, each) for number, each in enumerate(text.split("\n"), start=1))
        table = read_table(
            lines,
            delimiter=delimiter,
            count_known=count_known,
            reject=lambda line, reason: self.rejected.append((line, reason)),
            warn=lambda line, message: self.warnings.append((line, message)),
        )
        self.delimiter, self.header = table.delimiter, table.header
        self.rows: Rows = [(row.line, row.cells) for row in table.rows]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("header", [["Subject", "Body"], ["Betreff", "Beschreibung", "Wer, wann; wo"], ["Id", "title"]])
def test_the_delimiter_is_that_of_the_header(delimiter: str, header: Sequence[str]):
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter).writerows([header, ["a, b; c|d", *header[1:]]])
    table = Read(text.getvalue().replace("\r\n", "\n"))

    assert (table.delimiter, table.header) == (delimiter, list(header))
    assert table.rows == [(2, ["a, b; c|d", *header[1:]])]


@pytest.mark.parametrize("line", ["sep=;", '"sep=;"', "SEP=;", "sep=; "])
def test_a_line_with_sep_names_the_delimiter(line: str):
    assert Read(f"{line}\nSubject;Body, Text\nVPN;drops").header == ["Subject", "Body, Text"]


def test_a_title_above_the_header_is_left_out():
    table = Read("Export, 3 tickets, May\n\nId,Subject,Email\n1,VPN,ada")

    assert (table.header, table.rows) == (["Id", "Subject", "Email"], [(4, ["1", "VPN", "ada"])])


def test_a_repeated_column_keeps_its_values_under_a_number():
    assert Read("Subject,Labels,Labels\nVPN,a,b").header == ["Subject", "Labels", "Labels (2)"]


def test_rows_without_a_value_are_left_out():
    table = Read("Subject,Body\nVPN,\n,\n , \n\n\nMail,\n")

    assert (table.rows, table.rejected) == ([(2, ["VPN", ""]), (7, ["Mail", ""])], [])


def test_a_row_may_be_shorter_and_may_end_in_empty_cells():
    table = Read("Subject,Body,Email\nVPN\nMail,full,ada,,\n")

    assert [cells[:3] for _, cells in table.rows] == [["VPN"], ["Mail", "full", "ada"]]
    assert not table.rejected


def test_a_row_with_too_many_cells_is_rejected():
    table = Read("Subject,Body\nPrinter,It jams, always\nVPN,drops")

    assert table.rejected == [(2, "3 cells for 2 columns: put a cell that holds the delimiter in quotes")]
    assert table.rows == [(3, ["VPN", "drops"])]


@pytest.mark.parametrize(
    ("damaged", "cells"),
    [
        ('1,"Printer,dead', ["1", "Printer", "dead"]),
        ('1,Printer,"dead', ["1", "Printer", "dead"]),
        ('1,"Printer,"",dead', None),
        ('1,"The 5" disk",dead', ["1", 'The 5" disk', "dead"]),
        ('1,Printer,"She says ""no', ["1", "Printer", 'She says "no']),
    ],
)
@pytest.mark.parametrize("following", [["2,Mail,full", "3,VPN,drops"], ['2,"Mail","full"', '3,"VPN","drops"']])
def test_a_quote_that_is_not_closed_costs_no_other_row(damaged: str, cells: list[str] | None, following: list[str]):
    table = Read("\n".join(["id,subject,body", damaged, *following]))

    expected: Rows = [(3, ["2", "Mail", "full"]), (4, ["3", "VPN", "drops"])]
    assert table.rows == ([(2, cells), *expected] if cells else expected)
    assert [line for line, _ in [*table.warnings, *table.rejected]] == [2]


@pytest.mark.parametrize("cell", ['"Ada L" <ada@example.com>', '19" disk'])
def test_quotes_that_are_characters_of_a_cell_stay(cell: str):
    table = Read(f"id\tsubject\temail\n1\tVPN\t{cell}\n2\tMail\tx")

    assert table.rows == [(2, ["1", "VPN", cell]), (3, ["2", "Mail", "x"])]
    assert not table.warnings


def test_quotes_after_a_backslash_are_quotes_inside_a_cell():
    table = Read('id,subject,body\n1,"He says \\"no\\", twice",x\n2,VPN,y')

    assert table.rows == [(2, ["1", 'He says "no", twice', "x"]), (3, ["2", "VPN", "y"])]
    assert not table.rejected


def test_lines_in_quotes_belong_to_one_row():
    table = Read('id,subject\n1,"a\nb\n\nc"\n2,d')

    assert table.rows == [(2, ["1", "a\nb\n\nc"]), (6, ["2", "d"])]


def test_blanks_before_a_quote_do_not_matter():
    assert Read('id, subject, body\n1, "a, b", "c"').rows == [(2, ["1", "a, b", "c"])]


def test_a_row_that_is_too_long_ends_with_its_first_line(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(csv_rows, "ROW_LIMIT", 1_000)
    big = "x" * 600
    table = Read(f'id,subject\n1,"{big}\n{big}"\n2,VPN')

    assert [line for line, _ in table.warnings] == [2]
    assert table.rows[-1] == (4, ["2", "VPN"])


def test_a_cut_line_is_rejected():
    rejected: list[int] = []
    lines = [Line(1, "id,subject"), Line(2, "1,xxxx", cut=True), Line(3, "2,VPN")]
    table = read_table(
        lines,
        delimiter=None,
        count_known=count_known,
        reject=lambda line, _: rejected.append(line),
        warn=lambda *_: None,
    )

    assert [row.line for row in table.rows] == [3]
    assert rejected == [2]


@pytest.mark.parametrize("line", ['a,"b', '"', '"""', '",",', 'x"y,"', '""",""', 'a,b\\"', '"a"b', '"a\n'])
def test_damaged_rows_take_linear_time(line: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(csv_rows, "ROW_LIMIT", 4_000)
    monkeypatch.setattr(csv_rows, "REREAD_LIMIT", 80_000)

    assert growth(lambda rows: Read("id,subject\n" + rows), f"{line}\n" * 4_000) < MOST


CELL = st.text(st.characters(exclude_characters="\r\u2028", codec="utf-8"))


@given(st.lists(st.lists(CELL, min_size=3, max_size=3), max_size=6))
def test_every_table_of_the_csv_module_is_read_back(rows: list[list[str]]):
    text = io.StringIO()
    csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows([["id", "subject", "body"], *rows])
    table = Read(text.getvalue())

    assert [cells for _, cells in table.rows] == [row for row in rows if any(cell.strip() for cell in row)]
    assert (table.rejected, table.warnings) == ([], [])


@given(st.text(st.sampled_from('a,;"\n\\ \t'), max_size=60))
def test_no_text_raises(text: str):
    Read("id,subject\n" + text)
    with suppress(InvalidImportFile):
        Read(text)
