"""Error responses: RFC 9457 problem documents for programs, pages for browsers.

The status follows from the exception's class: `STATUS_OF` lists the base classes of `aura.errors`, and the first class of
the exception's MRO that is listed decides. `type` is always about:blank, so `title` is the phrase of the HTTP status.
"""

from __future__ import annotations

import math
import re
from typing import Any
from urllib.parse import quote

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse, Response
from pydantic import BaseModel, Field, ValidationError
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException

from aura import errors
from aura.errors import AuraError
from aura.settings import explain, first_line, problems_of
from aura.web.allowed_methods import allowed_methods
from aura.web.auth.requirements import SecondFactorMissing
from aura.web.error_page import error_page
from aura.web.headers import HEADERS, PRIVATE
from aura.web.media_types import JSON, is_json, unsupported
from aura.web.query_parameters import did_you_mean
from aura.web.render import wants_page
from db import unavailable
from db.text import storable

logger = structlog.get_logger("aura.web")

#: The HTTP status of each base class of `aura.errors`. A job error belongs to a worker: in a request it is a bug.
STATUS_OF: dict[type[AuraError], int] = {
    errors.NotFound: 404,
    errors.InvalidInput: 422,
    errors.Forbidden: 403,
    errors.Conflict: 409,
    errors.TooManyRequests: 429,
    errors.Unavailable: 503,
    errors.ConfigurationError: 500,
    errors.JobError: 500,
    AuraError: 500,
}
#: The phrase of each status (RFC 9110, section 15) and what it means here.
PHRASES: dict[int, tuple[str, str]] = {
    400: ("Bad Request", "The body is not JSON, or a header is malformed."),
    401: ("Unauthorized", "No valid API key and no valid session."),
    403: ("Forbidden", "The scope or the role does not allow it, or the CSRF token is missing."),
    404: ("Not Found", "The named thing does not exist."),
    405: ("Method Not Allowed", "See the Allow header."),
    408: ("Request Timeout", "The body did not arrive in time."),
    409: (
        "Conflict",
        "The current state does not allow it, another request is at work on it, or an id was used with another body.",
    ),
    412: ("Precondition Failed", "The ticket is in another state than If-Match names; see the ETag header."),
    413: ("Content Too Large", "The body is larger than the limit."),
    415: (
        "Unsupported Media Type",
        "The Content-Type, its charset or the Content-Encoding is not the expected one; see Accept or Accept-Encoding.",
    ),
    422: ("Unprocessable Content", "A field is invalid; `errors` names it."),
    429: ("Too Many Requests", "A rate limit is used up; see Retry-After."),
    500: ("Internal Server Error", "A bug or a wrong configuration; the log of the web process has the error."),
    503: ("Service Unavailable", "The database does not answer, or the load is too high; see Retry-After."),
}
#: Statuses that any route may answer with.
ANY_ROUTE = (400, 401, 403, 404, 408, 409, 412, 413, 415, 422, 429, 503)
#: Seconds after which a client may try again while the database does not answer.
DATABASE_RETRY_AFTER = 5
INTERNAL = "unexpected error; the log of the web process has it"


class Problem(BaseModel):
    """A problem document (RFC 9457)."""

    type: str = Field(examples=["about:blank"])
    title: str = Field(description="The phrase of the HTTP status.", examples=["Not Found"])
    status: int = Field(examples=[404])
    detail: str = Field(examples=["no ticket 17; GET /api/v1/tickets lists the tickets"])


#: The problems of every route, for the OpenAPI document.
PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {
        "description": PHRASES[status][1],
        "content": {"application/problem+json": {"schema": Problem.model_json_schema()}},
    }
    for status in ANY_ROUTE
}


def status_of(kind: type[AuraError]) -> int:
    """Return the HTTP status of an exception class: that of its nearest base class in `STATUS_OF`."""
    return next(STATUS_OF[base] for base in kind.__mro__ if base in STATUS_OF)


def problem(status: int, detail: str, headers: dict[str, str] | None = None, **members: Any) -> JSONResponse:
    """Return a problem document; `members` are added to the standard ones."""
    title = PHRASES[status][0] if status in PHRASES else f"HTTP {status}"
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail, **members}
    return JSONResponse(body, status, headers, media_type="application/problem+json")


def invalid(error: ValidationError) -> JSONResponse:
    """Return a problem document with one entry of `errors` per invalid field, without the field's value."""
    fields = [{"field": field, "problem": what} for field, what in problems_of(error)]
    return problem(422, explain(error), errors=fields)


def answer(
    request: Request, status: int, detail: str, headers: dict[str, str] | None = None, **members: Any
) -> Response:
    """Return an error page to a browser, and a problem document to a program."""
    if not wants_page(request):
        return problem(status, detail, headers, **members)
    page = error_page(request, status, detail)
    page.headers.update(headers or {})
    return page


