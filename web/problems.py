"""Errors as RFC 9457 problem details, which name what is wrong and never repeat what was sent."""

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

from db.controls import UnknownJob, WrongControl
from db.dead_letters import ReplayRefused, UnknownDeadLetter
from db.incidents import NotDecidable
from db.local_models import UnknownVersion
from db.submissions import storable
from db.ticket_list import WrongCursor
from db.tickets import UnknownTicket
from pipelines.desk import NotAllowed
from pipelines.queues import UnknownQueue
from pipelines.shadow import UnknownModel
from pipelines.timetable import UnknownSchedule
from settings import explain, first_line, problems_of
from web.accepting import InProgress, KeyUsedBefore, TooMany

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
    401: "no key and no login that is good",
    403: "the key or the role may not do this, or the CSRF token is missing",
    404: "it is not there",
    409: "it is not so far, or somebody else is at it",
    422: "a field is wrong; `errors` names it",
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
    UnknownVersion,
    UnknownModel,
    NotDecidable,
)
_NOT_SO: tuple[type[Exception], ...] = (NotAllowed, WrongControl, WrongCursor)


def problem(status: int, title: str, detail: str, headers: dict[str, str] | None = None, **more: Any) -> JSONResponse:
    """Return a problem document."""
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail, **more}
    return JSONResponse(body, status, headers, media_type="application/problem+json")


def invalid(error: ValidationError) -> JSONResponse:
    """Return what is wrong with each field, without the field's value."""
    errors = [{"field": field, "problem": what} for field, what in problems_of(error)]
    return problem(422, "Not valid", explain(error), errors=errors)


def install(app: FastAPI) -> None:
    """Answer every kind of error with a problem document."""

    @app.exception_handler(RequestValidationError)
    def _invalid(_request: Request, error: RequestValidationError) -> JSONResponse:
        # a field's name is what somebody sent, too
        wrong = [
            {"field": storable(".".join(map(str, each["loc"])))[:200], "problem": storable(each["msg"])}
            for each in error.errors()
        ]
        return problem(422, "Not valid", "; ".join(f"{w['field']}: {w['problem']}" for w in wrong), errors=wrong)

    @app.exception_handler(HTTPException)
    def _http(request: Request, error: HTTPException) -> Response:
        headers = dict(error.headers) if error.headers else None
        if error.status_code == 401 and request.method == "GET" and "text/html" in request.headers.get("accept", ""):
            here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
            return RedirectResponse(f"/login?to={quote(here)}", 303)  # a person logs in and goes on
        return problem(error.status_code, "Not possible", str(error.detail), headers)

    def _gone(_request: Request, error: Exception) -> JSONResponse:
        return problem(404, "Not there", str(error))

    def _not_so(_request: Request, error: Exception) -> JSONResponse:
        return problem(422, "Not valid", str(error))

    for kind in _GONE:
        app.add_exception_handler(kind, _gone)
    for kind in _NOT_SO:
        app.add_exception_handler(kind, _not_so)

    @app.exception_handler(ReplayRefused)
    def _refused(_request: Request, error: ReplayRefused) -> JSONResponse:
        return problem(409, "Not possible", str(error))

    @app.exception_handler(TooMany)
    def _too_many(_request: Request, _error: TooMany) -> JSONResponse:
        detail = "more tickets come in than can be stored just now; this one was not accepted, so send it again"
        return problem(503, "Not now", detail, {"Retry-After": str(LINE_RETRY_AFTER)})

    @app.exception_handler(KeyUsedBefore)
    def _used(_request: Request, _error: KeyUsedBefore) -> JSONResponse:
        detail = "this Idempotency-Key came with another body before; use a new one"
        return problem(422, "Idempotency-Key used before", detail)

    @app.exception_handler(InProgress)
    def _running(_request: Request, _error: InProgress) -> JSONResponse:
        detail = "a request with this Idempotency-Key is being worked on; send it again to get its answer"
        return problem(409, "In progress", detail, {"Retry-After": str(RUNNING_RETRY_AFTER)})

    @app.exception_handler(DBAPIError)
    def _broken(request: Request, error: DBAPIError) -> JSONResponse:
        if error.connection_invalidated:
            return _database(request, error)
        raise error

    @app.exception_handler(OperationalError)
    @app.exception_handler(InterfaceError)
    @app.exception_handler(TimeoutError)
    def _database(_request: Request, error: Exception) -> JSONResponse:
        logger.warning("the database is away", error=first_line(error))
        detail = "the database is away; nothing was accepted, so send it again"
        return problem(503, "Not now", detail, {"Retry-After": str(RETRY_AFTER)})
