"""Tickets for a spreadsheet: those that a search finds, as CSV, in which nothing that somebody typed is a formula."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query, Response
from fastapi.responses import StreamingResponse

from aura.web.auth.identity import MAY_READ
from db import reading, search
from db.search import InvalidSearch

router = APIRouter(include_in_schema=False)

COLUMNS = (
    *("id", "created_at", "title", "requester", "department", "category", "priority", "status", "assignee"),
    *("stage", "needs_review", "duplicate_of", "due_at"),
)
#: Rows of one file, and of one look at the tables.
MOST, EACH = 10_000, 500
#: What a spreadsheet takes for the beginning of a formula, also in the wide forms of East Asian keyboards.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


@router.get("/tickets.csv", dependencies=[MAY_READ])
def tickets(q: Annotated[str, Query(max_length=2000)] = "") -> Response:
    """Return the newest tickets that a search finds."""
    try:
        search.parse(q)
    except InvalidSearch as error:
        raise HTTPException(422, str(error)) from None
    headers = {"Content-Disposition": 'attachment; filename="tickets.csv"'}
    return StreamingResponse(_lines(q), media_type="text/csv; charset=utf-8", headers=headers)


def _lines(q: str) -> Iterator[str]:
    yield "\ufeff" + _line(COLUMNS)  # the mark by which a spreadsheet knows UTF-8
    before, left = None, MOST
    while left > 0:
        with reading() as session:
            found = search.search(session, q, before, min(EACH, left))
        yield "".join(_line([getattr(ticket, name) for name in COLUMNS]) for ticket in found.tickets)
        before, left = found.older, left - len(found.tickets)
        if before is None:
            return


def _line(values: Any) -> str:
    line = io.StringIO()
    csv.writer(line).writerow([defused(value) for value in values])
    return line.getvalue()


def defused(value: object) -> str:
    """Return the value as the text of a cell; what would be a formula there begins with an apostrophe."""
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(FORMULA) or text.lstrip().startswith(FORMULA) else text
