"""Queues: what waits where, and what holds it back."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Path
from pydantic import Field
from sqlalchemy.orm import Session

from actors import queues
from aura.web.api.fields import Because, Said
from aura.web.auth.identity import Operator, Reader
from db import audit, queue_controls, reading

router = APIRouter(prefix="/queues", tags=["queues"])

Queue = Annotated[str, Path(max_length=80, examples=["ai.classify"])]


class Pause(Because):
    """How long, and why."""

    seconds: float | None = Field(None, gt=0, description="Without it, until it is resumed.", examples=[7200])
    shorten: bool = Field(False, description="Also when it is paused for longer.")


class Limit(Said):
    """How many of a queue's jobs run at once."""

    jobs: int | None = Field(ge=1, lt=2**31, description="null takes the limit away.", examples=[4])


@router.get("", summary="Queues")
def list_(_who: Reader) -> dict[str, list[dict[str, Any]]]:
    """Return how many jobs of each queue are due, hinted, running or due later, and what holds them back."""
    with reading() as session:
        return {"queues": queues.listing(session)}


@router.post("/{queue}/pause", summary="Pause a queue")
def pause(queue: Queue, said: Pause, who: Operator) -> dict[str, Any]:
    """Pause a queue; promises are taken as ever, and wait in the database."""
    with audit.acting(who, "queue.pause", f"queue/{queue}", **said.model_dump()) as session:
        queues.check(session, queue)
        queue_controls.pause(session, queue, said.seconds, said.reason, shorten=said.shorten)
        return _held(session, queue)


@router.post("/{queue}/resume", summary="End a queue's pause")
def resume(queue: Queue, who: Operator) -> dict[str, Any]:
    """End a queue's pause; a limit stays."""
    with audit.acting(who, "queue.resume", f"queue/{queue}") as session:
        queues.check(session, queue)
        queue_controls.resume(session, queue)
        return _held(session, queue)


@router.put("/{queue}/limit", summary="Limit a queue")
def limit(queue: Queue, said: Limit, who: Operator) -> dict[str, Any]:
    """Limit how many of a queue's jobs run at once, across all workers."""
    with audit.acting(who, "queue.limit", f"queue/{queue}", jobs=said.jobs) as session:
        queues.check(session, queue)
        queue_controls.limit(session, queue, said.jobs)
        return _held(session, queue)


def _held(session: Session, queue: str) -> dict[str, Any]:
    return asdict(queue_controls.current(session).get(queue) or queue_controls.Control(queue))
