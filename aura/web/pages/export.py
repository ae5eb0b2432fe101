"""Export of a search as CSV: /tickets.csv. No cell that a person typed is a formula in a spreadsheet."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from fastapi.responses import StreamingResponse

from aura.web.auth.requirements import REQUIRES_READ
from db import reading, search

router = APIRouter()

COLUMNS = (
    *("id", "created_at", "title", "requester", "department", "category", "priority", "status", "assignee"),
    *("stage", "needs_review", "duplicate_of", "due_at"),
)
#: Rows of one file, and of one query.
MAX_ROWS, BATCH = 10_000, 500
#: How a formula begins in spreadsheets, also in the full-width forms of East Asian keyboards.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


@router.get("/tickets.csv", dependencies=[REQUIRES_READ])
def export_tickets(q: Annotated[str, Query(max_length=2000)] = "") -> Response:
    """Return the newest tickets that match a search."""
    search.parse(q)
    headers = {"Content-Disposition": 'attachment; filename="tickets.csv"'}
    return StreamingResponse(_lines(q), media_type="text/csv; charset=utf-8", headers=headers)


def _lines(q: str) -> Iterator[str]:
    yield "\ufeff" + _line(COLUMNS)  # the mark by which a spreadsheet recognises UTF-8
    before, left = None, MAX_ROWS
    while left > 0:
        with reading() as session:
            found = search.search(session, q, before, min(BATCH, left))
        yield "".join(_line([getattr(ticket, name) for name in COLUMNS]) for ticket in found.tickets)
        before, left = found.older, left - len(found.tickets)
        if before is None:
            return


def _line(values: Any) -> str:
    line = io.StringIO()
    csv.writer(line).writerow([cell(value) for value in values])
    return line.getvalue()


def cell(value: object) -> str:
    """Return the text of a cell, with an apostrophe before a text that a spreadsheet would read as a formula."""
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(FORMULA) or text.lstrip().startswith(FORMULA) else text
