"""Export of a search as CSV: /tickets.csv. No cell that a person typed is a formula in a spreadsheet."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Annotated, Any

import structlog
from fastapi import APIRouter, Query, Response
from sqlalchemy.exc import SQLAlchemyError
from starlette.types import Receive

from aura.settings import first_line
from aura.web.auth.requirements import Reader
from aura.web.slots import EXPORTS, SlotResponse, Slots
from db import search
from db.database import Cancellation, SearchTooSlow, searching

logger = structlog.get_logger("aura.web")
router = APIRouter()

COLUMNS = (
    *("id", "created_at", "title", "requester", "department", "category", "priority", "status", "assignee"),
    *("stage", "needs_review", "duplicate_of", "due_at"),
)
#: Rows of one file, and of one query.
MAX_ROWS, BATCH = 10_000, 500
#: How a formula begins in spreadsheets, also in the full-width forms of East Asian keyboards.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


@router.get("/tickets.csv")
def export_tickets(who: Reader, q: Annotated[str, Query(max_length=2000)] = "") -> Response:
    """Return the newest tickets that match a search."""
    search.parse(q)
    headers = {"Content-Disposition": 'attachment; filename="tickets.csv"'}
    return _Export(EXPORTS, who.name, q, headers)


class _Export(SlotResponse):
    """The file; the query that runs when the client leaves is cancelled."""

    def __init__(self, slots: Slots, caller: str, q: str, headers: dict[str, str]) -> None:
        self._cancellation = Cancellation()
        super().__init__(
            slots, caller, _lines(q, self._cancellation), media_type="text/csv; charset=utf-8", headers=headers
        )

    async def listen_for_disconnect(self, receive: Receive) -> None:
        await super().listen_for_disconnect(receive)
        self._cancellation.cancel()


def _lines(q: str, cancellation: Cancellation) -> Iterator[str]:
    yield "\ufeff" + _line(COLUMNS)  # the mark by which a spreadsheet recognises UTF-8
    before, left = None, MAX_ROWS
    while left > 0:
        try:
            with searching(cancellation) as session:
                found = search.search(session, q, before, min(BATCH, left))
        except (
            SearchTooSlow,
            SQLAlchemyError,
        ) as error:  # the response has begun: the file says that it is not complete
            logger.warning("export ended early", error=first_line(error))
            yield _line(
                ["INCOMPLETE", "", str(error) if isinstance(error, SearchTooSlow) else "the database does not answer"]
            )
            return
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
