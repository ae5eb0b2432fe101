"""The timetable: what the clock runs, and when. Times are in the zone of AURA_TIMEZONE.

When clocks go back, a time of day that occurs twice runs once, at its first occurrence, and what runs every hour runs in
both; when they go forward, a time that does not exist runs an hour later by the clock on the wall.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from db import transaction
from db.retention import prune
from pipelines.incidents import propose_incidents
from pipelines.reanalysis import reanalyze_stale, upgrade
from pipelines.recovery import rescue_stranded
from settings import get_settings


@dataclass(frozen=True, slots=True)
class Entry:
    """One scheduled job: `when` in crontab form, `run` returns how much it did, in the slot's own transaction."""

    name: str
    when: str
    run: Callable[[], int]


def prune_old() -> int:
    """Delete what is older than AURA_KEEP_DAYS, twenty batches an hour at most. Returns how many rows."""
    deleted = 0
    with transaction() as session:
        for _ in range(20):
            deleted += (batch := prune(session, get_settings().keep_days))
            if not batch:
                break
    return deleted


TIMETABLE = (
    Entry("reanalysis", "0 2 * * *", reanalyze_stale),
    Entry("upgrades", "*/10 * * * *", upgrade),
    Entry("recovery", "* * * * *", rescue_stranded),
    Entry("incidents", "* * * * *", propose_incidents),
    Entry("pruning", "15 * * * *", prune_old),
)


def trigger(entry: Entry) -> Any:
    """Return the entry's APScheduler trigger."""
    from apscheduler.triggers.cron import CronTrigger

    return CronTrigger.from_crontab(entry.when, timezone=get_settings().timezone)


def next_slot(trigger: Any, after: datetime) -> datetime:
    """Return the trigger's first slot after this moment, in UTC."""
    # Told of a previous slot, APScheduler gives that one again for ever in the hour that occurs twice: aware times of
    # two zones are never equal there.
    slot: datetime = trigger.get_next_fire_time(None, after + timedelta(microseconds=1)).astimezone(UTC)
    every_hour = any(field.name == "hour" and str(field) == "*" for field in trigger.fields)
    if slot.astimezone(trigger.timezone).fold and not every_hour:
        return next_slot(trigger, slot)
    return slot
