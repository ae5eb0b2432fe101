"""Crontab expressions: what the fields mean, and the runs of every zone when its clocks change.

The expected runs are found by walking the wall clock of a zone minute by minute. `make test` scans one zone of each
group with the same changes, around the changes of ten years; CRONTAB_SCAN=all scans every day of all zones, in `make chaos`.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest

from pipelines.crontab import Crontab, InvalidCrontab, is_zone, parse

FIRST, LAST = datetime(2026, 1, 1, tzinfo=UTC), datetime(2036, 1, 1, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
ALL = os.environ.get("CRONTAB_SCAN") == "all"

# -- fields -----------------------------------------------------------------------------------------------------------

#: A Monday.
MONDAY = datetime(2026, 11, 30, tzinfo=UTC)


def days(expression: str, number: int = 5) -> list[str]:
    """Return the weekdays and the days of the month of the next runs."""
    times, found, at = Crontab(expression, "UTC"), [], MONDAY
    for _ in range(number):
        at = times.next(at)
        found.append(f"{at:%a %-d}")
    return found


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("0 3 * * 0", ["Sun 6", "Sun 13", "Sun 20", "Sun 27", "Sun 3"]),
        ("0 3 * * 7", ["Sun 6", "Sun 13", "Sun 20", "Sun 27", "Sun 3"]),
        ("0 3 * * 1-5", ["Mon 30", "Tue 1", "Wed 2", "Thu 3", "Fri 4"]),
        ("0 3 * * 6,0", ["Sat 5", "Sun 6", "Sat 12", "Sun 13", "Sat 19"]),
        ("0 3 * * 5-7", ["Fri 4", "Sat 5", "Sun 6", "Fri 11", "Sat 12"]),
        ("0 3 * * Sat-Sun", ["Sat 5", "Sun 6", "Sat 12", "Sun 13", "Sat 19"]),
        ("0 3 * * mon-fri/2", ["Mon 30", "Wed 2", "Fri 4", "Mon 7", "Wed 9"]),
        # two day fields: either of them, as in crontab(5)
        ("0 3 13 * 5", ["Fri 4", "Fri 11", "Sun 13", "Fri 18", "Fri 25"]),
        # both of them when one begins with a star, as in Debian's cron
        ("0 3 */2 * 5", ["Fri 11", "Fri 25", "Fri 1", "Fri 15", "Fri 29"]),
    ],
)
def test_the_day_fields_have_the_meaning_of_crontab(expression: str, expected: list[str]):
    assert days(expression) == expected


@pytest.mark.parametrize(
    "expression",
    [
        *("", "*", "* * * *", "0 * * * * *", "@daily", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *"),
        *(
            "* * * * 8",
            "*/0 * * * *",
            "5-1 * * * *",
            "a * * * *",
            "٣ * * * *",
            "-1 * * * *",
            "0 0 30 2 *",
            "0 0 31 2,4 *",
        ),
        *("* * * * fri-mon", "1.5 * * * *", "? * * * *", "* * * * mon#6", 5, None, ["* * * * *"]),
    ],
)
def test_an_invalid_expression_is_refused(expression: object):
    with pytest.raises(InvalidCrontab):
        parse(expression)


@pytest.mark.parametrize(
    "make", [lambda n: "," * n + " * * * *", lambda n: "1-5," * n + "1 * * * *", lambda n: "* " * n]
)
def test_the_time_for_a_long_expression_is_linear(make):
    def seconds(size: int) -> float:
        text, began = make(size), time.process_time()
        with contextlib.suppress(InvalidCrontab):
            parse(text)
        return time.process_time() - began

    assert min(seconds(20_000) for _ in range(3)) < 12 * min(seconds(5_000) for _ in range(3)) + 0.01


@pytest.mark.parametrize("zone", ["Europe/Atlantis", "../../etc/passwd", "/etc/localtime", "Europe", "", "a\0b"])
def test_an_unknown_zone_is_recognised(zone: str):
    assert not is_zone(zone)
    assert is_zone("Europe/Berlin")


# -- changes of the clocks --------------------------------------------------------------------------------------------

#: The times of day of an expression; None for every hour, with its minutes.
DAILY = {
    "0 0 * * *": ["00:00"],
    "30 0 * * *": ["00:30"],
    "59 23 * * *": ["23:59"],
    "15 1 * * *": ["01:15"],
    "30 2 * * *": ["02:30"],
    "0 3 * * *": ["03:00"],
    "*/30 2,3 * * *": ["02:00", "02:30", "03:00", "03:30"],
    "0 */2 * * *": [f"{hour:02}:00" for hour in range(0, 24, 2)],
}
HOURLY = {"0 * * * *": {0}, "0 */1 * * *": {0}, "45 0-23 * * *": {45}, "*/20 0-11,12-23 * * *": {0, 20, 40}}


def offset(zone: ZoneInfo, moment: datetime) -> timedelta:
    found = moment.astimezone(zone).utcoffset()
    assert found is not None
    return found


def changes(zone: ZoneInfo) -> Iterator[tuple[datetime, timedelta, timedelta]]:
    """Yield the moment of each change of the clocks, and the offsets before and after it."""
    day = FIRST
    while day < LAST:
        if offset(zone, day) != offset(zone, day + DAY):
            low, high = day, day + DAY
            while high - low > MINUTE:
                middle = low + (high - low) // 2 // MINUTE * MINUTE
                low, high = (middle, high) if offset(zone, middle) == offset(zone, low) else (low, middle)
            yield high, offset(zone, low), offset(zone, high)
        day += DAY


def groups() -> list[str]:
    """Return one zone of each group with the same changes."""
    found: dict[object, str] = {}
    for name in sorted(available_timezones() - {"localtime"}):
        zone = ZoneInfo(name)
        found.setdefault((offset(zone, FIRST), *changes(zone)), name)
    return list(found.values())


class Walk:
    """The minutes of a zone between two moments: the first occurrence of each time of the wall clock."""

    def __init__(self, zone: ZoneInfo, start: datetime, end: datetime) -> None:
        self.moments = [start + number * MINUTE for number in range((end - start) // MINUTE)]
        self.first: dict[datetime, datetime] = {}
        self.walls = [moment.astimezone(zone).replace(tzinfo=None, fold=0) for moment in self.moments]
        for moment, wall in zip(self.moments, self.walls, strict=True):
            self.first.setdefault(wall, moment)

    def daily(self, times: list[str], days: list[date], gap: timedelta) -> list[datetime]:
        """Return one run for each day and time; a time that does not exist runs by `gap` later."""
        found = set()
        for day in days:
            for text in times:
                wall = datetime.combine(day, datetime.strptime(text, "%H:%M").time())
                found.add(self.first.get(wall) or self.first[wall + gap])
        return sorted(found)

    def hourly(self, minutes: set[int], days: list[date]) -> list[datetime]:
        pairs = zip(self.moments, self.walls, strict=True)
        return [moment for moment, wall in pairs if wall.minute in minutes and wall.date() in days]


def scan(times: Crontab, start: datetime, end: datetime) -> list[datetime]:
    found, at = [], start
    while (run := times.next(at)) < end:
        assert run > at
        found.append(run)
        at = run
    return found


def check_change(name: str, change: datetime, before: timedelta, after: timedelta) -> None:
    """Compare the runs of the days around a change with those that a walk finds."""
    zone, gap = ZoneInfo(name), max(after - before, timedelta())
    walk = Walk(zone, change - 3 * DAY, change + 4 * DAY)
    middle = change.astimezone(zone).date()
    days = [middle + number * DAY for number in (-1, 0, 1, 2)]
    expected = {text: walk.daily(times, days, gap) for text, times in DAILY.items()}
    expected |= {text: walk.hourly(minutes, days) for text, minutes in HOURLY.items()}
    for text, runs in expected.items():
        within = runs[0], runs[-1] + MINUTE
        assert scan(Crontab(text, name), within[0] - MINUTE, within[1]) == runs, f"{name} {text} at {change}"


@pytest.mark.parametrize("name", groups())
def test_each_time_of_day_runs_once_around_each_change_of_the_clocks(name: str):
    found = list(changes(ZoneInfo(name)))
    for number, (change, before, after) in enumerate(found):
        # the changes of later years fall on other days, not on other times of day: `make chaos` has all of them
        if ALL or number < 4 or number >= len(found) - 2:
            check_change(name, change, before, after)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(available_timezones() - {"localtime"}) if ALL else [])  # `make chaos`
def test_each_day_of_ten_years_has_one_run(name: str):
    zone = ZoneInfo(name)
    number = (LAST - FIRST) // DAY
    # not 23:xx: where that hour does not exist (America/Nuuk), its run is on the next day
    for text in ("0 0 * * *", "30 0 * * *", "30 2 * * *"):
        runs = scan(Crontab(text, name), FIRST - 26 * HOUR, LAST + 26 * HOUR)
        ran = [run.astimezone(zone).date() for run in runs]
        assert len(set(ran)) == len(ran), f"{name} {text}"
        expected = {FIRST.date() + day * DAY for day in range(number)}
        assert expected <= set(ran), f"{name} {text}: {sorted(expected - set(ran))}"


def test_a_run_is_found_from_each_minute_of_a_change():
    berlin = Crontab("*/30 2,3 * * *", "Europe/Berlin")
    for start in (datetime(2026, 3, 28, 20, tzinfo=UTC), datetime(2026, 10, 24, 20, tzinfo=UTC)):
        runs = scan(berlin, start, start + 2 * DAY)
        for number in range(24 * 60):
            at = start + number * MINUTE
            assert berlin.next(at) == next(run for run in runs if run > at)
