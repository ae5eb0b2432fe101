"""Tickets: found, read with their whole story, corrected in place, reported by a form."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse
from pydantic import ValidationError

from aura.desk import ticket_actions
from aura.settings import PRIORITIES, explain, get_settings
from aura.web.api import create
from aura.web.auth.identity import MAY_READ, Operator, Submitter
from aura.web.pages.forms import back, form, recorded
from aura.web.pages.queue_state import look
from aura.web.pages.render import page, wants_page, words
from db import diagnosis, process_stats, reading, search, tickets, transaction
from db.new_tickets import NewTicket
from db.search import QUALIFIERS, InvalidSearch
from db.timeline import timeline
from pipelines.triage import triage

router = APIRouter(include_in_schema=False)

SOURCE = "web"
STEPS = [step.actor_name for step in triage.steps]
Fields = Annotated[dict[str, str], Depends(form)]


@router.get("/tickets", response_class=HTMLResponse, dependencies=[MAY_READ])
def listing(
    request: Request, q: Annotated[str, Query(max_length=2000)] = "", before: int | None = None
) -> HTMLResponse:
    wrong, found = "", search.Page([], None)
    try:
        with reading() as session:
            found = search.search(session, q, before)
    except InvalidSearch as error:
        wrong = str(error)
    values = {"q": q, "found": found, "wrong": wrong, "qualifiers": sorted(QUALIFIERS), "first": before is None}
    return page(request, "tickets.html", 422 if wrong else 200, **values)


@router.get("/tickets/new", response_class=HTMLResponse, dependencies=[MAY_READ])
def new(request: Request) -> HTMLResponse:
    return page(request, "new.html", wrong="", fields={}, priorities=PRIORITIES)


@router.post("/tickets/new", response_model=None)
def report(request: Request, fields: Fields, who: Submitter) -> HTMLResponse | RedirectResponse:
    said = {name: fields.get(name, "") for name in ("title", "description", "requester", "department")}
    payload = {**said, "priority": fields.get("priority") or None}
    try:
        submission = NewTicket.model_validate(payload)
    except ValidationError as error:
        return page(request, "new.html", 422, wrong=explain(error), fields=fields, priorities=PRIORITIES)
    with transaction() as session:
        [ticket_id] = tickets.create(session, SOURCE, [(submission, payload)])
        triage.send(ticket_id)
    return back(f"/tickets/{ticket_id}", "reported; this page shows how it goes on")


@router.get("/tickets/{ticket_id}", response_model=None, dependencies=[MAY_READ])
def show(request: Request, ticket_id: int) -> HTMLResponse | dict[str, Any]:
    """Return the page of a ticket to a browser, and its JSON to any other program."""
    if not wants_page(request):
        return create.ticket(ticket_id)
    with reading() as session:
        found = timeline(session, ticket_id)
        if found is None:
            raise HTTPException(404, f"there is no ticket {ticket_id}")
        sentence = diagnosis.ticket(session, ticket_id, look(session))
        people = process_stats.agents(session)
    story: list[dict[str, Any]] = found.pop("timeline")
    verdicts = [entry for entry in story if entry["what"] == "verdict"]
    return page(
        request,
        "ticket.html",
        ticket=found,
        story=story,
        verdict=verdicts[-1] if verdicts else None,
        why=sentence,
        categories=get_settings().categories,
        priorities=PRIORITIES,
        steps=STEPS,
        ways=[way for way in ticket_actions.WAYS.get(found["status"], ()) if way != "resolved"],
        agents=[agent["name"] for agent in people],
    )


@router.post("/tickets/{ticket_id}/correct")
@recorded("ticket.correct")
def correct(ticket_id: int, fields: Fields, who: Operator) -> RedirectResponse:
    changed = ticket_actions.correct(
        ticket_id, who.name, fields.get("category") or None, fields.get("priority") or None
    )
    said = f"{' and '.join(changed)} changed; it holds from now on" if changed else "confirmed"
    return back(f"/tickets/{ticket_id}", said)


@router.post("/tickets/{ticket_id}/resolve")
@recorded("ticket.resolve")
def resolve(ticket_id: int, fields: Fields, who: Operator) -> RedirectResponse:
    ticket_actions.resolve(ticket_id, fields.get("resolution", ""), who.name)
    return back(f"/tickets/{ticket_id}", "resolved; the next ticket like it is shown what helped")


@router.post("/tickets/{ticket_id}/status")
@recorded("ticket.status")
def move(ticket_id: int, fields: Fields, who: Operator) -> RedirectResponse:
    """Say how far a ticket is."""
    moved = ticket_actions.set_status(ticket_id, fields.get("status", ""), who.name)
    return back(f"/tickets/{ticket_id}", f"it was {words(moved.before)}, and is {words(moved.status)} now")


@router.post("/tickets/{ticket_id}/assign")
@recorded("ticket.assign")
def assign(ticket_id: int, fields: Fields, who: Operator) -> RedirectResponse:
    """Give a ticket to an agent, or with an empty field to nobody."""
    name = ticket_actions.assign(ticket_id, fields.get("agent", "").strip() or None, who.name)
    return back(f"/tickets/{ticket_id}", f"{name} has it now, and is told" if name else "nobody has it now")


@router.post("/tickets/{ticket_id}/comment")
@recorded("ticket.comment")
def comment(ticket_id: int, fields: Fields, who: Operator) -> RedirectResponse:
    """Add a comment."""
    ticket_actions.comment(ticket_id, who.name, fields.get("text", ""), SOURCE)
    return back(f"/tickets/{ticket_id}", "your comment is kept with the ticket; while it is open, the engine reads it")


@router.post("/tickets/{ticket_id}/again")
@recorded("ticket.again")
def again(ticket_id: int, fields: Fields, who: Operator) -> RedirectResponse:
    """Run the journey again, from one of its steps on."""
    step = fields.get("step", "")
    if step not in STEPS:
        raise HTTPException(422, f"step must be one of {', '.join(STEPS)}")
    with transaction() as session:
        tickets.ensure_exists(session, ticket_id)
        triage.send_from(step, ticket_id)
    return back(f"/tickets/{ticket_id}", f"promised again from {step} on")
