"""Resource jobs: list jobs by state, cancel a job."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel

from actors.queues import actor_names
from aura.web.api.fields import Filter, Id, Limit, WithReason
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


@router.get("", summary="List jobs")
def list_jobs(_who: Reader, actor: Filter = None, state: State | None = None, limit: Limit = 50) -> Jobs:
    """Return open jobs, the oldest first."""
    with reading() as session:
        rows = queue_controls.list_jobs(session, actor=actor, state=state, limit=limit)
    require_known_values("actor", [actor] if actor else None, actor_names(), rows)
    return Jobs(jobs=[Job.model_validate(row) for row in rows])


@router.post("/{job_id}/cancel", summary="Cancel a job")
def cancel_job(job_id: Id, body: WithReason, who: Operator) -> CancelledJob:
    """Cancel a job, running or not. A discarded dead letter keeps it for its retention time."""
    with audit.acting(who, "job.cancel", f"job/{job_id}", reason=body.reason) as session:
        return CancelledJob(**asdict(queue_controls.cancel(session, job_id, body.reason)))
