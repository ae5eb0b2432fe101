"""Resource tickets: create, list, show, change, comment, re-analyze, rerun the pipeline.

`POST /tickets` and `GET /tickets/{ticket_id}`, without /api/v1, are aliases for clients that use them already.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from difflib import get_close_matches
from functools import lru_cache
from itertools import islice
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, BeforeValidator, Field, ValidationError
from starlette.concurrency import run_in_threadpool

from aura.desk import ticket_actions
from aura.errors import InvalidInput
from aura.notifications import Visibility
from aura.settings import get_settings
from aura.web.api import etags
from aura.web.api.etags import IfMatch, IfNoneMatch
from aura.web.api.fields import Body, Filters, Id, Limit, Name, Text, Time
from aura.web.auth.identity import Identity
from aura.web.auth.requirements import Operator, Reader, Submitter
from aura.web.group_commit import CreateRequest, TicketWriter
from aura.web.long_poll import MAX_WAIT, LongPoll
from aura.web.media_types import require_json
from aura.web.problems import invalid, problem
from aura.web.query_parameters import canonical, require_known_values, split_commas, split_lower
from aura.web.searches import search_for
from db import audit, reading, ticket_list, tickets
from db.database import Cancellation, searching
from db.idempotency import use_of
from db.new_tickets import NewTicket, parse_json
from db.text import TooManyValues, storable
from db.ticket_actions import COMMENT_LIMIT
from db.ticket_list import Sort
from db.tickets import UnknownTicket
from db.timeline import summary, timeline
from pipelines.reanalysis import reanalyze_one
from pipelines.triage import triage

router = APIRouter(prefix="/tickets", tags=["tickets"])
#: The alias that creates a ticket. It is the first of all routes: matching the others costs as much as storing the ticket.
create_alias = APIRouter(tags=["tickets"])
#: The alias that shows a ticket.
show_alias = APIRouter(tags=["tickets"])

#: Bytes of a body from which on it is parsed in a thread, since other requests would notice the pause.
LARGE_BODY = 50_000

#: The request body of a new ticket, for the OpenAPI document.
NEW_TICKET = {
    "requestBody": {"required": True, "content": {"application/json": {"schema": NewTicket.model_json_schema()}}}
}
IdempotencyKey = Annotated[str | None, Header(alias="Idempotency-Key", min_length=1, max_length=255)]
Wait = Annotated[float, Query(ge=0, le=MAX_WAIT, description="Seconds to wait until the ticket is classified.")]
Status = Literal["open", "in_progress", "pending", "resolved", "closed"]
Stage = Literal["received", "prepared", "classified", "notified"]
Priority = Literal["low", "medium", "high", "critical"]
#: Filters by values of a fixed set: separated by commas, or as a repeated parameter.
Statuses = Annotated[list[Status] | None, BeforeValidator(split_lower), Query(description="One or more statuses.")]
Stages = Annotated[list[Stage] | None, BeforeValidator(split_lower), Query(description="One or more stages.")]
Priorities = Annotated[
    list[Priority] | None, BeforeValidator(split_lower), Query(description="One or more priorities.")
]
Categories = Annotated[
    list[Annotated[Text, Field(min_length=1, max_length=80)]] | None,
    BeforeValidator(split_commas),
    Query(description="One or more categories, in upper or lower case."),
]


class CreatedTicket(BaseModel):
    """The id and the address of a stored ticket."""

    id: int
    url: str


class Ticket(BaseModel):
    """A ticket without its description."""

    id: int
    source: str
    external_id: str | None
    title: str
    requester: str
    #: The requester's display name, as their mail states it.
    requester_name: str
    #: The agent who forwarded the requester's mail.
    forwarded_by: str
    #: Why the requester gets no automatic answer, such as "Precedence: list".
    no_auto_reply: str
    #: Whether our mail server verified that the requester sent the mail; null when that is unknown, or for no mail.
    sender_verified: bool | None
    department: str
    language: str
    claimed_priority: str | None
    category: str | None
    #: Who set the category or the priority: human, engine or rule.
    category_by: str | None
    priority: str | None
    priority_by: str | None
    confidence: float | None
    needs_review: bool
    status: str
    resolution: str
    assignee: str | None
    duplicate_of: int | None
    incident_id: int | None
    #: internal or public; null without a resolution. The requester gets a public one.
    resolution_visibility: Visibility | None
    #: How far its triage is: received, prepared, classified or notified.
    stage: str
    version: int
    created_at: datetime
    #: When somebody commented on it last.
    changed_at: datetime | None
    classified_at: datetime | None
    notified_at: datetime | None
    resolved_at: datetime | None
    due_at: datetime | None
    sla_state: str | None
    paused_since: datetime | None


class TicketDetails(Ticket):
    """A ticket with its description, its open jobs, and its timeline, the oldest entry first."""

    description: str
    #: The people in Cc.
    participants: list[dict[str, Any]]
    jobs: list[dict[str, Any]]
    timeline: list[dict[str, Any]]


class TicketPage(BaseModel):
    """A page of tickets; `next` is the cursor of the next page, null after the last."""

    tickets: list[Ticket]
    next: str | None


class Change(Body):
    """New values of a ticket; a field that is left out stays as it is."""

    category: Text | None = Field(None, max_length=80, examples=["Network"])
    priority: Text | None = Field(None, max_length=16, examples=["high"])
    status: Status | None = Field(None, examples=["resolved"])
    resolution: Text = Field("", max_length=20_000, description="What resolved it.", examples=["Replaced the cable"])
    visibility: Visibility | None = Field(
        None, description="Of the resolution: public sends it to the requester; default internal.", examples=["public"]
    )
    assignee: Name | None = Field(
        None, description="An agent's name or e-mail address; null unassigns the ticket.", examples=["Grace Chen"]
    )


class Comment(Body):
    """A comment."""

    text: Text = Field(min_length=1, max_length=COMMENT_LIMIT, examples=["It works again since noon."])
    visibility: Visibility | None = Field(
        None,
        description="internal: a note for the desk. public: a reply, which is sent to the requester and the people in Cc. "
        "Default: internal; public for the requester's own comment.",
        examples=["internal"],
    )


class NewComment(BaseModel):
    """The number of a comment that was added."""

    ticket_id: int
    comment: int
    visibility: Visibility


class Rerun(Body):
    """The first step to run again."""

    step: Literal["intake", "classify", "notify"] = Field(alias="from", examples=["classify"])


class Rerunning(BaseModel):
    """The first step that runs again."""

    ticket_id: int
    step: str = Field(alias="from")
    url: str


class EnqueuedJob(BaseModel):
    """A job that was enqueued."""

    id: int
    actor: str


class Reanalyzing(BaseModel):
    """The job that analyzes the ticket again."""

    ticket_id: int
    job: EnqueuedJob
    url: str


@create_alias.post(
    "/tickets",
    status_code=202,
    response_model=CreatedTicket,
    summary="Create a ticket (alias of POST /api/v1/tickets)",
    openapi_extra=NEW_TICKET,
)
async def create_ticket_alias(request: Request, who: Submitter, idempotency_key: IdempotencyKey = None) -> Response:
    """Store a ticket and start its triage; `url` is the address without /api/v1."""
    ticket_id = await _create(request, who, idempotency_key)
    if isinstance(ticket_id, Response):
        return ticket_id
    url = f"/tickets/{ticket_id}"
    return JSONResponse({"id": ticket_id, "url": url}, 202, {"Location": url, "ETag": etags.created_tag(ticket_id)})


@show_alias.get(
    "/tickets/{ticket_id}",
    summary="Show a ticket (alias of GET /api/v1/tickets/{ticket_id})",
    response_model=TicketDetails,
    responses={304: {"description": "The ticket has not changed since the ETag in If-None-Match."}},
)
def show_ticket_alias(ticket_id: int, _who: Reader, if_none_match: IfNoneMatch = None) -> Response:
    """Return the ticket with its timeline."""
    return ticket_response(ticket_id, if_none_match)


@router.post("", status_code=202, response_model=CreatedTicket, summary="Create a ticket", openapi_extra=NEW_TICKET)
async def create_ticket(
    request: Request, who: Submitter, idempotency_key: IdempotencyKey = None, wait: Wait = 0
) -> Response:
    """Store a ticket and start its triage. 202 means that the ticket is stored.

    The same `Idempotency-Key` or `external_id` of the same client with the same body gets the same answer; with another
    body, 409 with the number of the ticket. Each API key name and each user is a client with ids and keys of its own.
    With `wait`, the answer has the values of the ticket at the moment when it is classified, or when the time is up.
    """
    ticket_id = await _create(request, who, idempotency_key)
    if isinstance(ticket_id, Response):
        return ticket_id
    url = f"/api/v1/tickets/{ticket_id}"
    created: dict[str, Any] = {"id": ticket_id, "url": url}
    if wait:
        await _classified(request, ticket_id, wait, who)
        ticket = await run_in_threadpool(ticket_details, ticket_id)
        created |= ticket.model_dump(include={"stage", "category", "priority", "confidence", "needs_review"})
    return JSONResponse(created, 202, {"Location": url, "ETag": etags.created_tag(ticket_id)})


@router.get("", summary="List tickets")
async def list_tickets(
    request: Request,
    who: Reader,
    status: Statuses = None,
    stage: Stages = None,
    category: Categories = None,
    priority: Priorities = None,
    assignee: Filters = None,
    requester: Filters = None,
    department: Filters = None,
    source: Filters = None,
    needs_review: bool | None = None,
    after: Annotated[Time | None, Query(description="Created at or after this time.")] = None,
    before: Annotated[Time | None, Query(description="Created before this time.")] = None,
    sort: Sort = "-id",
    cursor: Annotated[Text | None, Query(max_length=200, description="The `next` of the previous page.")] = None,
    limit: Limit = 50,
) -> TicketPage:
    """Return a page of tickets, the newest first, and the cursor of the next page.

    A filter may be repeated: a ticket has one of its values.
    """
    known = get_settings().categories
    categories = canonical(category, known)
    filters: dict[str, Sequence[Any] | None] = {
        "status": status,
        "stage": stage,
        "category": categories,
        "priority": priority,
        "assignee": assignee,
        "requester": requester,
        "department": department,
        "source": source,
        "needs_review": None if needs_review is None else [needs_review],
    }

    def find(cancellation: Cancellation) -> TicketPage:
        with searching(cancellation) as session:
            page = ticket_list.page(session, filters, after=after, before=before, sort=sort, cursor=cursor, limit=limit)
            require_known_values("category", categories, known, page.tickets)
            return TicketPage(tickets=[Ticket.model_validate(summary(each)) for each in page.tickets], next=page.next)

    return await search_for(request, who.name, find)


@router.get(
    "/{ticket_id}",
    summary="Show a ticket",
    response_model=TicketDetails,
    responses={304: {"description": "The ticket has not changed since the ETag in If-None-Match."}},
)
async def show_ticket(
    ticket_id: Id, request: Request, who: Reader, wait: Wait = 0, if_none_match: IfNoneMatch = None
) -> Response:
    """Return the ticket with its timeline: verdicts, corrections, comments, notifications, attempts, open jobs.

    The header `ETag` identifies this state of the ticket, for `If-None-Match` and `If-Match`.
    """
    if wait:
        await _classified(request, ticket_id, wait, who)
    return await run_in_threadpool(ticket_response, ticket_id, if_none_match)


@router.patch("/{ticket_id}", summary="Change a ticket", response_model=TicketDetails)
def change_ticket(ticket_id: Id, body: Change, who: Operator, if_match: IfMatch = None) -> Response:
    """Set category, priority, status or assignee. A value that a person set is never overwritten by an engine."""
    fields = body.model_fields_set & {"assignee"} | {
        name for name in ("category", "priority", "status") if getattr(body, name) is not None
    }
    if not fields:
        raise InvalidInput("one of the fields category, priority, status and assignee is needed")
    if body.resolution and body.status != "resolved":
        raise InvalidInput("resolution: needs the status resolved")
    if body.visibility is not None and not body.resolution.strip():
        raise InvalidInput("visibility: needs a resolution")
    details = body.model_dump(include=fields | ({"visibility"} if body.visibility else set()))
    with audit.acting(who, "ticket.change", f"ticket/{ticket_id}", **details) as session:
        etags.require_match(session, ticket_id, if_match)
        if body.category is not None or body.priority is not None:
            ticket_actions.correct(ticket_id, who.name, body.category, body.priority)
        if "assignee" in fields:
            ticket_actions.assign(ticket_id, body.assignee, who.name)
        if body.status == "resolved":
            ticket_actions.resolve(ticket_id, body.resolution, who.name, body.visibility or "internal")
        elif body.status is not None:
            ticket_actions.set_status(ticket_id, body.status, who.name)
    return ticket_response(ticket_id)


@router.post("/{ticket_id}/comments", status_code=201, summary="Comment on a ticket")
def create_comment(
    ticket_id: Id, body: Comment, who: Operator, response: Response, if_match: IfMatch = None
) -> NewComment:
    """Add an internal note, or with `visibility` public a reply to the requester and the people in Cc.

    While the ticket is open, an engine analyzes it again with its public comments.
    """
    details = {"visibility": body.visibility} if body.visibility else {}
    with audit.acting(who, "ticket.comment", f"ticket/{ticket_id}", **details) as session:
        etags.require_match(session, ticket_id, if_match)
        added = ticket_actions.comment(ticket_id, who.name, body.text, "http", body.visibility)
        response.headers.update(etags.new_tag(session, ticket_id, if_match))
    return NewComment(ticket_id=ticket_id, comment=added.number, visibility=added.visibility)


@router.post("/{ticket_id}/reanalyze", status_code=202, summary="Re-analyze a ticket")
def reanalyze_ticket(ticket_id: Id, who: Operator, if_match: IfMatch = None) -> Reanalyzing:
    """Enqueue a new analysis by the configured engine. Its notifications are sent if the verdict changes."""
    with audit.acting(who, "ticket.reanalyze", f"ticket/{ticket_id}") as session:
        etags.require_match(session, ticket_id, if_match)
        tickets.ensure_exists(session, ticket_id)
        job = reanalyze_one(session, ticket_id, f"{who.name} asked for it")
    enqueued = EnqueuedJob(id=job, actor="reanalyze")
    return Reanalyzing(ticket_id=ticket_id, job=enqueued, url=f"/api/v1/tickets/{ticket_id}")


@router.post("/{ticket_id}/rerun", status_code=202, summary="Run the pipeline of a ticket again")
def rerun_ticket(ticket_id: Id, body: Rerun, who: Operator, if_match: IfMatch = None) -> Rerunning:
    """Enqueue the triage of the ticket again, beginning with a step."""
    with audit.acting(who, "ticket.rerun", f"ticket/{ticket_id}", step=body.step) as session:
        etags.require_match(session, ticket_id, if_match)
        tickets.ensure_exists(session, ticket_id)
        triage.send_from(body.step, ticket_id)
    return Rerunning.model_validate({"ticket_id": ticket_id, "from": body.step, "url": f"/api/v1/tickets/{ticket_id}"})


def ticket_details(ticket_id: int) -> TicketDetails:
    """Return a ticket with its timeline. Raises UnknownTicket."""
    with reading() as session:
        found = timeline(session, ticket_id)
    if found is None:
        raise UnknownTicket(ticket_id)
    return TicketDetails.model_validate(found)


def ticket_response(ticket_id: int, if_none_match: Sequence[str] | None = None) -> Response:
    """Return the response with a ticket and its ETag, or 304 when the condition names the ETag.

    Raises UnknownTicket, and HTTPException 400 for a malformed condition.
    """
    details = ticket_details(ticket_id)
    body = details.model_dump_json().encode()
    tag = etags.tag_of(details.model_dump(include=set(etags.STATE_COLUMNS)), body)
    if etags.is_unchanged(if_none_match, tag):
        return Response(status_code=304, headers={"ETag": tag})
    return Response(body, media_type="application/json", headers={"ETag": tag})


#: Names of fields in other systems, and in files that Aura imports, with the field of a ticket.
OTHER_NAMES = {
    **dict.fromkeys(("subject", "summary", "name"), "title"),
    **dict.fromkeys(("body", "text", "message", "content", "comment"), "description"),
    **dict.fromkeys(("email", "from", "sender", "requester_email", "requestor", "reporter_email"), "requester"),
}
FIELDS = tuple(NewTicket.model_fields)
#: Fields of other names that are compared with those of a ticket.
OTHER_FIELDS = 50
#: Names of JSON types by those of Python.
JSON_TYPES = {
    list: "an array",
    str: "a string",
    int: "a number",
    float: "a number",
    bool: "a boolean",
    type(None): "null",
}


def _misnamed(payload: dict[str, Any]) -> list[dict[str, str]]:
    """Return an error for each field with another name, whose text would be lost because its own field is missing."""
    others = islice((name for name in payload if name not in FIELDS and payload[name]), OTHER_FIELDS)
    meant: dict[str, str | None] = {name: field for name, field in OTHER_NAMES.items() if payload.get(name)}
    meant |= {name: _resembled(name[:40]) for name in others if name not in meant}
    return [
        {"field": storable(name)[:80], "problem": f"is not a field of a ticket; use {field}"}
        for name, field in meant.items()
        if field and not payload.get(field)
    ]


@lru_cache(maxsize=1_000)
def _resembled(name: str) -> str | None:
    """Return the field of which a name is a misspelling, such as titel or descripton."""
    close = get_close_matches(name.lower(), FIELDS, 1, 0.8)
    return close[0] if close and abs(len(close[0]) - len(name)) <= 1 else None


def read_ticket(body: bytes) -> tuple[NewTicket, dict[str, Any]] | JSONResponse:
    """Return the ticket in a JSON body, with the whole payload; or the problem of a body that is none."""
    try:
        payload = parse_json(body)
    except TooManyValues as error:
        return problem(422, f"{error}; a ticket needs one for each field")
    except ValueError:
        return problem(400, "the body must be one JSON object")
    if not isinstance(payload, dict):
        return problem(422, f"the body must be a JSON object, not {JSON_TYPES[type(payload)]}")
    if misnamed := _misnamed(payload):
        return problem(422, "; ".join(f"{each['field']}: {each['problem']}" for each in misnamed), errors=misnamed)
    try:
        return NewTicket.model_validate(payload), payload
    except ValidationError as error:
        return invalid(error)


async def _create(request: Request, who: Identity, key: str | None) -> int | Response:
    """Store the ticket in the body of the request. Returns its id, or the problem of the body."""
    require_json(request)
    body = await request.body()
    # not parsed by FastAPI: its errors repeat the input, lone surrogates included
    read = read_ticket(body) if len(body) < LARGE_BODY else await run_in_threadpool(read_ticket, body)
    if isinstance(read, Response):
        return read
    use = use_of(who.name, key, hashlib.sha256(body).hexdigest()) if key else None
    writer: TicketWriter = request.app.state.ticket_writer
    return await writer.create(CreateRequest(*read, use, who.name, len(body)))


async def _classified(request: Request, ticket_id: int, seconds: float, who: Identity) -> None:
    long_poll: LongPoll = request.app.state.long_poll
    await long_poll.classified(ticket_id, seconds, who.name)
