"""Export of a search as CSV: /tickets.csv. No cell that a person typed is a formula in a spreadsheet."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import structlog
from fastapi import APIRouter, Query, Response
from sqlalchemy.exc import SQLAlchemyError
from starlette.types import Receive

from aura.desk.csv_cells import EXPORT_COLUMNS, write_row
from aura.web.auth.requirements import Reader
from aura.web.slots import EXPORTS, SlotResponse, Slots
from db import search
from db.database import Cancellation, SearchTooSlow, searching

logger = structlog.get_logger("aura.web")
router = APIRouter()

#: Rows of one file, and of one query.
MAX_ROWS, BATCH = 10_000, 500


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
    yield "\ufeff" + write_row(EXPORT_COLUMNS)  # the mark by which a spreadsheet recognises UTF-8
    before, left = None, MAX_ROWS
    while left > 0:
        try:
            with searching(cancellation) as session:
                found = search.search(session, q, before, min(BATCH, left))
        except (SearchTooSlow, SQLAlchemyError) as error:
            # the response has begun: the file says that it is not complete
            reason = str(error) if isinstance(error, SearchTooSlow) else "the database does not answer"
            logger.warning("export ended early", error=reason)
            yield write_row(["INCOMPLETE", "", reason])
            return
        yield "".join(write_row([getattr(ticket, name) for name in EXPORT_COLUMNS]) for ticket in found.tickets)
        before, left = found.older, left - len(found.tickets)
        if before is None:
            return
