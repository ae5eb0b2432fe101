"""Invitations as text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aura.mail.calendars import calendar_text
from aura.mail.parse import parse_mail
from tests.growth import MOST, growth

EVENT = """BEGIN:VCALENDAR
METHOD:REQUEST
BEGIN:VTIMEZONE
TZID:Europe/Berlin
BEGIN:STANDARD
DTSTART:16010101T030000
END:STANDARD
END:VTIMEZONE
BEGIN:VEVENT
ORGANIZER;CN="Lee: Ann":mailto:ann@example.com
SUMMARY;LANGUAGE=de:Wartung\\, Server
DTSTART;TZID=Europe/Berlin:20270105T090000
DTEND;TZID=Europe/Berlin:20270105T103000
LOCATION:Raum 12
DESCRIPTION:Bitte alle Programme\\nschlie
 ßen.
BEGIN:VALARM
DESCRIPTION:Reminder
END:VALARM
END:VEVENT
END:VCALENDAR
"""
TEXT = (
    "Wartung, Server\n2027-01-05 09:00 Europe/Berlin – 2027-01-05 10:30 Europe/Berlin\nRaum 12\n\n"
    "Bitte alle Programme\nschließen."
)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_an_event_says_summary_times_place_and_description(end: str) -> None:
    assert calendar_text(EVENT.replace("\n", end)) == TEXT


@pytest.mark.parametrize(
    ("changed", "part"),
    [
        (("METHOD:REQUEST", "METHOD:CANCEL"), "CANCELLED"),
        (("DTSTART;TZID=Europe/Berlin:20270105T090000", "DTSTART:20270105T090000Z"), "2027-01-05 09:00 UTC"),
        (("DTSTART;TZID=Europe/Berlin:20270105T090000", "DTSTART;VALUE=DATE:20270105"), "2027-01-05 –"),
        (("VEVENT", "VTODO"), "Wartung, Server"),
        (("END:VEVENT\nEND:VCALENDAR\n", ""), "Wartung, Server"),
    ],
)
def test_other_kinds_of_events_and_times_are_read(changed: tuple[str, str], part: str) -> None:
    assert part in calendar_text(EVENT.replace(*changed))


@pytest.mark.parametrize(
    "head", ["Content-Type: text/calendar; method=REQUEST; charset=utf-8", "Content-Type: text/calendar"]
)
def test_a_mail_that_is_an_invitation_has_its_text_and_the_file(head: str) -> None:
    parsed = parse_mail(f"From: a@example.com\n{head}\n\n{EVENT}".encode())

    assert parsed.text == TEXT
    assert [each["name"] for each in parsed.attachments] == ["invitation.ics"]


def test_an_invitation_beside_text_is_attached_only() -> None:
    parts = f"--b\n\nPlease come.\n--b\nContent-Type: text/calendar\n\n{EVENT}\n--b--\n"
    raw = f"Content-Type: multipart/alternative; boundary=b\n\n{parts}"

    assert parse_mail(raw.encode()).text == "Please come."
    assert len(parse_mail(raw.encode()).attachments) == 1


@given(st.text('BEGIN:VEVENTD\\nS;"=T0 \r\n', max_size=200))
def test_any_calendar_is_read(text: str) -> None:
    calendar_text(text)
    calendar_text("BEGIN:VEVENT\n" + text)


@pytest.mark.parametrize("hostile", ["BEGIN:VEVENT\n", "SUMMARY:x\n", 'A;"', "A;b=\n", "\n ", 'A;"x";', "\\,"])
def test_a_hostile_calendar_takes_linear_time(hostile: str) -> None:
    assert growth(lambda text: calendar_text("BEGIN:VEVENT\n" + text), hostile * (100_000 // len(hostile))) < MOST
