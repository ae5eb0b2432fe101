"""Queues and jobs: what waits where and why; pause, resume, limit, cancel."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse

from actors.queues import check
from aura.web.auth.identity import MAY_READ, Operator
from aura.web.pages.forms import back, form, recorded, whole
from aura.web.pages.queue_state import look, queue_of
from aura.web.pages.render import page
from db import diagnosis, queue_controls, queue_stats, reading, transaction
from db.queue_controls import STATES, Control
from db.queue_stats import Backlog, Rate

router = APIRouter(include_in_schema=False)

Fields = Annotated[dict[str, str], Depends(form)]
#: Seconds of each unit that a pause may be given in.
UNITS = {"minutes": 60.0, "hours": 3600.0, "days": 86_400.0}


@router.get("/queues", response_class=HTMLResponse, dependencies=[MAY_READ])
def queues(request: Request) -> HTMLResponse:
    with reading() as session:
        around = look(session)
        waiting, rates = queue_stats.backlog(session, queue_of()), queue_stats.rates(session)
    names = sorted({*queue_of().values(), *around.controls})
    rows = [_queue(name, waiting, rates, around) for name in names]
    return page(request, "queues.html", queues=rows, units=UNITS, most=queue_stats.COUNT_LIMIT)


def _queue(
    name: str, waiting: dict[str, Backlog], rates: dict[str, Rate], around: diagnosis.Snapshot
) -> dict[str, Any]:
    mine = [actor for actor, queue in queue_of().items() if queue == name]
    each = [waiting.get(actor, Backlog()) for actor in mine]
    return {
        "name": name,
        "actors": mine,
        "due": sum(one.available for one in each),
        "hinted": sum(one.queued for one in each),
        "running": sum(one.running for one in each),
        "later": sum(one.scheduled for one in each),
        "oldest": max((one.oldest_seconds for one in each), default=0.0),
        "completed": sum(rates.get(actor, Rate()).completed for actor in mine),
        "failed": sum(rates.get(actor, Rate()).failed for actor in mine),
        "control": around.controls.get(name, Control(name)),
        "held": diagnosis.held(around, name),
    }


@router.post("/queues/{queue}/pause")
@recorded("queue.pause")
def pause(queue: str, fields: Fields, who: Operator) -> RedirectResponse:
    amount = whole(fields, "amount", 1, 100_000)
    unit = UNITS.get(fields.get("unit", "minutes"))
    if unit is None:
        raise HTTPException(422, f"unit must be one of {', '.join(UNITS)}")
    with transaction() as session:
        check(session, queue)
        queue_controls.pause(session, queue, amount * unit if amount else None, fields.get("reason", ""), shorten=True)
    return back("/queues", f"{queue} is paused")


@router.post("/queues/{queue}/resume")
@recorded("queue.resume")
def resume(queue: str, who: Operator) -> RedirectResponse:
    with transaction() as session:
        check(session, queue)
        queue_controls.resume(session, queue)
    return back("/queues", f"{queue} goes on")


@router.post("/queues/{queue}/limit")
@recorded("queue.limit")
def limit(queue: str, fields: Fields, who: Operator) -> RedirectResponse:
    most = whole(fields, "limit", 1, 2**31 - 1)
    with transaction() as session:
        check(session, queue)
        queue_controls.limit(session, queue, most)
    return back("/queues", f"{queue}: at most {most} at once" if most else f"{queue} has no limit")


@router.get("/jobs", response_class=HTMLResponse, dependencies=[MAY_READ])
def jobs(
    request: Request,
    actor: Annotated[str, Query(max_length=80)] = "",
    state: Annotated[str, Query(max_length=20)] = "",
) -> HTMLResponse:
    if state and state not in STATES:
        raise HTTPException(422, f"state must be one of {', '.join(STATES)}")
    with reading() as session:
        around = look(session)
        found = queue_controls.list_jobs(session, actor=actor or None, state=state or None, limit=100)
        reasons = {job["id"]: diagnosis.job(session, job["id"], around) for job in found[:50]}
    values: dict[str, Any] = {"jobs": found, "reasons": reasons, "actors": sorted(queue_of()), "states": list(STATES)}
    return page(request, "jobs.html", actor=actor, state=state, **values)


@router.get("/jobs/{job_id}", response_class=HTMLResponse, dependencies=[MAY_READ])
def job(request: Request, job_id: int) -> HTMLResponse:
    """Say why one job does not run, or what became of it."""
    with reading() as session:
        sentence = diagnosis.job(session, job_id, look(session))
    return page(request, "job.html", job_id=job_id, why=sentence)


@router.post("/jobs/{job_id}/cancel")
@recorded("job.cancel")
def cancel(job_id: int, fields: Fields, who: Operator) -> RedirectResponse:
    reason = fields.get("reason", "").strip()
    if not reason:
        raise HTTPException(422, "say why: the reason is kept with the job")
    with transaction() as session:
        gone = queue_controls.cancel(session, job_id, reason)
    return back("/jobs", f"job {job_id} is cancelled; dead letter {gone.dead_letter} remembers it")
