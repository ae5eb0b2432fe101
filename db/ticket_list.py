"""Pages of tickets: filtered, in an order, each beginning where the one before ended."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from aura.errors import InvalidInput
from aura.settings import PRIORITIES
from db.ids import is_id
from db.models import Ticket

Sort = Literal["-id", "id", "-priority", "priority"]
#: What can be asked for by an equal value.
FILTERS = ("status", "stage", "category", "priority", "assignee", "requester", "department", "source", "needs_review")

#: The priorities in their order; before the lowest come the tickets that have none yet.
RANKS: tuple[str | None, ...] = (None, *PRIORITIES)


class InvalidCursor(InvalidInput):
    """The cursor is none that we gave."""


@dataclass(frozen=True, slots=True)
class Page:
    """Tickets, and the cursor of the page that follows; None after the last."""

    tickets: Sequence[Ticket]
    next: str | None


def page(
    session: Session,
    filters: Mapping[str, Any],
    *,
    after: datetime | None = None,
    before: datetime | None = None,
    sort: Sort = "-id",
    cursor: str | None = None,
    limit: int = 50,
) -> Page:
    """Return one page of the tickets that fit: created after and before, and equal in each filter that is not None.

    Raises WrongCursor.
    """
    wanted = select(Ticket).where(
        *[getattr(Ticket, name) == value for name, value in filters.items() if value is not None]
    )
    if after is not None:
        wanted = wanted.where(Ticket.created_at >= after)
    if before is not None:
        wanted = wanted.where(Ticket.created_at < before)
    down = sort.startswith("-")
    order = Ticket.id.desc() if down else Ticket.id
    from_rank, from_id = _read(cursor) if cursor is not None else (None, None)
    found: list[tuple[int, Ticket]] = []
    # one rank after the other, each in the order of its index: all at once would have to be sorted
    lanes: Sequence[int | None] = _ranks(down, from_rank) if sort.endswith("priority") else [None]
    for rank in lanes:
        lane = wanted if rank is None else wanted.where(Ticket.priority == RANKS[rank])
        if from_id is not None and rank in (None, from_rank):
            lane = lane.where(Ticket.id < from_id if down else Ticket.id > from_id)
        rows = session.scalars(lane.order_by(order).limit(limit + 1 - len(found)))
        found += [(rank or 0, ticket) for ticket in rows]
        if len(found) > limit:
            break
    last = found[limit - 1] if len(found) > limit else None
    return Page([ticket for _, ticket in found[:limit]], _write(last[0], last[1].id) if last else None)


def _ranks(down: bool, first: int | None) -> Sequence[int]:
    """Return the ranks in order, from the first on."""
    every = range(len(RANKS))[:: -1 if down else 1]
    return every if first is None else [rank for rank in every if (rank <= first if down else rank >= first)]


def _write(rank: int, ticket: int) -> str:
    return base64.urlsafe_b64encode(json.dumps([rank, ticket]).encode()).decode().rstrip("=")


def _read(cursor: str) -> tuple[int, int]:
    try:
        rank, ticket = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if type(rank) is int and type(ticket) is int and 0 <= rank < 100 and is_id(ticket):
            return rank, ticket
    except (ValueError, TypeError, binascii.Error, RecursionError):
        pass
    raise InvalidCursor("the cursor is none that a page gave as its next")
