"""Pages /schedules: the scheduled jobs, run now, pause, resume, and backfill of missed runs."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse

from aura.errors import NotFound
from aura.web.auth.requirements import REQUIRES_READ, Operator
from aura.web.pages.forms import Fields, audited, redirect
from aura.web.render import page
from db import reading, schedule_runs, transaction
from pipelines import scheduled_jobs as schedule

router = APIRouter(prefix="/schedules")

#: The most missed runs of one backfill.
MAX_BACKFILL = 20
#: What each scheduled job does.
DESCRIPTIONS = {
    "reanalysis": "re-analyzes open tickets that are old",
    "reanalyze-changed": "re-analyzes tickets that were changed or commented on",
    "reclassify": "asks the remote engine about tickets that the local one classified in its place",
    "recovery": "restarts pipelines that were interrupted",
    "sla": "warns of tickets that are due soon, and escalates overdue ones",
    "incidents": "proposes incidents for similar tickets",
    "footers": "learns the footers that repeat in tickets of many requesters",
    "metric-samples": "records the points of the charts",
    "retention": "deletes rows after their retention time",
}


@router.get("", response_class=HTMLResponse, dependencies=[REQUIRES_READ])
def list_schedules(request: Request) -> HTMLResponse:
    with reading() as session:
        rows = schedule.listing(session)
    return page(request, "schedules.html", jobs=rows, descriptions=DESCRIPTIONS, max_backfill=MAX_BACKFILL)


@router.post("/{name}/{action}")
@audited("schedule.{action}")
def change_schedule(name: str, action: str, fields: Fields, who: Operator) -> RedirectResponse:
    """Run a scheduled job now, pause or resume it, or run its missed runs."""
    job = schedule.scheduled_job(name)
    with transaction() as session:
        match action:
            case "run":
                return redirect("/schedules", f"{name}: {schedule.run_now(session, job)} done.")
            case "pause":
                schedule_runs.pause(session, name, True, fields.get("reason", "")[:300])
                return redirect("/schedules", f"{name} paused.")
            case "resume":
                schedule_runs.pause(session, name, False)
                return redirect("/schedules", f"{name} resumed.")
            case "backfill":
                return redirect(
                    "/schedules", f"{name}: {schedule.backfill(session, job, MAX_BACKFILL)} missed runs done."
                )
    raise NotFound(f"no action {action[:40]!r}: there are run, pause, resume and backfill")
