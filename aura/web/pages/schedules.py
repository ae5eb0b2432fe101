"""Schedules, workers and incidents: what runs by itself, who runs it, and bursts that may be one matter."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.responses import HTMLResponse, RedirectResponse

from aura.desk import incidents as deciding
from aura.settings import get_settings
from aura.web.auth.identity import MAY_READ, Operator
from aura.web.pages.forms import back, form, recorded
from aura.web.pages.queue_state import look
from aura.web.pages.render import page
from db import incidents, process_stats, reading, schedule_runs, transaction, workers
from pipelines import scheduled_jobs as schedule

router = APIRouter(include_in_schema=False)

Fields = Annotated[dict[str, str], Depends(form)]
#: Missed slots that one press of a button runs.
BACKFILL = 20
#: What each job of the timetable does, for who does not know its name.
DOES = {
    "reanalysis": "looks at old open tickets again",
    "reanalyze-changed": "looks again at what was changed or commented on",
    "reclassify": "asks OpenAI again where the local model stepped in",
    "recovery": "finds tickets whose journey broke off",
    "sla": "warns of tickets that run out of time",
    "incidents": "finds bursts of similar tickets",
    "metric-samples": "writes the figures for the charts",
    "retention": "deletes what is old",
}


@router.get("/schedules", response_class=HTMLResponse, dependencies=[MAY_READ])
def schedules(request: Request) -> HTMLResponse:
    with reading() as session:
        rows = schedule.listing(session)
    return page(request, "schedules.html", jobs=rows, does=DOES)


@router.post("/schedules/{name}/{what}")
@recorded("schedule.{what}")
def change(name: str, what: str, fields: Fields, who: Operator) -> RedirectResponse:
    """Run a job now, pause or resume it, or run what was missed."""
    entry = schedule.scheduled_job(name)
    if what == "run":
        with transaction() as session:
            count = schedule.run_now(session, entry)
        return back("/schedules", f"{name}: {count} done")
    if what in ("pause", "resume"):
        with transaction() as session:
            schedule_runs.pause(session, name, what == "pause", fields.get("reason", "")[:300])
        return back(
            "/schedules", f"{name} is paused" if what == "pause" else f"{name} runs again from its next slot on"
        )
    if what == "backfill":
        with transaction() as session:
            count = schedule.backfill(session, entry, BACKFILL)
        return back("/schedules", f"{name}: {count} missed slots were run")
    raise HTTPException(404, "there are run, pause, resume and backfill")


@router.get("/workers", response_class=HTMLResponse, dependencies=[MAY_READ])
def processes(request: Request) -> HTMLResponse:
    with reading() as session:
        around = look(session)
        found = process_stats.processes(session, get_settings().worker_dead_after)
    return page(request, "workers.html", processes=found, around=around, dead_after=get_settings().worker_dead_after)


@router.post("/workers/{worker}/drain")
@recorded("worker.drain")
def drain(worker: str, who: Operator) -> RedirectResponse:
    with transaction() as session:
        try:
            name = workers.drain(session, worker)
        except workers.UnknownWorker as error:
            raise HTTPException(404, str(error)) from None
    return back("/workers", f"{name} finishes what it holds, and ends")


@router.get("/incidents", response_class=HTMLResponse, dependencies=[MAY_READ])
def bursts(request: Request) -> HTMLResponse:
    with reading() as session:
        found = incidents.listing(session, None, 100)
    return page(request, "incidents.html", incidents=found)


@router.post("/incidents/{number}/{what}")
@recorded("incident.{what}")
def decide(number: int, what: str, who: Operator) -> RedirectResponse:
    if what == "accept":
        parent = deciding.accept(number)
        return back("/incidents", f"ticket {parent} stands for all of them")
    if what == "dismiss":
        deciding.dismiss(number)
        return back("/incidents", "dismissed: people are told of its tickets after all")
    raise HTTPException(404, "there are accept and dismiss")
