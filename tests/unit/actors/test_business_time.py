"""Business time, compared with an oracle that counts local time minute by minute."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from actors.business_time import HORIZON, calendar
from aura.settings import WEEKDAYS, Settings, SettingsError

MINUTE = timedelta(minutes=1)
DAILY = "Mon-Fri 08:00-18:00"


def is_open(moment: datetime, hours: str, holidays: tuple[str, ...], zone: str) -> bool:
    """Say whether a clock on the wall shows business hours, in the slowest and plainest way."""
    shown = moment.astimezone(ZoneInfo(zone))
    if shown.date().isoformat() in holidays:
        return False
    if hours == "always":
        return True
    ranges, times = hours.split(" ")
    days = list[str]()
    for part in ranges.split(","):
        first, _, last = part.partition("-")
        day = WEEKDAYS.index(first)
        days.append(WEEKDAYS[day])
        while last and WEEKDAYS[day] != last:
            day = (day + 1) % 7
            days.append(WEEKDAYS[day])
    opens, closes = times.split("-")
    return WEEKDAYS[shown.weekday()] in days and opens <= shown.strftime("%H:%M") < closes


def clocks() -> st.SearchStrategy[str]:
    return st.builds("{:02}:{:02}".format, st.integers(0, 23), st.sampled_from([0, 1, 15, 30, 59]))


days = st.sampled_from([*WEEKDAYS, "Mon-Fri", "Sat-Mon", "Sun-Tue", "Mon,Wed", "Mon-Tue,Sun", "Sun-Sat"])
business_hours = st.one_of(
    st.just("always"),
    st.builds("{} {}-{}".format, days, clocks(), st.one_of(clocks(), st.just("24:00"))).filter(
        lambda hours: hours.rpartition(" ")[2][:5] < hours[-5:]
    ),
)
zones = st.sampled_from(
    ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "America/Santiago"]
)
#: Around the days on which clocks change in one of the zones, and others.
moments = st.builds(
    lambda day, minute: datetime.fromisoformat(day).replace(tzinfo=UTC) + minute * MINUTE,
    st.sampled_from(["2026-03-27", "2026-10-23", "2026-03-07", "2026-10-31", "2026-04-03", "2026-09-05", "2026-12-24"]),
    st.integers(0, 2 * 24 * 60),
)
holidays = st.lists(
    st.sampled_from(["2026-03-30", "2026-12-25", "2026-03-29", "2026-10-25"]), unique=True, max_size=2
).map(tuple)


@given(business_hours, holidays, zones, moments, st.integers(0, 2 * 24 * 60))
@settings(max_examples=50)
@example("Sun 00:00-06:00", (), "Europe/Berlin", datetime(2026, 3, 28, 12, tzinfo=UTC), 2000)
@example("Sun 02:30-06:00", (), "Europe/Berlin", datetime(2026, 10, 24, 12, tzinfo=UTC), 2000)
@example("Sun 00:00-02:30", (), "Europe/Berlin", datetime(2026, 10, 24, 12, tzinfo=UTC), 2000)
@example("Sun 02:15-02:45", (), "Europe/Berlin", datetime(2026, 3, 28, 12, tzinfo=UTC), 2000)
@example("Sat-Sun 00:00-24:00", (), "America/Santiago", datetime(2026, 4, 3, 12, tzinfo=UTC), 4000)
def test_between_counts_the_minutes_that_the_wall_shows_as_business_hours(
    hours: str, free: tuple[str, ...], zone: str, start: datetime, minutes: int
) -> None:
    counted = sum(is_open(start + each * MINUTE, hours, free, zone) for each in range(minutes))
    assert calendar(hours, free, zone).between(start, start + minutes * MINUTE) == counted * 60


@given(business_hours, holidays, zones, moments, st.integers(0, 40 * 60))
def test_after_is_the_first_moment_at_which_so_much_has_passed(
    hours: str, free: tuple[str, ...], zone: str, start: datetime, minutes: int
) -> None:
    when = calendar(hours, free, zone).after(start, minutes * 60)
    if when == start + HORIZON:
        assert calendar(hours, free, zone).between(start, when) < minutes * 60
        return
    assert calendar(hours, free, zone).between(start, when) == minutes * 60
    if minutes:
        assert is_open(when - MINUTE, hours, free, zone), "the minute before it counts, so none before is enough"


def test_a_target_across_daylight_saving_keeps_local_hours() -> None:
    berlin = calendar(DAILY, (), "Europe/Berlin")
    friday, monday = datetime(2026, 3, 27, 15, tzinfo=UTC), datetime(2026, 3, 30, 8, tzinfo=UTC)
    assert friday.astimezone(berlin.zone).hour == 16 and monday.astimezone(berlin.zone).hour == 10
    assert berlin.after(friday, 4 * 3600) == monday, "two hours on Friday, two on Monday, by the clock on the wall"
    night = calendar("always", (), "Europe/Berlin")
    before = datetime(2026, 3, 28, 23, tzinfo=UTC)  # midnight of the day that has 23 hours
    assert night.after(before, 3 * 3600).astimezone(night.zone).hour == 4, "the hour that is left out does not count"


def test_unreachable_business_hours_end_the_search() -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    sundays = [date(2025, 12, 28) + timedelta(weeks=week) for week in range(530)]
    none = calendar("Sun 08:00-09:00", tuple(map(str, sundays)), "UTC")
    assert none.after(start, 60) == start + HORIZON
    assert none.between(start, start + timedelta(days=3_000)) == 0


@pytest.mark.parametrize(
    "value", ["Mon-Fri 18:00-08:00", "Mon 08:00-08:00", "Mon-Wed-Fri 08:00-18:00", "08:00-18:00", "Mon-Fri", "weekdays"]
)
def test_invalid_business_hours_name_the_setting(value: str, configure: Callable[..., Settings]) -> None:
    with pytest.raises(SettingsError, match=re.escape("AURA_BUSINESS_HOURS: must have the form Mon-Fri 08:00-18:00")):
        configure(AURA_BUSINESS_HOURS=value)
