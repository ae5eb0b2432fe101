"""Forms of the people in Cc on the page of a ticket: add and remove."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import RedirectResponse

from aura.desk.participants import add_participant, remove_participant
from aura.web.auth.requirements import Operator
from aura.web.pages.forms import Fields, audited, redirect

router = APIRouter(prefix="/tickets")


@router.post("/{ticket_id}/participants/add")
@audited("ticket.participant_add")
def add_person(ticket_id: int, fields: Fields, who: Operator) -> RedirectResponse:
    new = add_participant(ticket_id, fields.get("address", ""), who.name)
    return redirect(f"/tickets/{ticket_id}", "Added to Cc." if new else "Is in Cc already.")


@router.post("/{ticket_id}/participants/remove")
@audited("ticket.participant_remove")
def remove_person(ticket_id: int, fields: Fields, who: Operator) -> RedirectResponse:
    remove_participant(ticket_id, fields.get("address", ""), who.name)
    return redirect(f"/tickets/{ticket_id}", "Removed from Cc.")
