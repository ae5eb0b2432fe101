"""Crontab expressions: the runs of an expression in a time zone. Pure functions of the time that the caller passes.

cronsim parses an expression and finds its times on a wall clock without a zone; this module adds the zone. Both libraries
that find times in a zone by themselves, APScheduler's CronTrigger and croniter, skip or repeat runs when the clocks change:
APScheduler skips 00:xx on the day after the change, croniter runs 02:30 twice in autumn and at 03:00 of the day before in
spring. cronsim also combines the two day fields as Debian's cron does (croniter runs `0 3 */2 * 5` on every Friday), has
no dependencies, and takes 25 microseconds for a run of every minute (croniter: 140).
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

#: No zone changes its offset by more.
_DAY = timedelta(days=1)
#: Any moment: whether an expression ever matches does not depend on it.
_EPOCH = datetime(2026, 1, 1)


class InvalidCrontab(ValueError):
    """This is no crontab expression of five fields, or no day ever matches it."""


class Crontab:
    """A crontab expression in a time zone.

    Each time of day runs once a day: at its first occurrence if the clocks are set back over it, and later by as much as the
    clocks are set forward if it does not exist. An expression for every hour runs at each of its minutes of the real time,
    so in both hours of a repeated one.
    """

    def __init__(self, expression: str, zone: str) -> None:
        """Raises InvalidCrontab, and ZoneInfoNotFoundError."""
        self._zone = ZoneInfo(zone)
        self._times = parse(expression)
        self._every_hour = len(self._times.hours) == 24

    def next(self, after: datetime) -> datetime:
        """Return the first run after a moment, in UTC."""
        after = after.astimezone(UTC)
        found: datetime | None = None
        most = timedelta()
        for wall in self._walls((after + min(self._offsets(after))).replace(tzinfo=None)):
            if found is not None and wall.replace(tzinfo=UTC) - most >= found:
                break
            runs = [run for run in self._runs(wall) if run > after and (found is None or run < found)]
            if runs:
                found = min(runs)
                around = self._offsets(found)
                if len(around) == 1:
                    break
                # the clocks change near this run: a later time of the wall clock may run earlier
                most = max(most, *around)
        if found is None:  # after 50 years without a match
            raise InvalidCrontab("never occurs")
        return found

    def _walls(self, after: datetime) -> Iterator[datetime]:
        """Yield the times of the wall clock after one, without a zone."""
        times = copy.copy(self._times)
        times.dt = after.replace(microsecond=0)
        return iter(times)

    def _runs(self, wall: datetime) -> list[datetime]:
        """Return the moments at which a time of the wall clock runs."""
        moments = [wall.replace(tzinfo=self._zone, fold=fold).astimezone(UTC) for fold in (0, 1)]
        if not self._every_hour:
            # fold=0 is the first of two occurrences; for a time that does not exist, it counts with the former offset
            return moments[:1]
        return [moment for moment in moments if moment.astimezone(self._zone).replace(tzinfo=None) == wall]

    def _offsets(self, moment: datetime) -> set[timedelta]:
        """Return the offsets of the zone around a moment: two, when the clocks change by no less than the time until then."""
        offsets = {self._offset(moment + days * _DAY) for days in (-1, 0, 1)}
        change = max(offsets) - min(offsets)
        return {self._offset(moment + times * change) for times in (-1, 0, 1)} if change else offsets

    def _offset(self, moment: datetime) -> timedelta:
        return moment.astimezone(self._zone).utcoffset() or timedelta()


@lru_cache(maxsize=256)
def crontab(expression: str, zone: str) -> Crontab:
    """Return a crontab expression in a time zone, from a cache. Raises like Crontab."""
    return Crontab(expression, zone)


def is_zone(name: Any) -> bool:
    """Return whether this is the name of a time zone."""
    if not isinstance(name, str):
        return False
    try:
        ZoneInfo(name)
    except (LookupError, ValueError, OSError):  # not found, a path, a folder
        return False
    return True


def parse(expression: Any) -> CronSim:
    """Return the times of an expression, on a wall clock without a zone. Raises InvalidCrontab."""
    fields = expression.split() if isinstance(expression, str) else []
    if len(fields) != 5:  # cronsim takes a sixth for seconds
        raise InvalidCrontab("there are not five fields")
    # 7 is Sunday, too: so that a range such as sat-sun ends there
    fields[4] = re.sub(r"-sun\b", "-7", fields[4], flags=re.IGNORECASE)
    try:
        times = CronSim(" ".join(fields), _EPOCH)
        next(iter(copy.copy(times)))
    except CronSimError as error:
        raise InvalidCrontab(str(error)) from None
    except StopIteration:
        raise InvalidCrontab("never occurs") from None
    return times
