"""Resource jobs: list jobs by state, retry them now, cancel them."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field

from actors.queues import actor_names
from aura.web.api.fields import Body, Filter, Id, Limit, Text, WithReason
from aura.web.auth.requirements import Operator, Reader
from aura.web.query_parameters import require_known_values
from db import audit, queue_controls, reading

router = APIRouter(prefix="/jobs", tags=["jobs"])

State = Literal["scheduled", "available", "queued", "running", "retrying"]


class Job(BaseModel):
    """An open job; `key` names what it works on, such as the ticket's id."""

    id: int
    state: State
    actor: str
    key: str
    pipeline: str
    priority: int
    due_at: datetime
    attempts: int
    last_error: str | None


class Jobs(BaseModel):
    """Open jobs, the oldest first."""

    jobs: list[Job]


class CancelledJob(BaseModel):
    """A cancelled job, and the dead letter that it became."""

    job_id: int
    actor: str
    key: str
    was_running: bool
    dead_letter: int


class RetriedJob(BaseModel):
    """A job that is due now."""

    job_id: int
    actor: str
    key: str


class OfActor(Body):
    """The jobs of an actor, the oldest first."""

    actor: Text = Field(min_length=1, max_length=80, examples=["email"])
    limit: int = Field(500, ge=1, le=1000, description="At most so many; repeat the request for more.")


class CancelOfActor(OfActor, WithReason):
    """Which jobs to cancel, and why."""


class RetriedJobs(BaseModel):
    """How many jobs are due now."""

    retried: int


class CancelledJobs(BaseModel):
    """How many jobs were cancelled."""

    cancelled: int


@router.get("", summary="List jobs")
def list_jobs(_who: Reader, actor: Filter = None, state: State | None = None, limit: Limit = 50) -> Jobs:
    """Return open jobs, the oldest first."""
    with reading() as session:
        rows = queue_controls.list_jobs(session, actor=actor, state=state, limit=limit)
    require_known_values("actor", [actor] if actor else None, actor_names(), rows)
    return Jobs(jobs=[Job.model_validate(row) for row in rows])


@router.post("/retry", summary="Retry the jobs of an actor now")
def retry_jobs(body: OfActor, who: Operator) -> RetriedJobs:
    """Start the next attempts of the jobs that wait after a failed one."""
    with audit.acting(who, "job.retry", f"actor/{body.actor}", limit=body.limit) as session:
        return RetriedJobs(retried=len(queue_controls.retry_many(session, body.limit, body.actor)))


@router.post("/cancel", summary="Cancel the jobs of an actor")
def cancel_jobs(body: CancelOfActor, who: Operator) -> CancelledJobs:
    """Cancel jobs, running or not. A discarded dead letter keeps each for its retention time."""
    details = {"limit": body.limit, "reason": body.reason}
    with audit.acting(who, "job.cancel", f"actor/{body.actor}", **details) as session:
        return CancelledJobs(cancelled=len(queue_controls.cancel_actor(session, body.actor, body.reason, body.limit)))


@router.post("/{job_id}/retry", summary="Retry a job now")
def retry_job(job_id: Id, who: Operator) -> RetriedJob:
    """Start the next attempt of a job that waits after a failed one. Answers 409 for a job in another state."""
    with audit.acting(who, "job.retry", f"job/{job_id}") as session:
        return RetriedJob(**queue_controls.retry_now(session, job_id)._asdict())


@router.post("/{job_id}/cancel", summary="Cancel a job")
def cancel_job(job_id: Id, body: WithReason, who: Operator) -> CancelledJob:
    """Cancel a job, running or not. A discarded dead letter keeps it for its retention time."""
    with audit.acting(who, "job.cancel", f"job/{job_id}", reason=body.reason) as session:
        return CancelledJob(**asdict(queue_controls.cancel(session, job_id, body.reason)))
