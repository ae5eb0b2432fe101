"""Review: verdicts that are not sure enough, one after the other; a key for each category, and the next one comes."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse

from aura.desk import ticket_actions
from aura.settings import PRIORITIES, get_settings
from aura.web.auth.identity import MAY_READ, Operator
from aura.web.pages.forms import back, form, recorded
from aura.web.pages.render import page
from db import reading, ticket_stats
from db.queue_stats import COUNT_LIMIT
from db.timeline import timeline

router = APIRouter(include_in_schema=False)


@router.get("/review", response_class=HTMLResponse, dependencies=[MAY_READ])
def review(request: Request, skip: Annotated[int, Query(ge=0, le=COUNT_LIMIT)] = 0) -> HTMLResponse:
    """Show the ticket that waits longest, or one further back."""
    with reading() as session:
        left, number = ticket_stats.review_queue(session, skip)
        ticket = timeline(session, number) if number is not None else None
    verdicts = [entry for entry in ticket["timeline"] if entry["what"] == "verdict"] if ticket else []
    return page(
        request,
        "review.html",
        ticket=ticket,
        verdict=verdicts[-1] if verdicts else None,
        left=left,
        most=COUNT_LIMIT,
        skip=skip,
        categories=get_settings().categories,
        priorities=PRIORITIES,
    )


@router.post("/review/{ticket_id}")
@recorded("ticket.review")
def decide(ticket_id: int, fields: Annotated[dict[str, str], Depends(form)], who: Operator) -> RedirectResponse:
    """Say what the ticket is, and go on to the next one."""
    changed = ticket_actions.correct(
        ticket_id, who.name, fields.get("category") or None, fields.get("priority") or None
    )
    said = "corrected" if changed else "confirmed"
    return back("/review", f"ticket {ticket_id} {said}")
