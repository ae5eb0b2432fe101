"""Resource participants of a ticket: the people in Cc, who get public replies."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path, Response
from pydantic import BaseModel, Field

from aura.desk.participants import add_participant, list_participants, remove_participant
from aura.web.api import etags
from aura.web.api.etags import IfMatch
from aura.web.api.fields import Body, Id, Name, Text
from aura.web.auth.requirements import Operator, Reader
from db import audit

router = APIRouter(prefix="/tickets", tags=["tickets"])

Address = Annotated[Text, Path(max_length=254, examples=["bob@example.com"])]


class Participant(BaseModel):
    """A person in Cc; `added_by` is the sender of the mail or the agent who added them."""

    address: str
    name: str
    added_by: str
    created_at: datetime


class Participants(BaseModel):
    """The people in Cc of a ticket."""

    ticket_id: int
    participants: list[Participant]


class NewParticipant(Body):
    """A person to add."""

    address: Name = Field(min_length=3, examples=["bob@example.com"])
    name: Text = Field("", max_length=200, examples=["Bob Sand"])


@router.get("/{ticket_id}/participants", summary="List the people in Cc")
def list_people(ticket_id: Id, _who: Reader) -> Participants:
    """Return the people in Cc of a ticket, who get public replies by mail."""
    rows = list_participants(ticket_id)
    return Participants(ticket_id=ticket_id, participants=[Participant.model_validate(row) for row in rows])


@router.post("/{ticket_id}/participants", status_code=201, summary="Add a person to Cc")
def add_person(ticket_id: Id, body: NewParticipant, who: Operator, if_match: IfMatch = None) -> Participants:
    """Add a person, also one who was removed. A repetition changes nothing."""
    with audit.acting(who, "ticket.participant_add", f"ticket/{ticket_id}", address=body.address) as session:
        etags.require_match(session, ticket_id, if_match)
        add_participant(ticket_id, body.address, who.name, body.name)
    return list_people(ticket_id, who)


@router.delete("/{ticket_id}/participants/{address}", status_code=204, summary="Remove a person from Cc")
def remove_person(ticket_id: Id, address: Address, who: Operator, if_match: IfMatch = None) -> Response:
    """Remove a person. No later mail adds them again."""
    with audit.acting(who, "ticket.participant_remove", f"ticket/{ticket_id}", address=address) as session:
        etags.require_match(session, ticket_id, if_match)
        remove_participant(ticket_id, address, who.name)
    return Response(status_code=204)
