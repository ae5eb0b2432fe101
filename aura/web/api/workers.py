"""Who works: the processes, their versions, what each runs; and letting one finish and end."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, HTTPException

from aura.settings import get_settings
from aura.web.auth.identity import Operator, Reader
from db import audit, process_stats, reading, workers

router = APIRouter(tags=["workers"])


@router.get("/workers", summary="Workers and relays")
def list_(_who: Reader) -> dict[str, list[dict[str, Any]]]:
    """Return every process with a heartbeat, whether it lives, and how many jobs it runs."""
    with reading() as session:
        return {"workers": process_stats.processes(session, get_settings().worker_dead_after)}


@router.post("/workers/{worker}/drain", summary="Drain a worker")
def drain(worker: str, who: Operator) -> dict[str, str]:
    """Ask a worker, by its id, to finish what it holds, take nothing new and end, with the command it belongs to."""
    with audit.acting(who, "worker.drain", f"worker/{worker}") as session:
        try:
            return {"draining": workers.drain(session, worker)}
        except workers.UnknownWorker as error:
            raise HTTPException(404, str(error)) from None
