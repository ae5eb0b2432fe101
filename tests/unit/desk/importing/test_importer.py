"""Import of tickets: each valid row becomes one ticket, each bad row has a line and a reason."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from aura.desk import samples, ticket_import
from aura.desk.ticket_import import ImportReport, InvalidImportFile, import_tickets
from db import reading, tickets
from db.models import Job, Ticket
from db.new_tickets import DESCRIPTION_LIMIT
from tests.embedded import count

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture
def write(tmp_path: Path) -> Any:
    """A function that writes a file of this name and imports it."""

    def write(content: str | bytes, name: str = "tickets.csv", **options: Any) -> ImportReport:
        path = tmp_path / name
        data = content if isinstance(content, bytes) else content.encode()
        path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        return import_tickets(path, **options)

    return write


def stored() -> list[tuple[str, str]]:
    with reading() as session:
        return [(t.title, t.description) for t in session.scalars(select(Ticket).order_by(Ticket.id))]


CSV = (
    "external_id,title,description,requester,priority\n1,VPN,drops,ada@example.com,hoch\n2,Mail,full,bob@example.com,\n"
)
JSONL = '{"title": "VPN", "description": "drops"}\n\n{"title": "Mail", "external_id": 2}\n'


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (CSV, "tickets.csv"),
        (CSV, "tickets.csv.gz"),
        ("\ufeff" + CSV, "tickets.csv"),
        (CSV.replace("\n", "\r\n"), "tickets.csv"),
        (CSV.rstrip("\n"), "tickets.csv"),
        (JSONL, "tickets.jsonl"),
        (JSONL, "tickets.ndjson.gz"),
        ("\ufeff" + JSONL, "tickets.jsonl"),
    ],
    ids=["csv", "csv.gz", "bom", "crlf", "no newline at the end", "jsonl", "ndjson.gz", "jsonl bom"],
)
def test_every_row_becomes_a_ticket_with_its_first_job(write: Any, content: str, name: str):
    report = write(content, name)

    assert (report.rows, report.new, report.known, report.rejected, report.bad) == (2, 2, 0, 0, [])
    assert [title for title, _ in stored()] == ["VPN", "Mail"]
    assert count(Job) == 2


def test_a_second_import_adds_no_ticket(write: Any):
    write(CSV)
    report = write(CSV)

    assert (report.rows, report.new, report.known) == (2, 0, 2)
    assert count(Job) == 2


def test_the_samples_can_be_imported_twice():
    first = import_tickets(samples.TICKETS)
    again = import_tickets(samples.TICKETS)

    assert (first.new, first.rejected) == (first.rows, 0)
    assert (again.new, again.known) == (0, first.rows)


def test_columns_of_other_service_desks_are_recognised(write: Any):
    write("Number, Short_Description ,Body,Caller,Department,Priority\nINC1,VPN,drops,ada@example.com,IT,2\n")

    with reading() as session:
        (ticket,) = session.scalars(select(Ticket))
    assert (ticket.external_id, ticket.title, ticket.description, ticket.requester, ticket.department) == (
        "INC1",
        "VPN",
        "drops",
        "ada@example.com",
        "IT",
    )
    assert ticket.claimed_priority == "high"


def test_a_mapped_column_has_precedence_over_the_usual_names(write: Any):
    write("title,Problem,Wer\nwrong,VPN,ada\n", columns={"title": "Problem", "requester": "Wer"})
    write('{"title": "wrong", "Problem": "Mail"}\n', "tickets.jsonl", columns={"title": "Problem"})

    assert [title for title, _ in stored()] == ["VPN", "Mail"]


def test_a_mapped_column_that_is_missing_imports_nothing(write: Any):
    with pytest.raises(InvalidImportFile, match="description=Detials: no such column among title, Details"):
        write("title,Details\nVPN,drops\n", columns={"description": "Detials"})

    assert count(Ticket) == 0


def test_a_bad_row_has_its_line_and_the_others_are_imported(write: Any):
    report = write(
        "title,description\n"  # 1
        "VPN,drops\n"  # 2
        ",\n"  # 3: empty
        'Mail,"full\n'  # 4
        "for\n"
        'days"\n'
        f"Big,{'x' * (DESCRIPTION_LIMIT + 1)}\n"  # 7: too long
        "\n"
        "\n"
        ",\n"  # 10: empty
        "Last,\n"  # 11
    )

    assert (report.rows, report.new, report.rejected) == (6, 3, 3)
    assert [line for line, _ in report.bad] == [3, 7, 10]
    assert "needs a title or a description" in report.bad[0][1]
    assert report.bad[1][1].startswith("description: ")
    assert "xxxx" not in report.bad[1][1]
    assert stored() == [("VPN", "drops"), ("Mail", "full\nfor\ndays"), ("Last", "")]


def test_a_bad_line_of_json_has_its_number(write: Any):
    lines = ['{"title": "VPN"}', "", "{", "[1]", '"text"', '{"title": NaN}', '{"title": 5}', "[" * 100_000]
    report = write("\n".join([*lines, '{"title": "Mail"}']), "tickets.jsonl")

    assert (report.rows, report.new) == (8, 2)
    assert [line for line, _ in report.bad] == [3, 4, 5, 6, 7, 8]
    assert all(reason for _, reason in report.bad)


def test_a_huge_field_rejects_its_own_row_only(write: Any):
    report = write(f"title,description\nBig,{'x' * 1_000_000}\nVPN,drops\n")

    assert (report.new, [line for line, _ in report.bad]) == (1, [2])
    assert "field larger than field limit" in report.bad[0][1]


@pytest.mark.parametrize("name", ["tickets.csv", "tickets.jsonl"])
def test_nul_bytes_and_invalid_utf8_replace_a_character_only(write: Any, name: str):
    rows = {
        "tickets.csv": b"title,description\nV\0PN,caf\xe9 \xff\nMail,full\n",
        "tickets.jsonl": b'{"title": "V\\u0000PN", "description": "caf\xe9 \xff"}\n{"title": "Mail", "description": "full"}\n',
    }

    assert write(rows[name], name).new == 2
    assert stored() == [("VPN", "caf\ufffd \ufffd"), ("Mail", "full")]


def test_equal_rows_are_separate_tickets_and_duplicates_in_the_next_import(write: Any):
    content = "title\nVPN drops\nVPN drops\nMail\n"

    assert write(content).new == 3
    assert (write(content).new, count(Ticket)) == (0, 3)


def test_an_external_id_creates_one_ticket(write: Any):
    report = write("id,title\n7,VPN\n7,VPN again\n")

    assert (report.rows, report.new, report.known) == (2, 1, 1)


def test_rows_may_be_shorter_than_the_header_and_end_in_empty_cells(write: Any):
    report = write("title,description,requester\nVPN\nMail,full,ada,,\n")

    assert (report.new, report.rejected) == (2, 0)


def test_a_row_with_more_cells_than_the_header_is_rejected(write: Any):
    report = write("title,description,requester\nPrinter,It jams, always, bob@example.com\n")

    assert report.new == 0
    assert report.bad == [(2, "4 cells for 3 columns: put a cell that holds a comma in quotes")]


def test_two_columns_of_one_name_are_refused(write: Any):
    with pytest.raises(InvalidImportFile, match="two columns are named 'title'"):
        write("title,title\na,b\n")


@pytest.mark.parametrize(
    ("content", "name", "words"),
    [
        ("", "tickets.csv", "no column for title or description among none"),
        ("\n\n", "tickets.csv", "no column for title or description among none"),
        (
            "a,b\n1,2\n",
            "tickets.csv",
            "no column for title or description among a, b; map one of them to title or description",
        ),
        ("x" * 1_000_000, "tickets.csv", "line 1: field larger"),
        (CSV, "tickets.xlsx", "only .csv, .jsonl and .ndjson"),
        (CSV, "tickets", "only .csv, .jsonl and .ndjson"),
    ],
    ids=["empty", "blank", "columns", "no csv", "xlsx", "no ending"],
)
def test_an_unusable_file_is_refused_with_the_reason(write: Any, content: str, name: str, words: str):
    with pytest.raises(InvalidImportFile) as refused:
        write(content, name)

    assert words in str(refused.value)
    assert count(Ticket) == 0


def test_an_empty_file_imports_no_tickets(write: Any):
    assert write("", "tickets.jsonl") == ImportReport()
    assert write("title,description\n") == ImportReport()


def test_a_truncated_gz_is_refused(tmp_path: Path):
    path = tmp_path / "tickets.csv.gz"
    good = gzip.compress(CSV.encode() * 200, mtime=0)
    spoilt = bytearray(good)
    spoilt[20:40] = b"\xff" * 20
    for data in (b"no gzip", good[:-20], bytes(spoilt)):
        path.write_bytes(data)
        with pytest.raises(InvalidImportFile, match=r"tickets\.csv\.gz"):
            import_tickets(path)
    with pytest.raises(InvalidImportFile, match="No such file"):
        import_tickets(tmp_path / "nothing.csv")


def test_a_large_file_is_stored_in_batches_with_progress(write: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ticket_import, "BATCH", 10)
    monkeypatch.setattr(ticket_import, "MAX_REASONS", 2)
    positions: list[int] = []
    content = "title\n" + "".join(f"ticket {number}\n" for number in range(35)) + ' \n" "\n"  "\n'

    report = write(content, progress=positions.append)

    assert (report.rows, report.new, report.rejected, len(report.bad)) == (38, 35, 3, 2)
    assert positions == sorted(positions)
    assert positions[-1] == len(content)


def test_rows_before_a_read_error_are_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    import random

    monkeypatch.setattr(ticket_import, "BATCH", 10)
    noise = random.Random(1)
    content = "title\n" + "".join(f"{noise.getrandbits(256):x}\n" for _ in range(500))
    good, path = gzip.compress(content.encode()), tmp_path / "tickets.csv.gz"
    path.write_bytes(good[: len(good) // 2])
    with pytest.raises(InvalidImportFile):
        import_tickets(path)
    before = count(Ticket)
    assert 0 < before < 500

    path.write_bytes(good)
    report = import_tickets(path)

    assert (report.known, report.new) == (before, 500 - before)


def test_the_original_row_is_stored(write: Any):
    write("title,priority\nVPN,whenever you like\n")

    with reading() as session:
        (ticket,) = session.scalars(select(Ticket))
    assert ticket.claimed_priority is None
    assert json.loads(ticket.raw)["priority"] == "whenever you like"


# -- staff ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_other_delimiters_are_recognised_by_the_header(write: Any, delimiter: str):
    report = write(delimiter.join(["Subject", "Body"]) + "\n" + delimiter.join(["Drucker", "Papier, dann Stau"]) + "\n")

    assert (report.new, report.rejected) == (1, 0)
    with reading() as session:
        (ticket,) = tickets.listing(session)
    assert (ticket.title, ticket.description) == ("Drucker", "Papier, dann Stau")


def test_columns_without_a_field_are_stored_with_the_row(write: Any):
    write("title,room\nBeamer,4.21\n")

    with reading() as session:
        (ticket,) = tickets.listing(session)
    assert json.loads(ticket.raw) == {"title": "Beamer", "room": "4.21"}
