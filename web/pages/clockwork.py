"""Schedules, workers and incidents: what runs by itself, who runs it, and bursts that may be one matter."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.responses import HTMLResponse, RedirectResponse

from db import incidents, overview, reading, schedule, transaction
from db.incidents import NotDecidable
from pipelines import incidents as deciding
from pipelines.timetable import Entry, next_slot, timetable, trigger
from settings import get_settings
from web.access import MAY_READ, Operator
from web.pages.around import look
from web.pages.forms import back, form, recorded
from web.pages.render import page

router = APIRouter(include_in_schema=False)

Fields = Annotated[dict[str, str], Depends(form)]
#: Missed slots that one press of a button runs.
BACKFILL = 20


@router.get("/schedules", response_class=HTMLResponse, dependencies=[MAY_READ])
def schedules(request: Request) -> HTMLResponse:
    with reading() as session:
        ran, paused = schedule.history(session), schedule.paused(session)
    rows: list[dict[str, Any]] = [
        {
            "name": entry.name,
            "when": entry.when,
            "zone": entry.zone or get_settings().timezone,
            "off": entry.off,
            "paused": paused.get(entry.name),
            "next": None if entry.off or entry.name in paused else next_slot(trigger(entry), datetime.now(UTC)),
            **ran.get(entry.name, {"last": None, "note": "", "missed": 0}),
        }
        for entry in timetable()
    ]
    return page(request, "schedules.html", jobs=rows)


@router.post("/schedules/{name}/{what}")
@recorded("schedule.change")
def change(name: str, what: str, fields: Fields, who: Operator) -> RedirectResponse:
    """Run a job now, pause or resume it, or run what was missed."""
    entry = _entry(name)
    if what == "run":
        with transaction() as session:
            count = entry.run()
            schedule.run_by_hand(session, name, datetime.now(UTC), f"{count} done, by hand")
        return back("/schedules", f"{name}: {count} done")
    if what in ("pause", "resume"):
        with transaction() as session:
            schedule.pause(session, name, what == "pause", fields.get("reason", "")[:300])
        return back(
            "/schedules", f"{name} is paused" if what == "pause" else f"{name} runs again from its next slot on"
        )
    if what == "backfill":
        with transaction() as session:
            slots = schedule.missed(session, name, BACKFILL)
            for slot in slots:
                schedule.finish_slot(session, name, slot, f"{entry.run()} done, afterwards")
        return back("/schedules", f"{name}: {len(slots)} missed slots were run")
    raise HTTPException(404, "there are run, pause, resume and backfill")


def _entry(name: str) -> Entry:
    entry = next((each for each in timetable() if each.name == name), None)
    if entry is None:
        raise HTTPException(404, f"there is no scheduled job {name[:80]!r}")
    return entry


@router.get("/workers", response_class=HTMLResponse, dependencies=[MAY_READ])
def workers(request: Request) -> HTMLResponse:
    with reading() as session:
        around = look(session)
        found = overview.at_work(session)
    return page(request, "workers.html", processes=found, around=around, dead_after=get_settings().worker_dead_after)


@router.get("/incidents", response_class=HTMLResponse, dependencies=[MAY_READ])
def bursts(request: Request) -> HTMLResponse:
    with reading() as session:
        found = incidents.listing(session, None, 100)
    return page(request, "incidents.html", incidents=found)


@router.post("/incidents/{number}/{what}")
@recorded("incident.decide")
def decide(number: int, what: str, who: Operator) -> RedirectResponse:
    try:
        if what == "accept":
            parent = deciding.accept(number)
            return back("/incidents", f"ticket {parent} stands for all of them")
        if what == "dismiss":
            deciding.dismiss(number)
            return back("/incidents", "dismissed: people are told of its tickets after all")
    except NotDecidable as error:
        raise HTTPException(404, str(error)) from None
    raise HTTPException(404, "there are accept and dismiss")
