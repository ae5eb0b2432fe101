"""Pages of tickets: filtered, in an order, each beginning where the one before ended."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import and_, case, or_, select
from sqlalchemy.orm import Session

from db.models import Ticket
from settings import PRIORITIES

Sort = Literal["-id", "id", "-priority", "priority"]
#: What can be asked for by an equal value.
FILTERS = ("status", "stage", "category", "priority", "assignee", "requester", "department", "source", "needs_review")

_rank = case({name: place for place, name in enumerate(PRIORITIES, 1)}, value=Ticket.priority, else_=0)


class WrongCursor(ValueError):
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
    wanted = select(Ticket, _rank.label("rank"))
    for name, value in filters.items():
        if value is not None:
            wanted = wanted.where(getattr(Ticket, name) == value)
    if after is not None:
        wanted = wanted.where(Ticket.created_at >= after)
    if before is not None:
        wanted = wanted.where(Ticket.created_at < before)
    down = sort.startswith("-")
    by_rank = sort.endswith("priority")
    if cursor is not None:
        rank, ticket = _read(cursor)
        further = Ticket.id < ticket if down else Ticket.id > ticket
        if by_rank:
            further = or_(_rank < rank if down else _rank > rank, and_(_rank == rank, further))
        wanted = wanted.where(further)
    order = [_rank, Ticket.id] if by_rank else [Ticket.id]
    wanted = wanted.order_by(*[each.desc() if down else each for each in order]).limit(limit + 1)
    rows = session.execute(wanted).all()
    last = rows[limit - 1] if len(rows) > limit else None
    return Page([row.Ticket for row in rows[:limit]], _write(last.rank, last.Ticket.id) if last else None)


def _write(rank: int, ticket: int) -> str:
    return base64.urlsafe_b64encode(json.dumps([rank, ticket]).encode()).decode().rstrip("=")


def _read(cursor: str) -> tuple[int, int]:
    try:
        rank, ticket = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if type(rank) is int and type(ticket) is int and 0 <= rank < 100 and 0 < ticket < 2**63:
            return rank, ticket
    except (ValueError, TypeError, binascii.Error, RecursionError):
        pass
    raise WrongCursor("the cursor is none that a page gave as its next")
