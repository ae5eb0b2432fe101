"""Pages /review: verdicts that need a review, one ticket after the other, decided with one key each."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse

from aura.desk import ticket_actions
from aura.settings import PRIORITIES, get_settings
from aura.web.auth.requirements import REQUIRES_READ, Operator
from aura.web.pages.forms import Fields, audited, redirect
from aura.web.render import page
from db import reading, ticket_stats
from db.queue_stats import COUNT_LIMIT
from db.timeline import timeline

router = APIRouter(prefix="/review")


@router.get("", response_class=HTMLResponse, dependencies=[REQUIRES_READ])
def show_review(request: Request, skip: Annotated[int, Query(ge=0, le=COUNT_LIMIT)] = 0) -> HTMLResponse:
    """Show the ticket that has waited longest for its review, after `skip` others."""
    with reading() as session:
        left, ticket_id = ticket_stats.review_queue(session, skip)
        ticket = timeline(session, ticket_id) if ticket_id is not None else None
    verdicts = [entry for entry in ticket["timeline"] if entry["kind"] == "verdict"] if ticket else []
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


@router.post("/{ticket_id}")
@audited("ticket.review")
def review(ticket_id: int, fields: Fields, who: Operator) -> RedirectResponse:
    """Correct or confirm the verdict, and go on to the next ticket."""
    changed = ticket_actions.correct(
        ticket_id, who.name, fields.get("category") or None, fields.get("priority") or None
    )
    return redirect("/review", f"Ticket {ticket_id} {'corrected' if changed else 'confirmed'}.")
