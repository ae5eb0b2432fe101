"""Export of a search as CSV: /tickets.csv. No cell that a person typed is a formula in a spreadsheet."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from fastapi import APIRouter, Query, Response
from fastapi.responses import StreamingResponse

from aura.desk.csv_cells import EXPORT_COLUMNS, write_row
from aura.web.auth.requirements import REQUIRES_READ
from db import reading, search

router = APIRouter()

#: Rows of one file, and of one query.
MAX_ROWS, BATCH = 10_000, 500


@router.get("/tickets.csv", dependencies=[REQUIRES_READ])
def export_tickets(q: Annotated[str, Query(max_length=2000)] = "") -> Response:
    """Return the newest tickets that match a search."""
    search.parse(q)
    headers = {"Content-Disposition": 'attachment; filename="tickets.csv"'}
    return StreamingResponse(_lines(q), media_type="text/csv; charset=utf-8", headers=headers)


def _lines(q: str) -> Iterator[str]:
    yield "\ufeff" + write_row(EXPORT_COLUMNS)  # the mark by which a spreadsheet recognises UTF-8
    before, left = None, MAX_ROWS
    while left > 0:
        with reading() as session:
            found = search.search(session, q, before, min(BATCH, left))
        yield "".join(write_row([getattr(ticket, name) for name in EXPORT_COLUMNS]) for ticket in found.tickets)
        before, left = found.older, left - len(found.tickets)
        if before is None:
            return
