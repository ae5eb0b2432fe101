"""The timetable: what the clock runs, and when. AURA_SCHEDULES names a file with other times, or turns a job off.

    reanalysis: {when: "30 1 * * mon-fri", zone: Europe/Berlin}    # without a zone: that of AURA_TIMEZONE
    incidents: off

When clocks go back, a time of day that occurs twice runs once, at its first occurrence, and what runs every hour runs in
both; when they go forward, a time that does not exist runs an hour later by the clock on the wall.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

import actors
from actors.retention import delete_expired, rules
from actors.sla_checks import sla_checks
from aura.errors import NotFound
from aura.jobs.actor import DurableActor
from aura.settings import SettingsError, get_settings
from db import jobs, metric_samples, schedule_runs, ticket_actions, transaction
from db.jobs import NewJob
from pipelines.incidents import propose_incidents
from pipelines.reanalysis import reanalyze_changed, reanalyze_stale, upgrade
from pipelines.recovery import rescue_stranded

OFF = "off"


class UnknownSchedule(NotFound):
    """There is no such job in the timetable; the text names those there are."""


@dataclass(frozen=True, slots=True)
class ScheduledJob:
    """One scheduled job: `when` in crontab form, `run` returns how much it did, in the slot's own transaction.

    What runs there is short; what is not, it promises.
    """

    name: str
    when: str
    run: Callable[[], int]
    zone: str = ""

    @property
    def off(self) -> bool:
        return self.when == OFF


def run_retention() -> int:
    """Promise to prune what is old, a job for each kind. Returns how many jobs."""
    promises = [NewJob(delete_expired.actor_name, kind) for kind in rules()]
    with transaction() as session:
        jobs.enqueue(session, promises)
    return len(promises)


def take_samples() -> int:
    """Write the figures of this minute for charts. Returns how many."""
    declared = actors.broker.actors.items()
    queues = {name: actor.queue_name for name, actor in declared if isinstance(actor, DurableActor)}
    with transaction() as session:
        return metric_samples.record(session, queues)


def check_sla() -> int:
    """Promise a look at the tickets whose time has come, to warn or to escalate. Returns 1, or 0 when there is none."""
    with transaction() as session:
        if not ticket_actions.any_sla_check_due(session):
            return 0
        jobs.enqueue(session, [NewJob(sla_checks.actor_name, "targets")])
    return 1


SCHEDULE = (
    ScheduledJob("reanalysis", "0 2 * * *", reanalyze_stale),
    ScheduledJob("changes", "* * * * *", reanalyze_changed),
    ScheduledJob("upgrades", "*/10 * * * *", upgrade),
    ScheduledJob("recovery", "* * * * *", rescue_stranded),
    ScheduledJob("targets", "* * * * *", check_sla),
    ScheduledJob("incidents", "* * * * *", propose_incidents),
    ScheduledJob("samples", "* * * * *", take_samples),
    ScheduledJob("pruning", "15 * * * *", run_retention),
)


def schedule() -> list[ScheduledJob]:
    """Return the entries as AURA_SCHEDULES has them. Raises SettingsError, which names the file, the job and the fix."""
    path = get_settings().schedules
    return list(SCHEDULE) if path is None else _changed(path, _read(path))


def _read(path: Path) -> dict[str, Any]:
    import yaml

    try:
        said = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        problem = " ".join(str(error).split())
        raise SettingsError(
            f"AURA_SCHEDULES: {path} cannot be read ({problem}); correct the file or its name"
        ) from None
    if not isinstance(said or {}, dict):
        raise SettingsError(f"AURA_SCHEDULES: {path} must hold lines such as  reanalysis: {{when: 0 3 * * *}}")
    return said or {}


def _changed(path: Path, said: dict[Any, Any]) -> list[ScheduledJob]:
    names = [entry.name for entry in SCHEDULE]
    if unknown := [str(name) for name in said if name not in names]:
        raise SettingsError(f"AURA_SCHEDULES: {path}: there is no job {unknown[0]!r}; there are {', '.join(names)}")
    return [_change(path, entry, said[entry.name]) if entry.name in said else entry for entry in SCHEDULE]


def _change(path: Path, entry: ScheduledJob, said: Any) -> ScheduledJob:
    where = f"AURA_SCHEDULES: {path}: {entry.name}"
    if said in (False, OFF):  # YAML takes a bare `off` for false
        return replace(entry, when=OFF)
    if not isinstance(said, dict) or not said or not said.keys() <= {"when", "zone"}:
        raise SettingsError(f'{where}: must be off, or such as {{when: "0 3 * * *", zone: Europe/Berlin}}')
    changed = replace(entry, when=said.get("when", entry.when), zone=said.get("zone", ""))
    try:
        next_slot(trigger(changed), datetime.now(UTC))
    except LookupError:  # zoneinfo's error
        raise SettingsError(f"{where}: there is no zone {changed.zone!r}; take one such as Europe/Berlin") from None
    except (ValueError, TypeError, AttributeError):
        hint = 'five fields in crontab form, such as "30 1 * * mon-fri"'
        raise SettingsError(f"{where}: {changed.when!r} is no time that comes; take {hint}") from None
    return changed


def scheduled_job(name: str) -> ScheduledJob:
    """Return one entry. Raises UnknownSchedule."""
    entries = schedule()
    found = next((each for each in entries if each.name == name), None)
    if found is None:
        raise UnknownSchedule(
            f"there is no scheduled job {name!r}; there are {', '.join(each.name for each in entries)}"
        )
    return found


def listing(session: Session) -> list[dict[str, Any]]:
    """Return when each job runs next and ran last, what that did, how many slots were missed, and whether it is paused."""
    ran, paused = schedule_runs.history(session), schedule_runs.paused(session)
    never: dict[str, Any] = {"last": None, "note": "", "missed": 0}
    return [
        {
            "job": each.name,
            "when": each.when,
            "zone": each.zone or get_settings().timezone,
            "next": None if each.off or each.name in paused else next_slot(trigger(each), datetime.now(UTC)),
            "paused": each.name in paused,
            "reason": paused.get(each.name, ""),
            **ran.get(each.name, never),
        }
        for each in schedule()
    ]


def run_now(session: Session, entry: ScheduledJob) -> int:
    """Run a job at this moment, paused or not, and return how much it did; its slots come as ever."""
    count = entry.run()
    schedule_runs.run_by_hand(session, entry.name, datetime.now(UTC), f"{count} done, by hand")
    return count


def trigger(entry: ScheduledJob) -> Any:
    """Return the entry's APScheduler trigger."""
    from apscheduler.triggers.cron import CronTrigger

    return CronTrigger.from_crontab(entry.when, timezone=entry.zone or get_settings().timezone)


def next_slot(trigger: Any, after: datetime) -> datetime:
    """Return the trigger's first slot after this moment, in UTC."""
    # Told of a previous slot, APScheduler gives that one again for ever in the hour that occurs twice: aware times of
    # two zones are never equal there.
    slot: datetime = trigger.get_next_fire_time(None, after + timedelta(microseconds=1)).astimezone(UTC)
    every_hour = any(field.name == "hour" and str(field) == "*" for field in trigger.fields)
    if slot.astimezone(trigger.timezone).fold and not every_hour:
        return next_slot(trigger, slot)
    return slot
