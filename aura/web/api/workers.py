"""Resource workers: list worker and relay processes, drain a worker."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel

from aura.settings import get_settings
from aura.web.auth.requirements import Operator, Reader
from db import audit, process_stats, reading, workers

router = APIRouter(prefix="/workers", tags=["workers"])


class Process(BaseModel):
    """A worker or relay with its last heartbeat, and up to ten of the jobs that it runs."""

    id: str
    kind: str
    name: str
    version: str
    started_at: datetime
    heartbeat_at: datetime
    #: When it was asked to drain.
    drain_at: datetime | None
    alive: bool
    running: int
    jobs: list[dict[str, Any]]


class Processes(BaseModel):
    """All processes with a heartbeat."""

    workers: list[Process]


class Draining(BaseModel):
    """The name of the process that drains."""

    draining: str


@router.get("", summary="List workers")
def list_workers(_who: Reader) -> Processes:
    """Return every worker and relay with a heartbeat, whether it is alive, and what it runs."""
    with reading() as session:
        rows = process_stats.processes(session, get_settings().worker_dead_after)
    return Processes(workers=[Process.model_validate(row) for row in rows])


@router.post("/{worker}/drain", summary="Drain a worker")
def drain_worker(worker: str, who: Operator) -> Draining:
    """Let a worker, by its id, finish its jobs, claim no new ones, and end with the other processes of its command."""
    with audit.acting(who, "worker.drain", f"worker/{worker}") as session:
        return Draining(draining=workers.drain(session, worker))
