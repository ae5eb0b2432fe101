"""Errors as RFC 9457 problem details for programs and as pages for people, which name what is wrong."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse, Response
from pydantic import BaseModel, Field, ValidationError
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, TimeoutError
from starlette.exceptions import HTTPException

from actors.queues import UnknownQueue
from aura.desk.backtest import UnknownModel
from aura.desk.ticket_actions import NotAllowed
from aura.settings import explain, first_line, problems_of
from aura.web.group_commit import InProgress, KeyUsedBefore, TooMany
from aura.web.headers import HEADERS, PRIVATE
from aura.web.pages.errors import error_page
from aura.web.pages.render import wants_page
from db.dead_letters import ReplayRefused, UnknownDeadLetter
from db.incidents import IncidentDecided, UnknownIncident
from db.local_models import UnknownLocalModel
from db.new_tickets import storable
from db.queue_controls import InvalidControl, UnknownJob
from db.ticket_list import InvalidCursor
from db.tickets import UnknownTicket
from pipelines.schedule import UnknownSchedule

logger = structlog.get_logger("aura.web")

#: Seconds after which a client may try again: while the database is away, when too many wait, while the same request runs.
RETRY_AFTER, LINE_RETRY_AFTER, RUNNING_RETRY_AFTER = 5, 1, 1


class Problem(BaseModel):
    """What went wrong, by RFC 9457."""

    type: str = Field(examples=["about:blank"])
    title: str = Field(examples=["Not possible"])
    status: int = Field(examples=[404])
    detail: str = Field(examples=["there is no ticket 17"])


_SAYS = {
    400: "it is no JSON",
    401: "no key and no login that is good",
    403: "the key or the role may not do this, or the CSRF token is missing",
    404: "it is not there",
    408: "it did not arrive in time",
    409: "it is not so far, or somebody else is at it",
    413: "it is too large",
    422: "a field is wrong; `errors` names it",
    429: "too often: see Retry-After",
    503: "not just now: see Retry-After",
}
#: The problems that every route may answer with, for the OpenAPI document.
PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"description": says, "content": {"application/problem+json": {"schema": Problem.model_json_schema()}}}
    for status, says in _SAYS.items()
}
_GONE: tuple[type[Exception], ...] = (
    UnknownTicket,
    UnknownJob,
    UnknownDeadLetter,
    UnknownQueue,
    UnknownSchedule,
    UnknownLocalModel,
    UnknownModel,
    UnknownIncident,
)
_NOT_SO: tuple[type[Exception], ...] = (NotAllowed, InvalidControl, InvalidCursor, IncidentDecided)


def problem(status: int, title: str, detail: str, headers: dict[str, str] | None = None, **more: Any) -> JSONResponse:
    """Return a problem document."""
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail, **more}
    return JSONResponse(body, status, headers, media_type="application/problem+json")


def invalid(error: ValidationError) -> JSONResponse:
    """Return what is wrong with each field, without the field's value."""
    errors = [{"field": field, "problem": what} for field, what in problems_of(error)]
    return problem(422, "Not valid", explain(error), errors=errors)


def answer(
    request: Request, status: int, title: str, detail: str, headers: dict[str, str] | None = None, **more: Any
) -> Response:
    """Return a page to a person, and a problem document to a program."""
    if not wants_page(request):
        return problem(status, title, detail, headers, **more)
    page = error_page(request, status, detail)
    page.headers.update(headers or {})
    return page


def too_many(request: Request) -> Response:
    """Return the answer to a ticket that came while too many others waited."""
    detail = "more tickets come in than can be stored just now; this one was not accepted, so send it again"
    return answer(request, 503, "Not now", detail, {"Retry-After": str(LINE_RETRY_AFTER)})


def install(app: FastAPI) -> None:
    """Answer every kind of error with a problem document, or to a browser with a page."""

    @app.exception_handler(RequestValidationError)
    def _invalid(request: Request, error: RequestValidationError) -> Response:
        # a field's name is what somebody sent, too
        wrong = [
            {"field": storable(".".join(map(str, each["loc"])))[:200], "problem": storable(each["msg"])}
            for each in error.errors()
        ]
        return answer(
            request, 422, "Not valid", "; ".join(f"{w['field']}: {w['problem']}" for w in wrong), errors=wrong
        )

    @app.exception_handler(HTTPException)
    def _http(request: Request, error: HTTPException) -> Response:
        headers = dict(error.headers) if error.headers else None
        if error.status_code == 401 and request.method == "GET" and wants_page(request):
            here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
            return RedirectResponse(f"/login?to={quote(here)}", 303)  # a person logs in and goes on
        return answer(request, error.status_code, "Not possible", str(error.detail), headers)

    def _gone(request: Request, error: Exception) -> Response:
        return answer(request, 404, "Not there", str(error))

    def _not_so(request: Request, error: Exception) -> Response:
        return answer(request, 422, "Not valid", str(error))

    for kind in _GONE:
        app.add_exception_handler(kind, _gone)
    for kind in _NOT_SO:
        app.add_exception_handler(kind, _not_so)

    @app.exception_handler(ReplayRefused)
    def _refused(request: Request, error: ReplayRefused) -> Response:
        return answer(request, 409, "Not possible", str(error))

    @app.exception_handler(TooMany)
    def _too_many(request: Request, _error: TooMany) -> Response:
        return too_many(request)

    @app.exception_handler(KeyUsedBefore)
    def _used(request: Request, _error: KeyUsedBefore) -> Response:
        detail = "this Idempotency-Key came with another body before; use a new one"
        return answer(request, 422, "Idempotency-Key used before", detail)

    @app.exception_handler(InProgress)
    def _running(request: Request, _error: InProgress) -> Response:
        detail = "a request with this Idempotency-Key is being worked on; send it again to get its answer"
        return answer(request, 409, "In progress", detail, {"Retry-After": str(RUNNING_RETRY_AFTER)})

    @app.exception_handler(DBAPIError)
    def _broken(request: Request, error: DBAPIError) -> Response:
        if error.connection_invalidated:
            return _database(request, error)
        raise error

    @app.exception_handler(OperationalError)
    @app.exception_handler(InterfaceError)
    @app.exception_handler(TimeoutError)
    def _database(request: Request, error: Exception) -> Response:
        logger.warning("the database is away", error=first_line(error))
        detail = "the database is away; nothing was accepted, so send it again"
        return answer(request, 503, "Not now", detail, {"Retry-After": str(RETRY_AFTER)})

    @app.exception_handler(Exception)
    def _unforeseen(request: Request, _error: Exception) -> Response:
        # it is raised again afterwards, for the log; and it leaves outside the middleware that adds the headers
        detail = "an error that nobody foresaw; it is in the log of the web process"
        return answer(request, 500, "Broken", detail, {**HEADERS, "Cache-Control": PRIVATE})
