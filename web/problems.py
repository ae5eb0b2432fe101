"""Errors as RFC 9457 problem details, which name what is wrong and never repeat what was sent."""

from __future__ import annotations

from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import ValidationError
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, TimeoutError
from starlette.exceptions import HTTPException

from settings import explain, first_line, problems_of

logger = structlog.get_logger("aura.web")

#: Seconds after which a client may try again while the database is away.
RETRY_AFTER = 5


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
        wrong = [{"field": ".".join(map(str, each["loc"])), "problem": each["msg"]} for each in error.errors()]
        return problem(422, "Not valid", "; ".join(f"{w['field']}: {w['problem']}" for w in wrong), errors=wrong)

    @app.exception_handler(HTTPException)
    def _http(_request: Request, error: HTTPException) -> JSONResponse:
        headers = dict(error.headers) if error.headers else None
        return problem(error.status_code, "Not possible", str(error.detail), headers)

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
