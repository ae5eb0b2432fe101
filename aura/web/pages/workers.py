"""Pages /workers: worker and relay processes with their heartbeats, and draining."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse

from aura.settings import get_settings
from aura.web.auth.requirements import REQUIRES_READ, Operator
from aura.web.pages.forms import audited, redirect
from aura.web.pages.queues import snapshot
from aura.web.render import page
from db import process_stats, reading, transaction, workers

router = APIRouter(prefix="/workers")


@router.get("", response_class=HTMLResponse, dependencies=[REQUIRES_READ])
def list_workers(request: Request) -> HTMLResponse:
    dead_after = get_settings().worker_dead_after
    with reading() as session:
        current = snapshot(session)
        rows = process_stats.processes(session, dead_after)
    return page(request, "workers.html", processes=rows, current=current, dead_after=dead_after)


@router.post("/{worker}/drain")
@audited("worker.drain")
def drain_worker(worker: str, who: Operator) -> RedirectResponse:
    with transaction() as session:
        name = workers.drain(session, worker)
    return redirect("/workers", f"{name} is draining: it completes its jobs, then ends.")
