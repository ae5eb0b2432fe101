"""The timetable: when each job of the clock runs; run one now, hold one back."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path

from aura.web.api.fields import Because
from aura.web.auth.identity import Operator, Reader
from db import audit, reading, schedule_runs
from pipelines import scheduled_jobs as schedule

router = APIRouter(prefix="/schedules", tags=["schedules"])

Job = Annotated[str, Path(max_length=80, examples=["reanalysis"])]


@router.get("", summary="The timetable")
def list_(_who: Reader) -> dict[str, list[dict[str, Any]]]:
    """Return when each job runs next and ran last, what that did, and how many slots were missed."""
    with reading() as session:
        return {"schedules": schedule.listing(session)}


@router.post("/{job}/run", summary="Run a job now")
def run(job: Job, who: Operator) -> dict[str, Any]:
    """Run a job now, paused or not; its slots come as ever."""
    entry = schedule.scheduled_job(job)
    with audit.acting(who, "schedule.run", f"schedule/{job}") as session:
        return {"job": job, "done": schedule.run_now(session, entry)}


@router.post("/{job}/pause", summary="Let a job's slots go by")
def pause(job: Job, said: Because, who: Operator) -> dict[str, Any]:
    """Let a job's slots go by until it is resumed."""
    schedule.scheduled_job(job)
    with audit.acting(who, "schedule.pause", f"schedule/{job}", reason=said.reason) as session:
        schedule_runs.pause(session, job, True, said.reason)
    return {"job": job, "paused": True}


@router.post("/{job}/resume", summary="Run a job by the timetable again")
def resume(job: Job, who: Operator) -> dict[str, Any]:
    """Run a job by the timetable again, from its next slot on."""
    schedule.scheduled_job(job)
    with audit.acting(who, "schedule.resume", f"schedule/{job}") as session:
        schedule_runs.pause(session, job, False)
    return {"job": job, "paused": False}
