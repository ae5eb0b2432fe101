"""Dates of exports."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from aura.desk.importing.dates import DateOrder, DateReader, zone_named
from aura.desk.importing.report import InvalidImportFile

BERLIN = DateReader(ZoneInfo("Europe/Berlin"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-03-20", "2024-03-19 23:00"),
        ("2024-03-20 10:00", "2024-03-20 09:00"),
        ("2024-03-20T10:00:00Z", "2024-03-20 10:00"),
        ("2024-03-20T10:00:00.000+0200", "2024-03-20 08:00"),
        ("2024-03-20 10:00:00 +0200", "2024-03-20 08:00"),
        ("2024-03-20 10:00:00 UTC", "2024-03-20 10:00"),
        ("2024-3-2 9:14 PM", "2024-03-02 20:14"),
        ("2024/03/20 10:00", "2024-03-20 09:00"),
        ("20.03.2024 10:00", "2024-03-20 09:00"),
        ("2.3.24", "2024-03-01 23:00"),
        ("20.03.2024, 10:00 Uhr", "2024-03-20 09:00"),
        ("20-03-2024 10:00:30", "2024-03-20 09:00"),
        ("13/03/2024 12:00 AM", "2024-03-12 23:00"),
        ("03/13/2024 12:00 PM", "2024-03-13 11:00"),
        ("02/Jan/24 9:14 AM", "2024-01-02 08:14"),
        ("02/Mär/24 9:14", "2024-03-02 08:14"),
        ("2. Dezember 2024 14:05", "2024-12-02 13:05"),
        ("Jan 2, 2024 9:14 PM", "2024-01-02 20:14"),
        ("May 3rd, 2024", "2024-05-02 22:00"),
        ("Tue Apr 02 06:00:00 2024", "2024-04-02 04:00"),
        ("Fri, 22 Mar 2024 10:00:00 +0100", "2024-03-22 09:00"),
        ("20240320T100000Z", "2024-03-20 10:00"),
        ("20240320", "2024-03-19 23:00"),
        ("2024-03-20T10:00Z[UTC]", "2024-03-20 10:00"),
        ("2024-03-20 10:00 GMT+02:00", "2024-03-20 08:00"),
        ("Mi. 20.03.2024 10:00", "2024-03-20 09:00"),
        ("20.Mar.2024 10:00", "2024-03-20 09:00"),
        ("20 mars 2024 à 10:00", "2024-03-20 09:00"),
        ("20 de marzo de 2024", "2024-03-19 23:00"),
        ("2024年3月20日 10:00", "2024-03-20 09:00"),
        ("10:00 20.03.2024", "2024-03-20 09:00"),
        ("45371.416666667", "2024-03-20 09:00"),
        ("45371,416666667", "2024-03-20 09:00"),
        ("1711011600", "2024-03-21 09:00"),
        ("1711011600123", "2024-03-21 09:00"),
        ("  2024-03-20 10:00  ", "2024-03-20 09:00"),
    ],
)
def test_the_usual_forms_are_read_in_the_time_zone(text: str, expected: str):
    moment = BERLIN.read(text)

    assert moment is not None
    assert (f"{moment:%Y-%m-%d %H:%M}", moment.tzinfo) == (expected, UTC)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "5",
        "yes",
        "2024",
        "12:30",
        "99/99/2024",
        "2024-13-01",
        "31.02.2024",
        "12321.5",
        "0001-01-01",
        "9999-12-31",
        "1/1/1",
        "now",
        "2024-03-20 10:00 XYZ",
        "2024-03-20 25:00",
        "13:00 PM 2024",
        "x" * 1000,
    ],
)
def test_other_texts_are_no_dates(text: str):
    assert BERLIN.read(text) is None


@pytest.mark.parametrize(("order", "expected"), [("dmy", (4, 3)), ("mdy", (3, 4)), (None, (4, 3))])
def test_the_order_is_that_of_the_file(order: str | None, expected: tuple[int, int]):
    moment = DateReader(UTC, order).read("03/04/2024")  # type: ignore[arg-type]

    assert moment == datetime(2024, *expected, tzinfo=UTC)


def test_a_format_is_read_by_strptime():
    reader = DateReader(UTC, format="%d|%m|%Y")

    assert reader.read("03|04|2024") == datetime(2024, 4, 3, tzinfo=UTC)
    assert reader.read("2024-04-03") is None


@pytest.mark.parametrize(
    ("texts", "order"),
    [
        (["03/04/2024", "25/04/2024"], "dmy"),
        (["03/04/2024", "04/25/2024"], "mdy"),
        (["03/03/2024"], None),
        (["03.04.2024", "2024-03-04", "02/Jan/24"], None),
    ],
)
def test_one_date_decides_the_order_of_all(texts: list[str], order: str | None):
    evidence = DateOrder()
    for text in texts:
        evidence.add(text)

    assert evidence.result("Created") == order


@pytest.mark.parametrize(
    ("texts", "words"), [(["03/04/2024"], "choose dmy or mdy"), (["25/04/2024", "04/25/2024"], "correct one")]
)
def test_dates_without_one_order_are_refused(texts: list[str], words: str):
    evidence = DateOrder()
    for text in texts:
        evidence.add(text)

    with pytest.raises(InvalidImportFile, match=words):
        evidence.result("Created")


def test_an_unknown_time_zone_is_refused():
    for name in ("Europe/Nowhere", "../etc/passwd", "/etc/passwd", "\0"):
        with pytest.raises(InvalidImportFile, match="not a time zone"):
            zone_named(name)


@pytest.mark.parametrize("piece", ["1", "1/", " ", "a", "1 a ", "-", "01/02/2024 "])
def test_hostile_texts_take_constant_time(piece: str):
    start = time.process_time()
    for _ in range(100):
        BERLIN.read(piece * 100_000)

    assert time.process_time() - start < 2
