"""When somebody wants to be told: not in quiet hours, or all at once, every hour or every day.

Pure rules on plain values. All times of day are those on the recipient's wall. One that a change of clocks leaves out
comes an hour later. One that it repeats counts at its first occurrence, as in the timetable; quiet hours end at both.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from aura.notifications.render import LANGUAGES

#: Events that wait for nothing but the end of a storm.
PRESSING = ("ticket.escalated",)
DIGESTS = ("hourly", "daily")
_CLOCK = re.compile(r"(?:[01]\d|2[0-3]):[0-5]\d")


@dataclass(frozen=True, slots=True)
class Preference:
    """How somebody wants to be told; times of day as 22:00, empty for never."""

    language: str = ""
    zone: str = "UTC"
    quiet_from: str = ""
    quiet_to: str = ""
    #: Empty for single notices, hourly, or daily at `digest_at`.
    digest: str = ""
    digest_at: str = "08:00"


def preference(row: Mapping[str, str], zone: str) -> Preference:
    """Return what a row of the table says; `zone` is that of whoever named none."""
    said = {name: str(value) for name, value in row.items()}
    times = (said["quiet_from"], said["quiet_to"], said["digest"], said["digest_at"])
    return Preference(said["language"], said["timezone"] or zone, *times)


def problem(preference: Preference) -> str | None:
    """Return what is wrong with a preference: the field, and what to write there; None when it is sound."""
    if preference.language not in ("", *LANGUAGES):
        return f"language: there is no {preference.language[:20]!r}; there are {', '.join(LANGUAGES)}"
    try:
        ZoneInfo(preference.zone)
    except (KeyError, ValueError, OSError):
        return f"timezone: there is no zone {preference.zone[:64]!r}; take one such as Europe/Berlin"
    first, last = preference.quiet_from, preference.quiet_to
    if (first or last) and not (_CLOCK.fullmatch(first) and _CLOCK.fullmatch(last) and first != last):
        return "quiet: must be two different times such as 22:00-07:00"
    if preference.digest not in ("", *DIGESTS):
        return f"digest: must be {' or '.join(DIGESTS)}, not {preference.digest[:20]!r}"
    if not _CLOCK.fullmatch(preference.digest_at):
        return "digest_at: must be a time such as 08:00"
    return None


def delay_until(preference: Preference, at: datetime) -> datetime | None:
    """Return until when a notice of this moment waits; None when it may go at once."""
    zone = ZoneInfo(preference.zone)
    until = at
    if preference.digest == "hourly":
        until = _next_hour(at, zone)
    elif preference.digest == "daily":
        until = next(_moments(preference.digest_at, zone, at))
    until = quiet_until(preference, until) or until
    return until if until > at else None


def quiet_until(preference: Preference, at: datetime) -> datetime | None:
    """Return when the quiet hours of this moment end; None when it is not quiet."""
    if not is_quiet(preference, at):
        return None
    # where the clock shows the end twice, what is written between the two waits for the second, not for tomorrow's
    ends = _moments(preference.quiet_to, ZoneInfo(preference.zone), at, folds=(0, 1))
    return next(moment for moment in ends if not is_quiet(preference, moment))


def is_quiet(preference: Preference, at: datetime) -> bool:
    """Return whether the recipient's clock shows a time within the quiet hours, which may go over midnight."""
    if not preference.quiet_from:
        return False
    first, last = time.fromisoformat(preference.quiet_from), time.fromisoformat(preference.quiet_to)
    shown = at.astimezone(ZoneInfo(preference.zone)).time()
    return first <= shown < last if first < last else shown >= first or shown < last


def _moments(clock: str, zone: ZoneInfo, at: datetime, folds: tuple[int, ...] = (0,)) -> Iterator[datetime]:
    """Yield the moments after this one at which the clock shows this time, in UTC, for each day the occurrences asked for."""
    day = at.astimezone(zone).date() - timedelta(days=1)
    while True:
        shown = datetime.combine(day, time.fromisoformat(clock), zone)
        yield from sorted({moment for fold in folds if (moment := shown.replace(fold=fold).astimezone(UTC)) > at})
        day += timedelta(days=1)


def _next_hour(at: datetime, zone: ZoneInfo) -> datetime:
    shown = at.astimezone(zone)
    past = timedelta(minutes=shown.minute, seconds=shown.second, microseconds=shown.microsecond)
    return at.astimezone(UTC) - past + timedelta(hours=1)
