"""The schedule: when each scheduled job runs, from crontab expressions. Pure functions: the caller passes the time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from aura.errors import NotFound
from aura.settings import SettingsError
from pipelines.crontab import InvalidCrontab, crontab, is_zone, parse

OFF = "off"


class UnknownSchedule(NotFound):
    """There is no scheduled job of this name; the message lists the names."""


@dataclass(frozen=True, slots=True)
class ScheduledJob:
    """A job that runs at the times of a crontab expression, in the time zone `zone`; `when` may be OFF.

    `run` returns how many items it processed. It runs in the transaction of the scheduler and must be short: longer work
    is enqueued as jobs.
    """

    name: str
    when: str
    run: Callable[[], int]
    zone: str = "UTC"

    @property
    def off(self) -> bool:
        return self.when == OFF

    def next_run(self, after: datetime) -> datetime:
        """Return the time of the first run after this moment, in UTC."""
        return crontab(self.when, self.zone).next(after)

    @property
    def times(self) -> str:
        """The expression and the time zone, by which a change of the schedule is recognised."""
        return OFF if self.off else f"{self.when} {self.zone}"


def with_overrides(jobs: Sequence[ScheduledJob], overrides: Mapping[Any, Any], source: str) -> list[ScheduledJob]:
    """Return the jobs with other times: a mapping of names to `off`, or to {"when": CRONTAB, "zone": ZONE}.

    Raises SettingsError, which begins with the source and names the job and the fix.
    """
    names = [job.name for job in jobs]
    if unknown := [str(name) for name in overrides if name not in names]:
        raise SettingsError(f"{source}: there is no job {unknown[0]!r}; there are {', '.join(names)}")
    return [
        _override(job, overrides[job.name], f"{source}: {job.name}") if job.name in overrides else job for job in jobs
    ]


def _override(job: ScheduledJob, value: Any, source: str) -> ScheduledJob:
    if value in (False, OFF):  # YAML reads a bare `off` as false
        return replace(job, when=OFF)
    if not isinstance(value, dict) or not value or not value.keys() <= {"when", "zone"}:
        raise SettingsError(f'{source}: must be off, or such as {{when: "0 3 * * *", zone: Europe/Berlin}}')
    changed = replace(job, when=value.get("when", job.when), zone=value.get("zone", job.zone))
    if not is_zone(changed.zone):
        raise SettingsError(f"{source}: there is no time zone {changed.zone!r}; use one such as Europe/Berlin")
    try:
        parse(changed.when)
    except InvalidCrontab as error:
        hint = 'use five fields in crontab form, such as "30 1 * * mon-fri"'
        raise SettingsError(
            f"{source}: {changed.when!r} is not a crontab expression, or never occurs; {hint} ({error})"
        ) from None
    return changed
