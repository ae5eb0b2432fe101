"""Business time: how much of it lies between two moments, and when so much of it will have passed.

A moment counts while the clock on the wall shows business hours and the day is no holiday. When clocks change, each
business day keeps its hours on the wall; an hour that is left out or comes twice counts as often as it is there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from aura.settings import BUSINESS_HOURS, WEEKDAYS

ALWAYS = "always"
#: What is further away than this is as good as never; it ends the search when hours are few and holidays many.
HORIZON = timedelta(days=3_660)
_DAY = timedelta(days=1)


@dataclass(frozen=True, eq=False)  # one for each setting, so that it is quick to look up what is known of it
class Calendar:
    """Which times on the wall are business hours; `opens` and `closes` count from midnight."""

    days: frozenset[int]
    opens: timedelta
    closes: timedelta
    holidays: frozenset[date]
    zone: ZoneInfo

    def after(self, start: datetime, seconds: float) -> datetime:
        """Return the first moment at which so many business seconds have passed since `start`."""
        left = timedelta(seconds=seconds)
        for opens, closes in self._open(start, start + HORIZON):
            if left <= closes - opens:
                return opens + left if left else start
            left -= closes - opens
        return start + HORIZON

    def between(self, start: datetime, end: datetime) -> float:
        """Return the business seconds from `start` to `end`; 0 when it ends before it starts."""
        return sum(((closes - opens).total_seconds() for opens, closes in self._open(start, end)), 0.0)

    def _open(self, start: datetime, end: datetime) -> Iterator[tuple[datetime, datetime]]:
        day, last = start.astimezone(self.zone).date() - _DAY, end.astimezone(UTC).date() + 2 * _DAY
        while day <= last:
            for opens, closes in _windows(self, day):
                if opens >= end:
                    return
                if closes > start:
                    yield max(opens, start), min(closes, end)
            day += _DAY


@lru_cache(maxsize=64)
def calendar(hours: str, holidays: Sequence[str], zone: str) -> Calendar:
    """Return the calendar of the settings AURA_BUSINESS_HOURS, AURA_HOLIDAYS and AURA_TIMEZONE."""
    found = re.fullmatch(BUSINESS_HOURS, "Mon-Sun 00:00-24:00" if hours == ALWAYS else hours)
    if found is None:
        raise ValueError(f"{hours!r} are no business hours")
    days: set[int] = set()
    for part in found[1].split(","):
        first, last = WEEKDAYS.index(part[:3]), WEEKDAYS.index(part[-3:])
        days.update((first + step) % 7 for step in range((last - first) % 7 + 1))
    free = frozenset(date.fromisoformat(day) for day in holidays)
    return Calendar(frozenset(days), _clock(found[2]), _clock(found[3]), free, ZoneInfo(zone))


def _clock(said: str) -> timedelta:
    hour, minute = said.split(":")
    return timedelta(hours=int(hour), minutes=int(minute))


@lru_cache(maxsize=4_096)
def _windows(calendar: Calendar, day: date) -> tuple[tuple[datetime, datetime], ...]:
    """Return from when to when it is open on a day of the wall calendar, in UTC, in order."""
    if day.weekday() not in calendar.days or day in calendar.holidays:
        return ()
    midnight = datetime.combine(day, time(), UTC)
    first, last = midnight + calendar.opens, midnight + calendar.closes
    offsets = {_offset_on_wall(each, fold, calendar.zone) for each in (first, last) for fold in (0, 1)}
    if len(offsets) == 1:
        offset = offsets.pop()
        return ((first - offset, last - offset),)
    begin, end = first - max(offsets), last - min(offsets)
    change = _change(calendar.zone, begin, end)
    before, after = (_offset(each, calendar.zone) for each in (begin, end))
    parts = ((first - before, min(last - before, change)), (max(first - after, change), last - after))
    return tuple((opens, closes) for opens, closes in parts if opens < closes)


def _change(zone: ZoneInfo, begin: datetime, end: datetime) -> datetime:
    """Return the moment between two others at which the clocks change, to the second."""
    before = _offset(begin, zone)
    while end - begin > timedelta(seconds=1):
        middle = begin + timedelta(seconds=(end - begin) // timedelta(seconds=2))
        begin, end = (middle, end) if _offset(middle, zone) == before else (begin, middle)
    return end


def _offset(moment: datetime, zone: ZoneInfo) -> timedelta:
    return moment.astimezone(zone).utcoffset() or timedelta()


def _offset_on_wall(shown: datetime, fold: int, zone: ZoneInfo) -> timedelta:
    return shown.replace(tzinfo=zone, fold=fold).utcoffset() or timedelta()
