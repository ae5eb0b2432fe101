"""Resource schedules: list the scheduled jobs, run, pause and resume one."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel

from aura.web.api.fields import WithReason
from aura.web.auth.requirements import Operator, Reader
from db import audit, reading, schedule_runs
from pipelines import scheduled_jobs as schedule

router = APIRouter(prefix="/schedules", tags=["schedules"])

JobName = Annotated[str, Path(max_length=80, examples=["reanalysis"])]


class ScheduledJob(BaseModel):
    """A scheduled job: `when` in crontab form, its next and last run, and how many runs were missed."""

    job: str
    when: str
    zone: str
    next: datetime | None
    last: datetime | None
    note: str | None
    paused: bool
    reason: str
    missed: int


class ScheduledJobs(BaseModel):
    """All scheduled jobs."""

    schedules: list[ScheduledJob]


class Run(BaseModel):
    """How much a run did, such as how many tickets it enqueued."""

    job: str
    done: int


class Paused(BaseModel):
    """Whether a scheduled job is paused."""

    job: str
    paused: bool


@router.get("", summary="List schedules")
def list_schedules(_who: Reader) -> ScheduledJobs:
    """Return when each scheduled job runs next and ran last, with the result and the missed runs."""
    with reading() as session:
        return ScheduledJobs(schedules=[ScheduledJob.model_validate(each) for each in schedule.listing(session)])


@router.post("/{job}/run", summary="Run a scheduled job now")
def run_schedule(job: JobName, who: Operator) -> Run:
    """Run a scheduled job now, paused or not. Its next run stays as it is."""
    scheduled = schedule.scheduled_job(job)
    with audit.acting(who, "schedule.run", f"schedule/{job}") as session:
        return Run(job=job, done=schedule.run_now(session, scheduled))


@router.post("/{job}/pause", summary="Pause a schedule")
def pause_schedule(job: JobName, body: WithReason, who: Operator) -> Paused:
    """Skip the runs of a scheduled job until it is resumed."""
    schedule.scheduled_job(job)
    with audit.acting(who, "schedule.pause", f"schedule/{job}", reason=body.reason) as session:
        schedule_runs.pause(session, job, True, body.reason)
    return Paused(job=job, paused=True)


@router.post("/{job}/resume", summary="Resume a schedule")
def resume_schedule(job: JobName, who: Operator) -> Paused:
    """Run a scheduled job again, from its next run on."""
    schedule.scheduled_job(job)
    with audit.acting(who, "schedule.resume", f"schedule/{job}") as session:
        schedule_runs.pause(session, job, False)
    return Paused(job=job, paused=False)