def answer_error(request: Request, error: AuraError) -> Response:
    """Return the response to an exception of Aura, with its Retry-After."""
    status = status_of(type(error))
    if status == 500:
        logger.error("request failed", error=first_line(error))
        return answer(request, status, INTERNAL)
    headers = {} if error.retry_after is None else {"Retry-After": str(math.ceil(error.retry_after))}
    detail = f"{error}{_listed_at(request) if status == 404 else ''}"
    return answer(request, status, detail, headers, **error.members)


def _listed_at(request: Request) -> str:
    """Return where the API lists what a path below /api/v1 names: `/api/v1/workers/nope` is in `GET /api/v1/workers`."""
    match request.url.path.split("/"):
        case ["", "api", "v1", "tickets", ticket, "attachments", _]:
            return f"; GET /api/v1/tickets/{ticket}/attachments lists the attachments"
        case ["", "api", "v1", kind, _, *_] if f"/api/v1/{kind}" in request.app.openapi()["paths"]:
            return f"; GET /api/v1/{kind} lists the {kind.replace('-', ' ')}"
    return ""


def _field_errors(error: RequestValidationError) -> list[dict[str, str]]:
    # the name of a field is user input, too
    return [
        {"field": storable(".".join(map(str, each["loc"])))[:200], "problem": storable(_explained(each))}
        for each in error.errors()
    ]


def _explained(error: dict[str, Any]) -> str:
    """Return the message of an error; for a value of a fixed set, with the values and the one that it resembles."""
    if error["type"] in ("too_long", "too_short") and isinstance(error.get("input"), str):
        least, most = error["ctx"].get("min_length"), error["ctx"].get("max_length")
        limit = f"most {most}" if most else f"least {least}"
        return f"must have at {limit} character{'' if (most or least) == 1 else 's'}"
    if error["type"] != "literal_error":
        return str(error["msg"])
    values = re.findall(r"'([^']*)'", error["ctx"]["expected"])
    given = error.get("input")
    return f"must be one of {', '.join(values)}{did_you_mean(given, values) if isinstance(given, str) else ''}"


def _body_is_unread(error: RequestValidationError) -> bool:
    """Return whether FastAPI read no body."""
    return any(tuple(each["loc"]) == ("body",) for each in error.errors())


def install(app: FastAPI) -> None:
    """Register the handlers: exceptions of Aura, of HTTP, of validation, of an absent database, and all others."""
    app.add_exception_handler(AuraError, answer_error)  # type: ignore[arg-type]

    @app.exception_handler(SecondFactorMissing)
    def _second_factor(request: Request, error: SecondFactorMissing) -> Response:
        if request.method == "GET" and wants_page(request):
            return RedirectResponse("/account", 303)
        return answer_error(request, error)

    @app.exception_handler(RequestValidationError)
    def _invalid(request: Request, error: RequestValidationError) -> Response:
        if _body_is_unread(error) and not is_json(request):
            return _http(request, unsupported(request, [JSON]))
        fields = _field_errors(error)
        return answer(request, 422, "; ".join(f"{each['field']}: {each['problem']}" for each in fields), errors=fields)

    @app.exception_handler(HTTPException)
    def _http(request: Request, error: HTTPException) -> Response:
        headers = dict(error.headers) if error.headers else None
        if error.status_code == 401 and request.method == "GET" and wants_page(request):
            target = request.url.path + (f"?{request.url.query}" if request.url.query else "")
            return RedirectResponse(f"/login?to={quote(target)}", 303)
        if error.status_code == 405:
            headers = {"Allow": allowed_methods(app, request.url.path)}
        return answer(request, error.status_code, str(error.detail), headers)

    @app.exception_handler(SQLAlchemyError)
    def _database_error(request: Request, error: SQLAlchemyError) -> Response:
        if not unavailable.is_unavailable(error):
            raise error
        logger.warning("database unavailable", error=first_line(error))
        detail = f"{_why_unavailable(error)}; nothing was stored, so send the request again"
        return answer(request, 503, detail, {"Retry-After": str(DATABASE_RETRY_AFTER)})

    @app.exception_handler(Exception)
    def _unexpected(request: Request, _error: Exception) -> Response:
        # Starlette raises the error again, for the log, so uvicorn closes the connection and the client must know; this
        # response bypasses the middleware that adds the headers
        return answer(request, 500, INTERNAL, {**HEADERS, "Cache-Control": PRIVATE, "Connection": "close"})


def _why_unavailable(error: SQLAlchemyError) -> str:
    if unavailable.sqlstate(error) == unavailable.READ_ONLY:
        return "the database is read-only at the moment"
    return "the disk of the database is full" if unavailable.is_full(error) else "the database does not answer"
