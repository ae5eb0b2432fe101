"""Quiet hours and digests of a recipient: until when a notification is delayed.

Pure functions on plain values. Times of day are local times of the recipient. A time that a change to daylight saving time
skips is an hour later. A repeated time is its first occurrence, as in the schedule; quiet hours end at both.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from aura.notifications.render import LANGUAGES

#: Events that only a storm delays.
URGENT_EVENTS = ("ticket.escalated",)
DIGESTS = ("hourly", "daily")
_CLOCK = re.compile(r"(?:[01]\d|2[0-3]):[0-5]\d")


@dataclass(frozen=True, slots=True)
class Preference:
    """The preference of a recipient; times of day as 22:00, empty for never."""

    language: str = ""
    zone: str = "UTC"
    quiet_from: str = ""
    quiet_to: str = ""
    #: Empty for single notifications, hourly, or daily at `digest_at`.
    digest: str = ""
    digest_at: str = "08:00"


def preference(row: Mapping[str, str], zone: str) -> Preference:
    """Return the preference of a row of the table; `zone` is the default of its time zone."""
    text = {name: str(value) for name, value in row.items()}
    times = (text["quiet_from"], text["quiet_to"], text["digest"], text["digest_at"])
    return Preference(text["language"], text["timezone"] or zone, *times)


def problem(preference: Preference) -> str | None:
    """Return the invalid field of a preference and its valid values; None when the preference is valid."""
    if preference.language not in ("", *LANGUAGES):
        return f"language: unknown language {preference.language[:20]!r}; the languages are {', '.join(LANGUAGES)}"
    try:
        ZoneInfo(preference.zone)
    except (KeyError, ValueError, OSError):
        return f"timezone: unknown time zone {preference.zone[:64]!r}; use a name such as Europe/Berlin"
    first, last = preference.quiet_from, preference.quiet_to
    if (first or last) and not (_CLOCK.fullmatch(first) and _CLOCK.fullmatch(last) and first != last):
        return "quiet: must be two different times such as 22:00-07:00"
    if preference.digest not in ("", *DIGESTS):
        return f"digest: must be {' or '.join(DIGESTS)}, not {preference.digest[:20]!r}"
    if not _CLOCK.fullmatch(preference.digest_at):
        return "digest_at: must be a time such as 08:00"
    return None


def delay_until(preference: Preference, at: datetime) -> datetime | None:
    """Return until when a notification of this moment is delayed; None when it is delivered at once."""
    zone = ZoneInfo(preference.zone)
    until = at
    if preference.digest == "hourly":
        until = _next_hour(at, zone)
    elif preference.digest == "daily":
        until = next(_moments(preference.digest_at, zone, at))
    until = quiet_until(preference, until) or until
    return until if until > at else None


def quiet_until(preference: Preference, at: datetime) -> datetime | None:
    """Return when the quiet hours of this moment end; None outside quiet hours."""
    if not is_quiet(preference, at):
        return None
    # where the end is a repeated time, a notification between the two is delayed until the second one
    ends = _moments(preference.quiet_to, ZoneInfo(preference.zone), at, folds=(0, 1))
    return next(moment for moment in ends if not is_quiet(preference, moment))


def is_quiet(preference: Preference, at: datetime) -> bool:
    """Return whether the local time is within the quiet hours, which may include midnight."""
    if not preference.quiet_from:
        return False
    first, last = time.fromisoformat(preference.quiet_from), time.fromisoformat(preference.quiet_to)
    local = at.astimezone(ZoneInfo(preference.zone)).time()
    return first <= local < last if first < last else local >= first or local < last


def _moments(clock: str, zone: ZoneInfo, at: datetime, folds: tuple[int, ...] = (0,)) -> Iterator[datetime]:
    """Yield the moments after `at` with this local time, in UTC; `folds` are its occurrences on a day that repeats it."""
    day = at.astimezone(zone).date() - timedelta(days=1)
    while True:
        local = datetime.combine(day, time.fromisoformat(clock), zone)
        yield from sorted({moment for fold in folds if (moment := local.replace(fold=fold).astimezone(UTC)) > at})
        day += timedelta(days=1)


def _next_hour(at: datetime, zone: ZoneInfo) -> datetime:
    local = at.astimezone(zone)
    elapsed = timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
    return at.astimezone(UTC) - elapsed + timedelta(hours=1)
