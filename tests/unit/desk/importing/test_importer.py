"""Import of tickets: what is stored, what is known, and who is notified."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from aura.desk import samples
from aura.desk.csv_cells import EXPORT_COLUMNS, write_row
from aura.desk.importing import ImportReport, InvalidImportFile, import_tickets, importer, preview_import
from aura.desk.importing import report as reports
from db import imported_tickets, local_models, reading, similar, tickets
from db.models import Job, Notification, Ticket
from db.new_tickets import DESCRIPTION_LIMIT
from tests.embedded import Hand, count

pytestmark = pytest.mark.usefixtures("database")

Load = Callable[..., ImportReport]


def stored() -> list[Ticket]:
    with reading() as session:
        return list(session.scalars(select(Ticket).order_by(Ticket.id)))


def texts() -> list[tuple[str, str]]:
    return [(ticket.title, ticket.description) for ticket in stored()]


CSV = (
    "external_id,title,description,requester,priority\n1,VPN,drops,ada@example.com,hoch\n2,Mail,full,bob@example.com,\n"
)
JSONL = '{"title": "VPN", "description": "drops"}\n\n{"title": "Mail", "external_id": 2}\n'
JSON = '[{"title": "VPN", "description": "drops"},\n{"title": "Mail", "external_id": 2}]'


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (CSV, "tickets.csv"),
        (CSV, "TICKETS.CSV"),
        (CSV, "tickets.csv.gz"),
        (CSV, "tickets.txt"),
        ("\ufeff" + CSV, "tickets.csv"),
        (CSV.replace("\n", "\r\n"), "tickets.csv"),
        (CSV.replace("\n", "\r"), "tickets.csv"),
        (CSV.rstrip("\n"), "tickets.csv"),
        ("sep=,\r\n" + CSV, "tickets.csv"),
        (CSV.replace(",", "\t"), "tickets.tsv"),
        (CSV.replace(",", "|"), "tickets.csv"),
        (CSV.encode("utf-16"), "tickets.csv"),
        (CSV.encode("utf-16-le"), "tickets.csv"),
        (CSV.encode("utf-16-be"), "tickets.csv"),
        ("Tickets of May\n\n" + CSV, "tickets.csv"),
        (JSONL, "tickets.jsonl"),
        (JSONL, "tickets.ndjson.gz"),
        ("\ufeff" + JSONL, "tickets.JSONL"),
        (JSON, "tickets.json"),
        ('{"total": 2, "tickets": ' + JSON + "}", "tickets.JSON"),
        (JSONL, "tickets.json"),
    ],
)
def test_every_row_becomes_a_ticket_with_its_first_job(load: Load, content: str | bytes, name: str):
    report = load(content, name)

    assert (report.rows, report.new, report.known, report.rejected, report.bad) == (2, 2, 0, 0, [])
    assert [title for title, _ in texts()] == ["VPN", "Mail"]
    assert count(Job) == 2


def test_the_samples_can_be_imported_twice():
    first = import_tickets(samples.TICKETS)
    again = import_tickets(samples.TICKETS)

    assert (first.new, first.rejected) == (first.rows, 0)
    assert (again.new, again.known) == (0, first.rows)


def test_a_mapped_column_has_precedence_over_the_usual_names(load: Load):
    load("title,Problem,Wer\nwrong,VPN,ada\n", columns={"title": "Problem", "requester": "Wer"})
    load('{"title": "wrong", "Problem": "Mail"}\n', "tickets.jsonl", columns={"title": "Problem"})

    assert [title for title, _ in texts()] == ["VPN", "Mail"]


def test_a_mapped_column_that_is_missing_imports_nothing(load: Load):
    with pytest.raises(InvalidImportFile, match="description=Detials: no such column among title, Details"):
        load("title,Details\nVPN,drops\n", columns={"description": "Detials"})

    assert count(Ticket) == 0


def test_a_bad_row_has_its_line_and_the_others_are_imported(load: Load):
    report = load(
        "title,description,requester\n"  # 1
        "VPN,drops,\n"  # 2
        ",,ada\n"  # 3: no text
        'Mail,"full\n'  # 4
        "for\n"
        'days",\n'
        f"Big,{'x' * (DESCRIPTION_LIMIT + 1)},\n"  # 7: too long
        "\n"
        ",,\n"  # 9: empty
        ",,bob\n"  # 10: no text
        "Last,,\n"  # 11
    )

    assert (report.rows, report.new, report.rejected) == (6, 3, 3)
    assert [line for line, _ in report.bad] == [3, 7, 10]
    assert "needs a title or a description" in report.bad[0][1]
    assert report.bad[1][1].startswith("description: ")
    assert "xxxx" not in report.bad[1][1]
    assert texts() == [("VPN", "drops"), ("Mail", "full\nfor\ndays"), ("Last", "")]


def test_an_export_is_imported_with_the_texts_that_it_defused(load: Load):
    titles = ["=1+1", "'=1+1", "Printer;=cmd", "- broken", 'say "=hi"', "it's; '@b"]
    cells = [[n, "2026-11-30", title, "ada@example.com", *[""] * 9] for n, title in enumerate(titles, 1)]
    load("\ufeff" + "".join(map(write_row, [EXPORT_COLUMNS, *cells])))
    assert [title for title, _ in texts()] == titles
    # a file of another program keeps its apostrophes
    load("title,requester\n'=1+1,ada@example.com\n", "other.csv")
    assert texts()[-1][0] == "'=1+1"


def test_nul_bytes_formulas_and_html_are_stored_as_text(load: Load):
    load("title,description\nV\0PN,=cmd|' /C calc'!A0\n=1+1,<b>x</b>\n")

    assert texts() == [("VPN", "=cmd|' /C calc'!A0"), ("=1+1", "<b>x</b>")]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("tickets.csv", "title,description\nMüll,café\nVPN,gr?ße\n"),
        ("tickets.jsonl", '\n{"title": "Müll", "description": "café"}\n{"title": "VPN", "description": "gr?ße"}\n'),
        ("tickets.json", '[\n{"title": "Müll", "description": "café"},\n{"title": "VPN", "description": "gr?ße"}]'),
    ],
)
def test_a_wrong_byte_costs_one_character_and_is_reported_with_its_line(load: Load, name: str, content: str):
    report = load(content.encode().replace(b"?", b"\xfc"), name)

    assert texts() == [("Müll", "café"), ("VPN", "gr\ufffdße")]
    assert [line for line, _ in report.warnings] == [3]
    assert report.rejected == 0


# -- identity ---------------------------------------------------------------------------------------------------------


def test_equal_rows_are_separate_tickets_and_duplicates_in_the_next_import(load: Load):
    content = "title\nVPN drops\nVPN drops\nMail\n"

    assert load(content).new == 3
    assert (load(content).new, count(Ticket)) == (0, 3)


def test_rows_without_an_id_differ_by_any_column(load: Load):
    load("Title,Room\nPassword reset,1\n")
    report = load("Title,Room\nPassword reset,2\n")

    assert (report.new, report.known) == (1, 0)


def test_the_encoding_of_a_file_is_no_part_of_the_identity(load: Load):
    content = "title;description\nDrucker;Für Büro und Tür\n"
    load(content.encode("cp1252"))

    assert load(content).known == 1


def test_an_id_twice_in_a_file_is_one_ticket_and_a_known_row(load: Load):
    report = load("id,title\n7,VPN\n7,VPN again\n7,VPN\n")

    assert (report.rows, report.new, report.known) == (3, 1, 2)
    assert [(row.line, row.external_id, row.changed) for row in report.known_rows] == [(3, "7", True), (4, "7", False)]


def test_a_known_row_with_other_content_names_its_ticket_and_columns(load: Load):
    load("id,title,room\n7,VPN,1\n8,Mail,2\n")
    report = load("id,title,room\n7,VPN,1\n8,Mail is full,3\n")

    assert (report.new, report.known) == (0, 2)
    same, changed = report.known_rows
    number = stored()[1].id
    assert (same.line, same.changed) == (2, False)
    assert (changed.line, changed.external_id, changed.ticket, changed.changed) == (3, "8", number, True)
    assert changed.reason == f"ticket {number} has this id with other content (title, room) and is not changed"
    assert texts()[1] == ("Mail", "")


def test_known_rows_with_other_content_are_named_before_equal_ones(load: Load, monkeypatch: pytest.MonkeyPatch):
    rows = [f"{number},ticket {number}\n" for number in range(8)]
    load("id,title\n" + "".join(rows))
    monkeypatch.setattr(reports.ImportReport.__init__, "__defaults__", _limited(reports.ImportReport.__init__, 3))
    report = load("id,title\n" + "".join(rows[:5]) + "5,other\n6,other\n7,other\n")

    assert report.known == 8
    assert [row.external_id for row in report.known_rows] == ["5", "6", "7"]


def _limited(function: Any, limit: int) -> tuple[Any, ...]:
    return tuple(limit if value == reports.NAMED_ROWS else value for value in function.__defaults__)


def test_the_same_id_of_two_systems_is_two_tickets(load: Load):
    content = "id,subject,email\n1,{},ada@example.com\n"

    assert load(content.format("Printer"), source="Helpdesk").new == 1
    assert load(content.format("VPN"), source="crm").new == 1
    assert load(content.format("VPN"), source="CRM").known == 1
    assert [ticket.source for ticket in stored()] == ["import:helpdesk", "import:crm"]


def test_a_ticket_of_another_source_is_no_duplicate(load: Load):
    from db import transaction
    from db.new_tickets import NewTicket

    with transaction() as session:
        tickets.create(session, "import:x", [])
        tickets.create(session, "zendesk", [(NewTicket(title="VPN", external_id="1"), {})])

    assert load("id,title\n1,VPN\n", source="zendesk").new == 1


def test_an_interrupted_import_continues_and_doubles_nothing(load: Load, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(importer, "BATCH", 10)
    content = "title\n" + "".join(f"ticket {number % 20}\n" for number in range(35))
    with monkeypatch.context() as crash:
        crash.setattr(imported_tickets, "create", _failing(imported_tickets.create, at=3))
        with pytest.raises(RuntimeError, match="crash"):
            load(content)
    assert count(Ticket) == count(Job) == 20

    report = load(content)

    assert (report.known, report.new) == (20, 15)
    assert count(Ticket) == count(Job) == 35


def _failing(create: Any, at: int) -> Any:
    calls = iter(range(1, 100))

    def create_or_fail(*arguments: Any) -> Any:
        created = create(*arguments)
        if next(calls) == at:
            raise RuntimeError("crash")
        return created

    return create_or_fail


# -- history ----------------------------------------------------------------------------------------------------------

FINISHED = (
    "id,subject,description,status,priority,category,created,resolved,email,resolution\n"
    "1,Toner is empty,The printer of room 5 needs black toner,closed,urgent,Hardware,2021-03-20 10:00,2021-03-20 14:00,"
    "ada@example.com,Replaced the cartridge\n"
)


def test_a_finished_ticket_notifies_nobody_and_has_no_target(load: Load, hand: Hand, configure: Any):
    configure(AURA_SLA="critical=4h", SERVICE_DESK="desk@example.com")
    report = load(FINISHED, notify=True)
    assert count(Job) == 0
    hand.run()

    (ticket,) = stored()
    assert (report.new, report.finished) == (1, 1)
    assert (ticket.status, ticket.stage, ticket.due_at, ticket.sla_next_at) == ("closed", "notified", None, None)
    assert ticket.created_at == datetime(2021, 3, 20, 10, tzinfo=UTC)
    assert ticket.resolved_at == datetime(2021, 3, 20, 14, tzinfo=UTC)
    assert (count(Job), count(Notification)) == (0, 0)


def test_a_finished_ticket_is_training_data_and_a_similar_ticket(load: Load):
    load(FINISHED)

    with reading() as session:
        (reviewed,) = local_models.reviewed_tickets(session)
        found = similar.find_similar(session, [(99, "The printer needs toner\nblack toner for room 5")])
    assert (reviewed.title, reviewed.category, reviewed.priority) == ("Toner is empty", "Hardware", "critical")
    ((best,),) = found.values()
    assert (best.resolution, best.hours) == ("Replaced the cartridge", 4.0)


def test_secrets_of_a_finished_ticket_are_masked_in_the_index(load: Load):
    load("title,description,status\nLogin,my password: hunter2,closed\n")

    with reading() as session:
        assert not similar.find_similar(session, [(99, "hunter2")])


def test_a_ticket_with_an_end_and_an_unknown_status_is_finished(load: Load):
    report = load("title,status,resolved\nVPN,Parkiert,2021-03-20\nMail,Parkiert,\nFax,,2021-03-20\n")

    assert [ticket.status for ticket in stored()] == ["closed", "open", "resolved"]
    assert [line for line, _ in report.warnings] == [2]
    assert "status 'Parkiert' is unknown" in report.warnings[0][1]


def test_a_given_status_has_precedence(load: Load):
    load("title,status\nVPN,Parkiert\nMail,closed\n", statuses={"parkiert": "pending", "closed": "open"})

    assert [ticket.status for ticket in stored()] == ["pending", "open"]


# -- open tickets -----------------------------------------------------------------------------------------------------


def mailed() -> set[str]:
    with reading() as session:
        return set(session.scalars(select(Notification.recipient).where(Notification.channel != "in_app")))


def test_an_old_open_ticket_is_classified_and_its_requester_is_not_notified(load: Load, hand: Hand, configure: Any):
    configure(SERVICE_DESK="desk@example.com")
    load("title,description,created,email\nPrinter,It jams,2021-03-20,ada@example.com\n")
    hand.run()

    (ticket,) = stored()
    assert (ticket.stage, ticket.silent, ticket.status) == ("notified", True, "open")
    assert ticket.category is not None
    assert mailed() == set()


@pytest.mark.parametrize(
    ("content", "options", "notified"),
    [
        ("title,created,email\nVPN,{now},ada@example.com\n", {}, True),
        ("title,email\nVPN,ada@example.com\n", {}, True),
        ("title,email\nVPN,ada@example.com\n", {"source": "crm"}, False),
        ("title,email\nVPN,ada@example.com\n", {"notify": False}, False),
        ("title,created,email\nVPN,2021-03-20,ada@example.com\n", {"notify": True}, True),
        ("Summary,Issue key,Reporter\nVPN,X-1,ada@example.com\n", {}, False),
        ("Summary,Issue key,Reporter\nVPN,X-1,ada@example.com\n", {"notify": True}, True),
    ],
    ids=["fresh", "no date", "named system", "no-notify", "notify", "help desk", "help desk and notify"],
)
def test_requesters_are_notified_by_age_origin_and_choice(
    load: Load, hand: Hand, content: str, options: Any, notified: bool
):
    load(content.format(now=datetime.now(UTC).isoformat()), **options)
    hand.run()

    assert ("ada@example.com" in mailed()) is notified


def test_the_target_of_an_open_ticket_counts_from_its_import(load: Load, hand: Hand, configure: Any):
    configure(AURA_SLA="low=8h,medium=8h,high=8h,critical=8h", AURA_BUSINESS_HOURS="Mon-Sun 00:00-24:00")
    load("title,description,created\nPrinter,It jams,2021-03-20 10:00\n")
    hand.run()

    (ticket,) = stored()
    assert ticket.due_at is not None
    assert timedelta(hours=7) < ticket.due_at - datetime.now(UTC) < timedelta(hours=8, minutes=1)


def test_the_category_of_an_export_stays_after_classification(load: Load, hand: Hand):
    load("title,description,category\nVPN drops,the network is away,Security\nVPN drops,the network is away,Canteen\n")
    hand.run()

    kept, classified = stored()
    assert (kept.category, kept.category_by) == ("Security", "human")
    assert classified.category_by == "engine"


def test_old_imported_tickets_do_not_count_as_late(load: Load, hand: Hand):
    from db import metric_samples, queue_stats

    load("title,created\nVPN,2021-03-20\n")
    with reading() as session:
        assert queue_stats.unfinished(session)["received"].oldest_seconds < 60
    hand.run()
    with reading() as session:
        assert metric_samples.pipeline_seconds(session).get("seconds.p95", 0.0) < 60


# -- dates ------------------------------------------------------------------------------------------------------------


def test_the_order_of_day_and_month_is_that_of_all_dates(load: Load):
    rows = "".join(f"ticket {number},03/04/2024\n" for number in range(300))
    load("title,created\n" + rows + "last,25/04/2024\n")

    assert {ticket.created_at for ticket in stored()[:300]} == {datetime(2024, 4, 3, tzinfo=UTC)}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("title,created\nVPN,03/04/2024\n", r"created: '03/04/2024' may begin with the day or with the month"),
        (
            "title,created\nVPN,25/04/2024\nMail,04/25/2024\n",
            "'25/04/2024' begins with the day and '04/25/2024' with the month",
        ),
    ],
)
def test_dates_that_can_be_read_in_two_ways_need_a_choice(load: Load, content: str, message: str):
    with pytest.raises(InvalidImportFile, match=message):
        load(content)

    assert count(Ticket) == 0
    load(content, date_format="mdy")
    assert stored()[-1].created_at.month == 4 or stored()[0].created_at.month == 3


def test_dates_are_in_the_given_time_zone(load: Load, configure: Any):
    configure(AURA_TIMEZONE="Europe/Berlin")
    load("title,created\nVPN,2024-01-10 10:00\nMail,2024-01-10T10:00:00Z\n")
    load("title,created\nFax,2024-01-10 10:00\n", zone="America/New_York")

    assert [ticket.created_at.hour for ticket in stored()] == [9, 10, 15]


def test_a_date_that_cannot_be_read_is_reported_and_the_row_is_imported(load: Load):
    report = load("title,created\nVPN,gestern\nMail,2199-01-01\n")

    assert report.new == 2
    assert [line for line, _ in report.warnings] == [2, 3]
    assert all(ticket.created_at > datetime.now(UTC) - timedelta(minutes=5) for ticket in stored())


# -- unusable files ---------------------------------------------------------------------------------------------------


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
        ('[{"a": 1}]', "tickets.json", "no column for title or description among a; map one"),
        ("title,title\na,b\n", "tickets.csv", "two columns are named 'title'"),
        (CSV, "tickets.xlsx", "only .csv, .tsv"),
        (CSV, "tickets", "only .csv, .tsv"),
        ('{"a": [1], "b": {}}', "tickets.json", "no list of tickets under a key such as tickets"),
    ],
)
def test_an_unusable_file_is_refused_with_the_reason(load: Load, content: str, name: str, words: str):
    with pytest.raises(InvalidImportFile) as refused:
        load(content, name)

    assert words in str(refused.value)
    assert count(Ticket) == 0


@pytest.mark.parametrize(
    ("content", "name"),
    [
        ("", "tickets.jsonl"),
        ("title,description\n", "tickets.csv"),
        ("[]", "tickets.json"),
        ('{"tickets": []}', "tickets.json"),
    ],
)
def test_a_file_without_rows_imports_no_tickets(load: Load, content: str, name: str):
    report = load(content, name)

    assert (report.rows, report.new, report.warned) == (0, 0, 0)


def test_a_damaged_gz_is_refused(tmp_path: Path):
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
    assert count(Ticket) == 0


# -- size -------------------------------------------------------------------------------------------------------------


def test_a_large_file_is_stored_in_batches_with_progress(write: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(importer, "BATCH", 10)
    positions: list[tuple[int, int]] = []
    content = "title,email\n" + "".join(f"ticket {number},\n" for number in range(35))

    report = import_tickets(write(content), progress=lambda *position: positions.append(position))

    assert report.new == 35
    assert positions == sorted(positions)
    assert positions[-1] == (len(content), len(content))


@pytest.mark.slow
@pytest.mark.parametrize("ids", [True, False], ids=["with ids", "without ids"])
def test_memory_does_not_grow_with_the_number_of_rows(write: Any, ids: bool):
    def peak(rows: int) -> int:
        lines = (f"{rows}-{number},ticket {number},{'x' * 200}\n" for number in range(rows))
        path = write(("id" if ids else "room") + ",title,description\n" + "".join(lines), f"{rows}.csv")
        tracemalloc.start()
        try:
            import_tickets(path)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(500)
    assert peak(6_000) < 1.5 * peak(1_500)


# -- preview ----------------------------------------------------------------------------------------------------------


def test_a_preview_reads_everything_and_stores_nothing(write: Any):
    path = write(
        "Summary,Issue key,Reporter,Status,Room\n" + "VPN,X-1,Ada <ADA@example.com>,Done,5\n" * 15 + ",X-2,,,\n"
    )

    report = preview_import(path)

    assert count(Ticket) == 0
    assert (report.rows, report.new, report.rejected, report.finished) == (16, 15, 1, 15)
    assert len(report.preview) == 10
    assert report.preview[0].new.requester == "ada@example.com"
    assert report.preview[0].requester_name == "Ada"
    assert (report.file.preset, report.file.source, report.file.delimiter) == ("jira", "import:jira", ",")
    assert report.file.others == ["Room"]


def test_the_original_row_is_stored(load: Load):
    load("title,priority,Labels,Labels\nVPN,whenever you like,a,b\n")

    (ticket,) = stored()
    assert ticket.claimed_priority is None
    assert json.loads(ticket.raw) == {"title": "VPN", "priority": "whenever you like", "Labels": "a", "Labels (2)": "b"}


def test_general_switches_recognition_off(load: Load):
    content = "Summary,Issue key,Reporter\nVPN,X-1,ada\n"

    assert load(content, preset="general").file.source == "import"
    assert load(content, preset="Jira").file.source == "import:jira"
    with pytest.raises(InvalidImportFile, match="no preset 'jirra'; there are zendesk, jira"):
        load(content, preset="jirra")


def test_a_sum_below_the_rows_is_named_and_no_ticket(load: Load):
    report = load("Nr;Betreff;Status\n1;VPN;Offen\n2;Summe der Mails falsch;Offen\nSumme;;2\nTotal tickets: 2;;\n")

    assert [ticket.title for ticket in stored()] == ["VPN", "Summe der Mails falsch"]
    assert (report.rejected, [line for line, _ in report.warnings]) == (0, [4, 5])


def test_an_empty_date_is_read_from_the_next_column(load: Load):
    load("number,short_description,state,opened_at,sys_created_on\nINC1,VPN,New,,2024-03-20 10:00\n")

    assert [f"{ticket.created_at:%Y-%m-%d}" for ticket in stored()] == ["2024-03-20"]


def test_a_file_with_more_rows_than_the_limit_is_an_error_also_in_a_preview(write: Any, load: Load):
    content = "title\n" + "VPN\n" * 7

    with pytest.raises(InvalidImportFile, match="more than 6 rows"):
        load(content, limit=6)
    assert load(content, limit=7).rows == 7
    with pytest.raises(InvalidImportFile, match="more than 6 rows"):
        preview_import(write(content), importer.ImportOptions(limit=6))
