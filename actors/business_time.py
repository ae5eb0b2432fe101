"""Business time: the business seconds between two moments, and the moment after so many business seconds.

A moment counts when its local time is within business hours and its day is no holiday. A change to or from daylight saving
time keeps the local hours of a business day; a skipped hour does not count, a repeated hour counts twice.
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
#: Limit of the search for a moment, when hours are few and holidays many.
HORIZON = timedelta(days=3_660)
_DAY = timedelta(days=1)


@dataclass(frozen=True, eq=False)  # hashed by identity: there is one instance for each setting
class Calendar:
    """Business hours in local time; `opens` and `closes` count from midnight."""

    days: frozenset[int]
    opens: timedelta
    closes: timedelta
    holidays: frozenset[date]
    zone: ZoneInfo

    def after(self, start: datetime, seconds: float) -> datetime:
        """Return the first moment so many business seconds after `start`."""
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
    match = re.fullmatch(BUSINESS_HOURS, "Mon-Sun 00:00-24:00" if hours == ALWAYS else hours)
    if match is None:
        raise ValueError(f"{hours!r} is not a valid range of business hours")
    days: set[int] = set()
    for part in match[1].split(","):
        first, last = WEEKDAYS.index(part[:3]), WEEKDAYS.index(part[-3:])
        days.update((first + step) % 7 for step in range((last - first) % 7 + 1))
    closed = frozenset(date.fromisoformat(day) for day in holidays)
    return Calendar(frozenset(days), _time_of_day(match[2]), _time_of_day(match[3]), closed, ZoneInfo(zone))


def _time_of_day(text: str) -> timedelta:
    hour, minute = text.split(":")
    return timedelta(hours=int(hour), minutes=int(minute))


@lru_cache(maxsize=4_096)
def _windows(calendar: Calendar, day: date) -> tuple[tuple[datetime, datetime], ...]:
    """Return the open intervals of a local day, in UTC, in order."""
    if day.weekday() not in calendar.days or day in calendar.holidays:
        return ()
    midnight = datetime.combine(day, time(), UTC)
    first, last = midnight + calendar.opens, midnight + calendar.closes
    offsets = {_offset_of_local(each, fold, calendar.zone) for each in (first, last) for fold in (0, 1)}
    if len(offsets) == 1:
        offset = offsets.pop()
        return ((first - offset, last - offset),)
    begin, end = first - max(offsets), last - min(offsets)
    change = _change(calendar.zone, begin, end)
    before, after = (_offset(each, calendar.zone) for each in (begin, end))
    parts = ((first - before, min(last - before, change)), (max(first - after, change), last - after))
    return tuple((opens, closes) for opens, closes in parts if opens < closes)


def _change(zone: ZoneInfo, begin: datetime, end: datetime) -> datetime:
    """Return the moment between two others at which the UTC offset changes, to the second."""
    before = _offset(begin, zone)
    while end - begin > timedelta(seconds=1):
        middle = begin + timedelta(seconds=(end - begin) // timedelta(seconds=2))
        begin, end = (middle, end) if _offset(middle, zone) == before else (begin, middle)
    return end


def _offset(moment: datetime, zone: ZoneInfo) -> timedelta:
    return moment.astimezone(zone).utcoffset() or timedelta()


def _offset_of_local(local: datetime, fold: int, zone: ZoneInfo) -> timedelta:
    return local.replace(tzinfo=zone, fold=fold).utcoffset() or timedelta()
