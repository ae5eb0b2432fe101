"""Pages /tickets: search, a ticket with its timeline and actions, the form of a new ticket."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool

from aura.desk import ticket_actions
from aura.desk.replies import describe, reply_recipients, resolution_recipients
from aura.errors import InvalidInput
from aura.notifications import Visibility
from aura.settings import PRIORITIES, explain, get_settings
from aura.web.api.tickets import ticket_response
from aura.web.auth.requirements import REQUIRES_READ, Operator, Reader, Submitter
from aura.web.pages import attachments
from aura.web.pages.forms import Fields, audited, redirect
from aura.web.pages.queues import snapshot
from aura.web.render import page, spaced, wants_page
from aura.web.searches import search_for
from db import diagnosis, process_stats, reading, search, tickets, transaction
from db.database import Cancellation, searching
from db.fair_shares import share_of
from db.new_tickets import NewTicket
from db.search import QUALIFIERS, InvalidSearch
from db.tickets import UnknownTicket
from db.timeline import timeline
from pipelines.reanalysis import reanalyze_one
from pipelines.triage import triage

router = APIRouter(prefix="/tickets")

SOURCE = "web"
STEPS = [step.actor_name for step in triage.steps]
#: The searches that have a link of their own: (label, search).
VIEWS = (
    ("All", ""),
    ("Open", "is:open"),
    ("Critical", "is:open priority:critical"),
    ("Unassigned", "is:open -is:assigned"),
    ("Overdue", "is:open is:late"),
    ("Needs review", "needs:review"),
)


@router.get("", response_class=HTMLResponse)
async def list_tickets(
    request: Request, who: Reader, q: Annotated[str, Query(max_length=2000)] = "", before: int | None = None
) -> HTMLResponse:
    # /tickets?status=open, as in the API, is the search status:open
    given = [f'{name}:"{value}"' for name, value in request.query_params.multi_items() if name in QUALIFIERS and value]
    q = " ".join([q, *(each.replace('"', "") if " " not in each else each for each in given)]).strip()
    error, found = "", search.Page([], None)
    try:
        found = await search_for(request, who.name, lambda cancellation: _search(q, before, cancellation))
        if not found.tickets and found.older is None:
            search.require_known_categories(q, get_settings().categories)
    except InvalidSearch as invalid:  # shown above the search field, which keeps the text
        error = str(invalid)
    return await run_in_threadpool(
        page,
        request,
        "tickets.html",
        422 if error else 200,
        q=q,
        found=found,
        error=error,
        views=VIEWS,
        qualifiers=sorted(QUALIFIERS),
        first=before is None,
    )


def _search(q: str, before: int | None, cancellation: Cancellation) -> search.Page:
    with searching(cancellation) as session:
        return search.search(session, q, before)


@router.get("/new", response_class=HTMLResponse, dependencies=[REQUIRES_READ])
def show_form(request: Request) -> HTMLResponse:
    return page(request, "new.html", error="", fields={}, priorities=PRIORITIES)


@router.post("/new", response_model=None)
def create_ticket(request: Request, fields: Fields, who: Submitter) -> HTMLResponse | RedirectResponse:
    texts = {name: fields.get(name, "") for name in ("title", "description", "requester", "department")}
    payload = {**texts, "priority": fields.get("priority") or None}
    try:
        ticket = NewTicket.model_validate(payload)
    except ValidationError as invalid:
        return page(request, "new.html", 422, error=explain(invalid), fields=fields, priorities=PRIORITIES)
    with transaction() as session:
        [ticket_id] = tickets.create(session, SOURCE, [(ticket, payload)])
        triage.send(ticket_id, share_of(SOURCE, ticket.requester))
    return redirect(f"/tickets/{ticket_id}", "Ticket created.")


@router.get("/{ticket_id}", response_model=None, dependencies=[REQUIRES_READ])
def show_ticket(request: Request, ticket_id: int) -> Response:
    """Return the page of a ticket to a browser, and JSON to a program."""
    if not wants_page(request):
        return ticket_response(ticket_id, request.headers.getlist("if-none-match") or None)
    with reading() as session:
        ticket = timeline(session, ticket_id)
        if ticket is None:
            raise UnknownTicket(ticket_id)
        sentence = diagnosis.ticket(session, ticket_id, snapshot(session))
        agents = process_stats.agents(session)
        files = attachments.shown(session, ticket_id)
        to = reply_recipients(session, ticket_id, ticket["requester"])
    entries = ticket.pop("timeline")
    verdicts = [entry for entry in entries if entry["kind"] == "verdict"]
    return page(
        request,
        "ticket.html",
        ticket=ticket,
        timeline=entries,
        verdict=verdicts[-1] if verdicts else None,
        diagnosis=sentence,
        categories=get_settings().categories,
        priorities=PRIORITIES,
        steps=STEPS,
        next_statuses=[status for status in ticket_actions.WAYS.get(ticket["status"], ()) if status != "resolved"],
        agents=[agent["name"] for agent in agents],
        attachments=files,
        notify_cc=get_settings().notify_cc,
        reply_to=to,
        reply_label=describe(to),
        # a resolution is sent to the requester alone
        resolution_to=describe(resolution_recipients(ticket["requester"])),
    )


@router.post("/{ticket_id}/correct")
@audited("ticket.correct")
def correct_ticket(ticket_id: int, fields: Fields, who: Operator) -> RedirectResponse:
    changed = ticket_actions.correct(
        ticket_id, who.name, fields.get("category") or None, fields.get("priority") or None
    )
    return redirect(f"/tickets/{ticket_id}", f"Changed: {', '.join(changed)}." if changed else "Confirmed.")


@router.post("/{ticket_id}/resolve")
@audited("ticket.resolve")
def resolve_ticket(ticket_id: int, fields: Fields, who: Operator) -> RedirectResponse:
    chosen = _visibility(fields)
    ticket_actions.resolve(ticket_id, fields.get("resolution", ""), who.name, chosen)
    sent = "The resolution is sent." if chosen == "public" else "The resolution is internal."
    return redirect(f"/tickets/{ticket_id}", f"Resolved. {sent}")


@router.post("/{ticket_id}/status")
@audited("ticket.status")
def change_status(ticket_id: int, fields: Fields, who: Operator) -> RedirectResponse:
    moved = ticket_actions.set_status(ticket_id, fields.get("status", ""), who.name)
    return redirect(f"/tickets/{ticket_id}", f"Status: {spaced(moved.before)} → {spaced(moved.status)}.")


@router.post("/{ticket_id}/assign")
@audited("ticket.assign")
def assign_ticket(ticket_id: int, fields: Fields, who: Operator) -> RedirectResponse:
    """Assign a ticket to an agent; an empty field unassigns it."""
    name = ticket_actions.assign(ticket_id, fields.get("agent", "").strip() or None, who.name)
    return redirect(f"/tickets/{ticket_id}", f"Assigned to {name}." if name else "Unassigned.")


@router.post("/{ticket_id}/comment")
@audited("ticket.comment")
def comment_on_ticket(ticket_id: int, fields: Fields, who: Operator) -> RedirectResponse:
    """Add an internal note; only the button that names the recipients sends a reply."""
    chosen = _visibility(fields)
    # the recipients that the button named: a person in Cc may have been added meanwhile
    seen = fields.get("recipients", "").splitlines() if chosen == "public" else None
    ticket_actions.comment(ticket_id, who.name, fields.get("text", ""), SOURCE, chosen, seen)
    if chosen == "internal":
        return redirect(f"/tickets/{ticket_id}", "Internal note added.")
    return redirect(f"/tickets/{ticket_id}", f"Reply sent to {describe(seen or ())}.")


def _visibility(fields: Mapping[str, str]) -> Visibility:
    """Return the visibility that a button chose; internal without one. Raises InvalidInput for another text."""
    match fields.get("visibility", "internal"):
        case "internal":
            return "internal"
        case "public":
            return "public"
        case other:
            raise InvalidInput(f"visibility: must be internal or public, not {other[:40]!r}")


@router.post("/{ticket_id}/reanalyze")
@audited("ticket.reanalyze")
def reanalyze_ticket(ticket_id: int, fields: Fields, who: Operator) -> RedirectResponse:
    """Enqueue a new analysis of the ticket."""
    with transaction() as session:
        tickets.ensure_exists(session, ticket_id)
        reanalyze_one(session, ticket_id, f"{who.name} asked for it")
    return redirect(f"/tickets/{ticket_id}", "Re-analysis enqueued.")


@router.post("/{ticket_id}/rerun")
@audited("ticket.rerun")
def rerun_ticket(ticket_id: int, fields: Fields, who: Operator) -> RedirectResponse:
    """Run the pipeline again, beginning with a step."""
    step = fields.get("step", "")
    if step not in STEPS:
        raise InvalidInput(f"step: must be one of {', '.join(STEPS)}")
    with transaction() as session:
        tickets.ensure_exists(session, ticket_id)
        triage.send_from(step, ticket_id)
    return redirect(f"/tickets/{ticket_id}", f"Enqueued again from {step}.")
