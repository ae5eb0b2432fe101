"""Tickets: report one, find them, see one with its timeline, correct it, have it looked at again."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, HTTPException, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import Field
from starlette.concurrency import run_in_threadpool

from aura.desk import ticket_actions
from aura.web.api.create import BODY, Accepted, Key, take
from aura.web.api.fields import Moment, Most, Name, Number, Said, Text, Word
from aura.web.auth.identity import Operator, Reader, Submitter
from aura.web.long_poll import LONGEST, LongPoll
from db import audit, reading, ticket_list, tickets
from db.ticket_actions import COMMENT_LIMIT
from db.ticket_list import FILTERS, Sort
from db.tickets import UnknownTicket
from db.timeline import summary, timeline
from pipelines.reanalysis import reanalyze_one
from pipelines.triage import triage

router = APIRouter(prefix="/tickets", tags=["tickets"])

Wait = Annotated[float, Query(ge=0, le=LONGEST, description="Seconds to wait until the ticket is classified.")]


class Change(Said):
    """What a ticket is about, how urgent it is, how far, or who has it; what is left out stays as it is."""

    category: Text | None = Field(None, max_length=80, examples=["Network"])
    priority: Text | None = Field(None, max_length=16, examples=["high"])
    status: Literal["open", "in_progress", "pending", "resolved", "closed"] | None = Field(None, examples=["resolved"])
    resolution: Text = Field("", max_length=20_000, description="What resolved it.", examples=["A new cable"])
    assignee: Name | None = Field(
        None,
        description="An agent's name or e-mail address; null takes it from whoever has it.",
        examples=["Grace Chen"],
    )


class Remark(Said):
    """What there is to add to a ticket."""

    text: Text = Field(min_length=1, max_length=COMMENT_LIMIT, examples=["It works again since noon."])


class Again(Said):
    """From which step on."""

    step: Literal["intake", "classify", "notify"] = Field(alias="from", examples=["classify"])


@router.post("", status_code=202, response_model=Accepted, summary="Report a ticket", openapi_extra=BODY)
async def report(
    request: Request,
    _who: Submitter,
    idempotency_key: Key = None,
    wait: Wait = 0,
) -> Response:
    """Accept a ticket and start its journey; 202 means that it is stored and will be worked on.

    The same `Idempotency-Key` with the same body gets the same answer; with another body, 422. With `wait`, the answer
    holds the ticket as it is when it is classified, or when the time is up.
    """
    ticket_id = await take(request, idempotency_key)
    if isinstance(ticket_id, Response):
        return ticket_id
    url = f"/api/v1/tickets/{ticket_id}"
    answer: dict[str, Any] = {"id": ticket_id, "url": url}
    if wait:
        waiting: LongPoll = request.app.state.waiting
        await waiting.decided(ticket_id, wait)
        found = await run_in_threadpool(_found, ticket_id)
        shown = ("stage", "category", "priority", "confidence", "needs_review")
        answer |= {name: found[name] for name in shown}
    return JSONResponse(answer, 202, {"Location": url})


@router.get("", summary="Tickets")
def list_(
    _who: Reader,
    status: Word = None,
    stage: Word = None,
    category: Word = None,
    priority: Word = None,
    assignee: Word = None,
    requester: Word = None,
    department: Word = None,
    source: Word = None,
    needs_review: bool | None = None,
    after: Annotated[Moment | None, Query(description="Reported at or after this moment.")] = None,
    before: Annotated[Moment | None, Query(description="Reported before this moment.")] = None,
    sort: Sort = "-id",
    cursor: Annotated[Text | None, Query(max_length=200, description="The `next` of the page before.")] = None,
    limit: Most = 50,
) -> dict[str, Any]:
    """Return a page of tickets, the newest first, and the cursor of the next one; null after the last."""
    given = locals()
    with reading() as session:
        page = ticket_list.page(
            session,
            {name: given[name] for name in FILTERS},
            after=after,
            before=before,
            sort=sort,
            cursor=cursor,
            limit=limit,
        )
        return {"tickets": [summary(ticket) for ticket in page.tickets], "next": page.next}


@router.get("/{number}", summary="A ticket with its whole timeline")
async def show(number: Number, request: Request, _who: Reader, wait: Wait = 0) -> dict[str, Any]:
    """Return the ticket, what was decided and why, who was told, and what is still promised."""
    if wait:
        waiting: LongPoll = request.app.state.waiting
        await waiting.decided(number, wait)
    return await run_in_threadpool(_found, number)


@router.patch("/{number}", summary="Correct, move, assign or resolve a ticket")
def change(number: Number, said: Change, who: Operator) -> dict[str, Any]:
    """Say what a ticket is about, how urgent, how far it is, or who has it. It holds: no engine overwrites it."""
    given = said.model_fields_set & {"assignee"} | {
        name for name in ("category", "priority", "status") if getattr(said, name) is not None
    }
    if not given:
        raise HTTPException(422, "say what changes: category, priority, status or assignee")
    if said.resolution and said.status != "resolved":
        raise HTTPException(422, "a resolution goes with the status resolved")
    with audit.acting(who, "ticket.change", f"ticket/{number}", **said.model_dump(include=given)):
        if said.category is not None or said.priority is not None:
            ticket_actions.correct(number, who.name, said.category, said.priority)
        if "assignee" in given:
            ticket_actions.assign(number, said.assignee, who.name)
        if said.status == "resolved":
            ticket_actions.resolve(number, said.resolution, who.name)
        elif said.status is not None:
            ticket_actions.set_status(number, said.status, who.name)
    return _found(number)


@router.post("/{number}/comments", status_code=201, summary="Comment on a ticket")
def comment(number: Number, said: Remark, who: Operator) -> dict[str, int]:
    """Add a comment; while the ticket is open, an engine looks at it again and reads that."""
    with audit.acting(who, "ticket.comment", f"ticket/{number}"):
        return {"ticket_id": number, "comment": ticket_actions.comment(number, who.name, said.text, "http")}


@router.post("/{number}/analyze", status_code=202, summary="Look at a ticket again")
def analyze(number: Number, who: Operator) -> dict[str, Any]:
    """Promise another look at the ticket by the engine that is configured; people hear of it if something changes."""
    with audit.acting(who, "ticket.analyze", f"ticket/{number}") as session:
        tickets.ensure_exists(session, number)
        job = reanalyze_one(session, number, f"{who.name} asked for it")
    return {"ticket_id": number, "job": {"id": job, "actor": "reanalyze"}, "url": f"/api/v1/tickets/{number}"}


@router.post("/{number}/replay", status_code=202, summary="Run a ticket's journey again")
def replay(number: Number, said: Again, who: Operator) -> dict[str, Any]:
    """Promise the ticket's journey again, from a step on."""
    with audit.acting(who, "ticket.replay", f"ticket/{number}", step=said.step) as session:
        tickets.ensure_exists(session, number)
        triage.send_from(said.step, number)
    return {"ticket_id": number, "from": said.step, "url": f"/api/v1/tickets/{number}"}


def _found(number: int) -> dict[str, Any]:
    with reading() as session:
        found = timeline(session, number)
    if found is None:
        raise UnknownTicket(number)
    return found
