"""Resource queues: list them, pause, resume and limit one."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel, Field
from sqlalchemy.orm import Session

from actors import queues
from aura.web.api.fields import Body, WithReason
from aura.web.auth.requirements import Operator, Reader
from db import audit, queue_controls, reading

router = APIRouter(prefix="/queues", tags=["queues"])

QueueName = Annotated[str, Path(max_length=80, examples=["ai.classify"])]


class QueueControl(BaseModel):
    """Pause and limit of a queue; `paused_until` is null for a pause that lasts until the queue is resumed."""

    queue: str | None
    paused: bool
    paused_until: datetime | None
    limit: int | None
    reason: str


class Queue(QueueControl):
    """A queue with its actors and the number of jobs in each state."""

    actors: list[str]
    scheduled: int
    available: int
    queued: int
    running: int
    retrying: int


class Queues(BaseModel):
    """All queues; jobs of actors that are not declared any more are in the queue null."""

    queues: list[Queue]


class Pause(WithReason):
    """How long a queue is paused, and why."""

    seconds: float | None = Field(None, gt=0, description="Without it, until the queue is resumed.", examples=[7200])
    shorten: bool = Field(False, description="Replace a longer pause.")


class JobLimit(Body):
    """The most jobs of a queue that run at the same time."""

    jobs: int | None = Field(ge=1, lt=2**31, description="null removes the limit.", examples=[4])


@router.get("", summary="List queues")
def list_queues(_who: Reader) -> Queues:
    """Return each queue with its jobs by state, its pause and its limit."""
    with reading() as session:
        return Queues(queues=[Queue.model_validate(each) for each in queues.listing(session)])


@router.post("/{queue}/pause", summary="Pause a queue")
def pause_queue(queue: QueueName, body: Pause, who: Operator) -> QueueControl:
    """Pause a queue. Jobs are still enqueued and wait in the database."""
    with audit.acting(who, "queue.pause", f"queue/{queue}", **body.model_dump()) as session:
        queues.check(session, queue)
        queue_controls.pause(session, queue, body.seconds, body.reason, shorten=body.shorten)
        return _control(session, queue)


@router.post("/{queue}/resume", summary="Resume a queue")
def resume_queue(queue: QueueName, who: Operator) -> QueueControl:
    """End the pause of a queue. Its limit stays."""
    with audit.acting(who, "queue.resume", f"queue/{queue}") as session:
        queues.check(session, queue)
        queue_controls.resume(session, queue)
        return _control(session, queue)


@router.put("/{queue}/limit", summary="Limit a queue")
def limit_queue(queue: QueueName, body: JobLimit, who: Operator) -> QueueControl:
    """Limit how many jobs of a queue run at the same time, across all workers."""
    with audit.acting(who, "queue.limit", f"queue/{queue}", jobs=body.jobs) as session:
        queues.check(session, queue)
        queue_controls.limit(session, queue, body.jobs)
        return _control(session, queue)


def _control(session: Session, queue: str) -> QueueControl:
    control = queue_controls.current(session).get(queue) or queue_controls.Control(queue)
    return QueueControl(**asdict(control))
