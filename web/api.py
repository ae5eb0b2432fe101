"""Tickets over HTTP: accepted in one short transaction, worked on by the actors."""

from __future__ import annotations

import hashlib
from typing import Annotated, Any

from fastapi import APIRouter, Header, HTTPException, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ValidationError
from sqlalchemy import select, update
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool

from db import reading, tickets, transaction
from db.bulk import upsert
from db.models import IdempotencyKey
from db.submissions import Submission, parse
from db.time import now
from db.timeline import timeline
from pipelines.triage import triage
from web.problems import invalid, problem

router = APIRouter(tags=["tickets"])

SOURCE = "http"


class Accepted(BaseModel):
    """The answer to a ticket that will not be lost."""

    id: int
    url: str


@router.post(
    "/tickets",
    status_code=202,
    response_model=Accepted,
    summary="Report a ticket",
    openapi_extra={
        "requestBody": {"required": True, "content": {"application/json": {"schema": Submission.model_json_schema()}}}
    },
)
async def report(
    request: Request, idempotency_key: Annotated[str | None, Header(min_length=1, max_length=255)] = None
) -> Response:
    """Accept a ticket and start its journey; 202 means that it is stored and will be worked on.

    The same `Idempotency-Key` with the same body gets the same answer; with another body, 422.
    """
    body = await request.body()
    # parsed here and not by FastAPI, whose error answers repeat the input, lone surrogates and all
    return await run_in_threadpool(_report, body, idempotency_key)


def _report(body: bytes, key: str | None) -> Response:
    try:
        payload = parse(body)
    except ValueError:
        return problem(400, "Not JSON", "the body must be one JSON object")
    if not isinstance(payload, dict):
        return problem(422, "Not valid", f"the body must be a JSON object, not {type(payload).__name__}")
    try:
        submission = Submission.model_validate(payload)
    except ValidationError as error:
        return invalid(error)
    with transaction() as session:
        earlier = _first_use(session, key, body)
        if isinstance(earlier, Response):
            return earlier
        ticket_id = earlier or _accept(session, submission, payload)
        if key and not earlier:
            # it was reserved above, in this transaction
            session.execute(update(IdempotencyKey).where(IdempotencyKey.key == key).values(ticket_id=ticket_id))
    url = f"/tickets/{ticket_id}"
    return JSONResponse({"id": ticket_id, "url": url}, 202, {"Location": url})


def _accept(session: Session, submission: Submission, payload: dict[str, Any]) -> int:
    new = tickets.accept(session, SOURCE, [(submission, payload)])
    if new:
        triage.send(new[0])
        return new[0]
    known = tickets.find(session, SOURCE, submission.external_id)
    assert known is not None  # it was in the way of the insert
    return known


def _first_use(session: Session, key: str | None, body: bytes) -> int | Response | None:
    """Reserve the key; return the ticket of an earlier request with it, or the refusal, or None for a first use.

    The insert waits for a request with the same key that is under way, so two at once are one ticket.
    """
    if not key:
        return None
    reserve = upsert(session, IdempotencyKey).values(
        key=key, fingerprint=_fingerprint(body), ticket_id=0, created_at=now()
    )
    if session.scalar(reserve.on_conflict_do_nothing(index_elements=["key"]).returning(IdempotencyKey.key)):
        return None
    known = session.execute(select(IdempotencyKey).where(IdempotencyKey.key == key)).scalar_one()
    if known.fingerprint != _fingerprint(body):
        return problem(
            422, "Idempotency-Key used before", "this Idempotency-Key came with another body before; use a new one"
        )
    return known.ticket_id


@router.get("/tickets/{ticket_id}", summary="A ticket with its whole timeline")
def show(ticket_id: int) -> dict[str, Any]:
    """Return the ticket, what was decided and why, who was told, and what is still promised."""
    with reading() as session:
        found = timeline(session, ticket_id)
    if found is None:
        raise HTTPException(404, f"there is no ticket {ticket_id}")
    return found


def _fingerprint(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()
