"""Quiet hours and digests in local time, also on the days of a change to or from daylight saving time."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from aura.notifications.quiet_hours import Preference, delay_until, is_quiet, preference, problem, quiet_until

BERLIN = "Europe/Berlin"


def at(moment: str, zone: str = "UTC") -> datetime:
    return datetime.fromisoformat(moment).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


def held(moment: str, **chosen: str) -> str | None:
    """Until when, in UTC, a notice of this moment in UTC waits."""
    until = delay_until(Preference(**chosen), at(moment))
    return None if until is None else f"{until:%m-%dT%H:%M}"


NIGHT = {"quiet_from": "22:00", "quiet_to": "07:00"}


@pytest.mark.parametrize(
    ("moment", "until"),
    [
        ("2026-06-01T21:59:59", None),
        ("2026-06-01T22:00:00", "06-02T07:00"),
        ("2026-06-02T00:00:00", "06-02T07:00"),
        ("2026-06-02T06:59:59", "06-02T07:00"),
        ("2026-06-02T07:00:00", None),
    ],
)
def test_quiet_hours_go_over_midnight(moment: str, until: str | None) -> None:
    assert held(moment, **NIGHT) == until


@pytest.mark.parametrize(("moment", "until"), [("2026-06-01T12:30", "06-01T13:00"), ("2026-06-01T11:59", None)])
def test_quiet_hours_of_a_lunch_break_do_not(moment: str, until: str | None) -> None:
    assert held(moment, quiet_from="12:00", quiet_to="13:00") == until


@pytest.mark.parametrize(
    ("moment", "zone", "until"),
    [
        # summer time is UTC+2, winter time UTC+1
        ("2026-06-01T21:00", BERLIN, "06-02T05:00"),
        ("2026-12-01T20:30", BERLIN, None),
        ("2026-12-01T21:00", BERLIN, "12-02T06:00"),
        # the night in which an hour is left out, and the one in which an hour is repeated
        ("2026-03-28T21:00", BERLIN, "03-29T05:00"),
        ("2026-10-24T20:00", BERLIN, "10-25T06:00"),
        ("2026-06-01T16:30", "Asia/Kolkata", "06-02T01:30"),
        ("2026-06-01T12:00", "Pacific/Kiritimati", "06-01T17:00"),
    ],
)
def test_business_hours_are_local_times(moment: str, zone: str, until: str | None) -> None:
    assert held(moment, zone=zone, **NIGHT) == until


def test_quiet_hours_that_end_at_a_skipped_time_end_an_hour_later() -> None:
    assert held("2026-03-29T00:30", zone=BERLIN, quiet_from="22:00", quiet_to="02:30") == "03-29T01:30"


@pytest.mark.parametrize(
    ("moment", "until"),
    [
        ("2026-10-24T23:00", "10-25T00:30"),  # 01:00: until it is 02:30 for the first time
        ("2026-10-25T00:45", None),  # 02:45, the first time
        ("2026-10-25T01:15", "10-25T01:30"),  # 02:15 once more: until it is 02:30 for the second time, not for a day
        ("2026-10-25T01:45", None),
    ],
)
def test_quiet_hours_end_at_both_occurrences_of_a_repeated_time(moment: str, until: str | None) -> None:
    assert held(moment, zone=BERLIN, quiet_from="22:00", quiet_to="02:30") == until


@pytest.mark.parametrize(
    ("moment", "chosen", "until"),
    [
        ("2026-06-01T12:34:56", {"digest": "hourly"}, "06-01T13:00"),
        ("2026-06-01T13:00:00", {"digest": "hourly"}, "06-01T14:00"),
        ("2026-06-01T12:10", {"digest": "hourly", "zone": "Asia/Kolkata"}, "06-01T12:30"),
        ("2026-10-25T00:30", {"digest": "hourly", "zone": BERLIN}, "10-25T01:00"),
        ("2026-10-25T01:30", {"digest": "hourly", "zone": BERLIN}, "10-25T02:00"),
        ("2026-06-01T07:59", {"digest": "daily"}, "06-01T08:00"),
        ("2026-06-01T08:00", {"digest": "daily"}, "06-02T08:00"),
        ("2026-06-01T07:00", {"digest": "daily", "zone": BERLIN, "digest_at": "17:30"}, "06-01T15:30"),
        ("2026-10-24T22:00", {"digest": "daily", "zone": BERLIN, "digest_at": "02:30"}, "10-25T00:30"),
        ("2026-10-25T00:30", {"digest": "daily", "zone": BERLIN, "digest_at": "02:30"}, "10-26T01:30"),
        ("2026-03-28T22:00", {"digest": "daily", "zone": BERLIN, "digest_at": "02:30"}, "03-29T01:30"),
        # a digest does not come in quiet hours either
        ("2026-06-01T21:30", {"digest": "hourly", **NIGHT}, "06-02T07:00"),
        ("2026-06-01T12:00", {"digest": "daily", "digest_at": "23:00", **NIGHT}, "06-02T07:00"),
        ("2026-06-01T23:00", {"digest": "daily", "digest_at": "09:00", **NIGHT}, "06-02T09:00"),
    ],
)
def test_a_digest_comes_at_its_time(moment: str, chosen: dict[str, str], until: str) -> None:
    assert held(moment, **chosen) == until


CLOCKS = st.times().map(lambda each: f"{each:%H:%M}")
ZONES = st.sampled_from(
    ["UTC", BERLIN, "America/St_Johns", "Australia/Lord_Howe", "Asia/Kathmandu", "Africa/Casablanca"]
)
MOMENTS = st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31)).map(lambda each: each.replace(tzinfo=UTC))


@given(CLOCKS, CLOCKS, ZONES, MOMENTS)
def test_quiet_hours_end_within_a_day(first: str, last: str, zone: str, moment: datetime) -> None:
    assume(first != last)
    chosen = Preference(zone=zone, quiet_from=first, quiet_to=last)
    until = quiet_until(chosen, moment)
    assert (until is not None) == is_quiet(chosen, moment)
    if until is not None:
        assert moment < until <= moment + timedelta(hours=25)
        assert not is_quiet(chosen, until)
        if until - moment <= timedelta(hours=22):
            # in between it is quiet, but for an hour that the clocks leave out
            step = timedelta(minutes=30)
            middle = [moment + step * n for n in range(1, 50) if moment + step * n < until]
            assert len([each for each in middle if not is_quiet(chosen, each)]) <= 2


@given(CLOCKS, CLOCKS, st.sampled_from(["", "hourly", "daily"]), CLOCKS, ZONES, MOMENTS)
def test_any_preference_delivers_outside_quiet_hours(
    first: str, last: str, digest: str, digest_at: str, zone: str, moment: datetime
) -> None:
    assume(first != last)
    chosen = Preference("", zone, first, last, digest, digest_at)
    assert problem(chosen) is None
    until = delay_until(chosen, moment)
    assert until is None or moment < until <= moment + timedelta(hours=50)
    assert not is_quiet(chosen, until or moment)


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"language": "tlh"}, "language: unknown language 'tlh'; the languages are en, de"),
        ({"zone": "Mars"}, "timezone: unknown time zone 'Mars'; use a name such as Europe/Berlin"),
        ({"zone": "../x"}, "timezone: "),
        ({"zone": "Europe/Berlin\0"}, "timezone: "),
        ({"quiet_from": "22:00"}, "quiet: must be two different times such as 22:00-07:00"),
        ({"quiet_from": "22:00", "quiet_to": "22:00"}, "quiet: "),
        ({"quiet_from": "24:00", "quiet_to": "07:00"}, "quiet: "),
        ({"quiet_from": "22:00\n", "quiet_to": "07:00"}, "quiet: "),
        ({"digest": "weekly"}, "digest: must be hourly or daily, not 'weekly'"),
        ({"digest": "daily", "digest_at": "8"}, "digest_at: must be a time such as 08:00"),
    ],
)
def test_an_invalid_preference_names_the_field_and_its_values(wrong: dict[str, str], error: str) -> None:
    found = problem(Preference(**wrong))
    assert found is not None
    assert found.startswith(error)


def test_a_row_of_any_types_is_read() -> None:
    row = {"language": "", "timezone": "", "quiet_from": b"22", "quiet_to": 7, "digest": None, "digest_at": "08:00"}
    found = preference(row, BERLIN)  # type: ignore[arg-type]
    assert found.zone == BERLIN
    assert problem(found) == "quiet: must be two different times such as 22:00-07:00"


def test_an_empty_preference_holds_nothing_back() -> None:
    assert delay_until(Preference(), datetime.combine(datetime(2026, 6, 1), time(3), UTC)) is None
