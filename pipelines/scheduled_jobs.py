"""The scheduled jobs of the service desk. AURA_SCHEDULES names a YAML file with other times:

reanalysis: {when: "30 1 * * mon-fri", zone: Europe/Berlin}    # without a zone: AURA_TIMEZONE
incidents: off
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

import actors
from actors.footers import learn_footers
from actors.retention import delete_expired, rules
from actors.sla_checks import sla_checks
from aura.jobs.actor import DurableActor
from aura.settings import SettingsError, get_settings
from db import (
    jobs,
    metric_samples,
    reading,
    schedule_runs,
    secret_columns,
    ticket_actions,
    transaction,
    workers,
)
from db.jobs import NewJob
from pipelines.incidents import propose_incidents
from pipelines.reanalysis import reanalyze_changed, reanalyze_stale, reclassify
from pipelines.recovery import restart_stranded
from pipelines.schedule import ScheduledJob, UnknownSchedule, with_overrides


def enqueue_retention() -> int:
    """Enqueue one deletion job per kind of expired rows. Returns the number of jobs."""
    new_jobs = [NewJob(delete_expired.actor_name, kind) for kind in rules()]
    with transaction() as session:
        jobs.enqueue(session, new_jobs)
    return len(new_jobs)


def record_metric_samples() -> int:
    """Store the metrics of this minute for the charts. Returns the number of samples."""
    declared = actors.broker.actors.items()
    queues = {name: actor.queue_name for name, actor in declared if isinstance(actor, DurableActor)}
    with transaction() as session:
        return metric_samples.record(session, queues)


def check_sla() -> int:
    """Enqueue the SLA check when a ticket is due for a warning or an escalation. Returns 1, or 0."""
    with transaction() as session:
        if not ticket_actions.any_sla_check_due(session):
            return 0
        jobs.enqueue(session, [NewJob(sla_checks.actor_name, "sla")])
    return 1


def encrypt_secrets() -> int:
    """Encrypt the secrets that an earlier version stored as plain text, unless its processes still run. Returns their number."""
    with reading() as session:
        if not secret_columns.count_plain(session) or workers.other_versions_live(
            session, get_settings().worker_dead_after
        ):
            return 0
    return secret_columns.encrypt_all()


SCHEDULE = (
    ScheduledJob("reanalysis", "0 2 * * *", reanalyze_stale),
    ScheduledJob("reanalyze-changed", "* * * * *", reanalyze_changed),
    ScheduledJob("reclassify", "*/10 * * * *", reclassify),
    ScheduledJob("recovery", "* * * * *", restart_stranded),
    ScheduledJob("sla", "* * * * *", check_sla),
    ScheduledJob("incidents", "* * * * *", propose_incidents),
    ScheduledJob("metric-samples", "* * * * *", record_metric_samples),
    ScheduledJob("retention", "15 * * * *", enqueue_retention),
    ScheduledJob("footers", "25 3 * * *", learn_footers),
    ScheduledJob("secrets", "45 * * * *", encrypt_secrets),
)


def schedule() -> list[ScheduledJob]:
    """Return the scheduled jobs with AURA_TIMEZONE and AURA_SCHEDULES applied. Raises SettingsError."""
    settings = get_settings()
    in_zone = [replace(job, zone=settings.timezone) for job in SCHEDULE]
    path = settings.schedules
    return in_zone if path is None else with_overrides(in_zone, _read(path), f"AURA_SCHEDULES: {path}")


def _read(path: Path) -> dict[Any, Any]:
    import yaml

    try:
        overrides = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        problem = " ".join(str(error).split())
        raise SettingsError(
            f"AURA_SCHEDULES: {path} cannot be read ({problem}); correct the file or its name"
        ) from None
    if not isinstance(overrides, dict):
        raise SettingsError(f"AURA_SCHEDULES: {path} must hold lines such as  reanalysis: {{when: 0 3 * * *}}")
    return overrides


def scheduled_job(name: str) -> ScheduledJob:
    """Return the scheduled job of this name. Raises UnknownSchedule."""
    scheduled = schedule()
    for job in scheduled:
        if job.name == name:
            return job
    raise UnknownSchedule(f"there is no scheduled job {name!r}; there are {', '.join(job.name for job in scheduled)}")


def listing(session: Session) -> list[dict[str, Any]]:
    """Return each scheduled job with its next and last run, the result of the last, its missed runs, and its pause."""
    history, paused = schedule_runs.history(session), schedule_runs.paused(session)
    never: dict[str, Any] = {"last": None, "note": "", "missed": 0}
    return [
        {
            "job": job.name,
            "when": job.when,
            "zone": job.zone,
            "next": None if job.off or job.name in paused else job.next_run(datetime.now(UTC)),
            "paused": job.name in paused,
            "reason": paused.get(job.name, ""),
            **history.get(job.name, never),
        }
        for job in schedule()
    ]


def run_now(session: Session, job: ScheduledJob) -> int:
    """Run a scheduled job now, also while it is paused, and record the run. Returns how many items it processed."""
    count = job.run()
    schedule_runs.record_manual_run(session, job.name, datetime.now(UTC), f"{count} done, started by hand")
    return count


def backfill(session: Session, job: ScheduledJob, limit: int) -> int:
    """Run a scheduled job once for each missed run, the oldest first. Returns the number of runs."""
    missed = schedule_runs.missed_runs(session, job.name, limit)
    for run in missed:
        schedule_runs.finish_run(session, job.name, run, f"{job.run()} done, backfilled")
    return len(missed)
