"""Pages /incidents: proposed groups of similar tickets, accepted or dismissed by a person."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse

from aura.desk import incidents as decisions
from aura.errors import NotFound
from aura.web.auth.requirements import REQUIRES_READ, Operator
from aura.web.pages.forms import audited, redirect
from aura.web.render import page
from db import incidents, reading

router = APIRouter(prefix="/incidents")

#: Incidents of the page.
PAGE = 100


@router.get("", response_class=HTMLResponse, dependencies=[REQUIRES_READ])
def list_incidents(request: Request) -> HTMLResponse:
    with reading() as session:
        rows = incidents.listing(session, None, PAGE)
    return page(request, "incidents.html", incidents=rows)


@router.post("/{incident_id}/{action}")
@audited("incident.{action}")
def decide(incident_id: int, action: str, who: Operator) -> RedirectResponse:
    match action:
        case "accept":
            parent = decisions.accept(incident_id)
            return redirect("/incidents", f"Accepted: ticket {parent} is the parent ticket.")
        case "dismiss":
            decisions.dismiss(incident_id)
            return redirect("/incidents", "Dismissed: the notifications of its tickets are sent.")
    raise NotFound(f"no action {action[:40]!r}: there are accept and dismiss")
