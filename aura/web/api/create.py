"""Tickets over HTTP: accepted in a short transaction that many share, worked on by the actors."""

from __future__ import annotations

import hashlib
from typing import Annotated, Any

from fastapi import APIRouter, Header, HTTPException, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ValidationError
from starlette.concurrency import run_in_threadpool

from aura.web.auth.identity import Reader, Submitter
from aura.web.group_commit import CreateRequest, TicketWriter
from aura.web.problems import invalid, problem
from db import reading
from db.idempotency import KeyUse
from db.new_tickets import NewTicket, parse_json
from db.timeline import timeline

#: Where tickets are reported; by itself, so that it can be the first that a request is compared with.
entrance = APIRouter(tags=["tickets"])
router = APIRouter(tags=["tickets"])

#: Bytes of a body from which on reading it takes so long that other requests would notice.
LONG = 50_000


class Accepted(BaseModel):
    """The answer to a ticket that will not be lost."""

    id: int
    url: str


#: What the body of a report is, for the OpenAPI document.
BODY = {"requestBody": {"required": True, "content": {"application/json": {"schema": NewTicket.model_json_schema()}}}}
Key = Annotated[str | None, Header(alias="Idempotency-Key", min_length=1, max_length=255)]


@entrance.post(
    "/tickets",
    status_code=202,
    response_model=Accepted,
    summary="Report a ticket",
    openapi_extra=BODY,
)
async def report(
    request: Request,
    _who: Submitter,
    idempotency_key: Key = None,
) -> Response:
    """Accept a ticket and start its journey; 202 means that it is stored and will be worked on.

    The same `Idempotency-Key` with the same body gets the same answer; with another body, 422.
    """
    ticket_id = await take(request, idempotency_key)
    if isinstance(ticket_id, Response):
        return ticket_id
    url = f"/tickets/{ticket_id}"
    return JSONResponse({"id": ticket_id, "url": url}, 202, {"Location": url})


async def take(request: Request, key: str | None) -> int | Response:
    """Store the ticket that the body is, and return its number, or why it is none."""
    body = await request.body()
    # parsed here and not by FastAPI, whose error answers repeat the input, lone surrogates and all
    read = this_is(body) if len(body) < LONG else await run_in_threadpool(this_is, body)
    if isinstance(read, Response):
        return read
    use = KeyUse(key, hashlib.sha256(body).hexdigest()) if key else None
    acceptor: TicketWriter = request.app.state.acceptor
    return await acceptor.accept(CreateRequest(*read, use))


def this_is(body: bytes) -> tuple[NewTicket, dict[str, Any]] | JSONResponse:
    """Return the ticket that some JSON is, with the JSON itself, or why it is none."""
    try:
        payload = parse_json(body)
    except ValueError:
        return problem(400, "Not JSON", "the body must be one JSON object")
    if not isinstance(payload, dict):
        return problem(422, "Not valid", f"the body must be a JSON object, not {type(payload).__name__}")
    try:
        return NewTicket.model_validate(payload), payload
    except ValidationError as error:
        return invalid(error)


@router.get("/tickets/{ticket_id}", summary="A ticket with its whole timeline")
def show(ticket_id: int, _who: Reader) -> dict[str, Any]:
    """Return the ticket, what was decided and why, who was told, and what is still promised."""
    return ticket(ticket_id)


def ticket(ticket_id: int) -> dict[str, Any]:
    """Return a ticket with its timeline. Raises HTTPException 404."""
    with reading() as session:
        found = timeline(session, ticket_id)
    if found is None:
        raise HTTPException(404, f"there is no ticket {ticket_id}")
    return found
