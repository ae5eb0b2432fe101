"""The timetable: what the clock runs, and when. Times are in the zone of AURA_TIMEZONE.

When clocks go back, a time that occurs twice runs once, at its first occurrence; when they go forward, a time that does
not exist runs at the next one that does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from db import transaction
from db.retention import prune
from pipelines.reanalysis import reanalyze_stale
from pipelines.recovery import rescue_stranded
from settings import get_settings


@dataclass(frozen=True, slots=True)
class Entry:
    """One scheduled job: `when` in crontab form, `run` returns how much it did, in the slot's own transaction."""

    name: str
    when: str
    run: Callable[[], int]


def prune_old() -> int:
    """Delete one batch of what is older than AURA_KEEP_DAYS. Returns how many rows."""
    with transaction() as session:
        return prune(session, get_settings().keep_days)


TIMETABLE = (
    Entry("reanalysis", "0 2 * * *", reanalyze_stale),
    Entry("recovery", "* * * * *", rescue_stranded),
    Entry("pruning", "15 * * * *", prune_old),
)


def trigger(entry: Entry) -> Any:
    """Return the entry's APScheduler trigger."""
    from apscheduler.triggers.cron import CronTrigger

    return CronTrigger.from_crontab(entry.when, timezone=get_settings().timezone)
