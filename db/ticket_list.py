"""Ticket list: filtered, sorted, with cursor pagination."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from aura.errors import InvalidInput
from aura.settings import PRIORITIES
from db.ids import is_id
from db.models import Ticket
from db.statements import table
from db.text import normalized_requester

Sort = Literal["-id", "id", "-priority", "priority"]
#: The columns that can be filtered by an equal value.
_ANGLED = re.compile(r"(?<=<)[^\s@<>]+@[^\s@<>]+(?=>)")
FILTERS = ("status", "stage", "category", "priority", "assignee", "requester", "department", "source", "needs_review")

#: The priorities in their order, after that of unclassified tickets, which have none.
RANKS: tuple[str | None, ...] = (None, *PRIORITIES)


class InvalidCursor(InvalidInput):
    """The cursor is not the `next` of a page."""


@dataclass(frozen=True, slots=True)
class Page:
    """A page of tickets, and the cursor of the next page; None after the last."""

    tickets: Sequence[Ticket]
    next: str | None


def page(
    session: Session,
    filters: Mapping[str, Sequence[Any] | None],
    *,
    after: datetime | None = None,
    before: datetime | None = None,
    sort: Sort = "-id",
    cursor: str | None = None,
    limit: int = 50,
) -> Page:
    """Return a page of the tickets created at or after `after` and before `before`.

    They have one of the values of each filter that is not None. Raises InvalidCursor.
    """
    wanted = select(Ticket).where(*[_one_of(name, values) for name, values in filters.items() if values is not None])
    if after is not None:
        wanted = wanted.where(Ticket.created_at >= after)
    if before is not None:
        wanted = wanted.where(Ticket.created_at < before)
    down = sort.startswith("-")
    order = Ticket.id.desc() if down else Ticket.id
    from_rank, from_id = _read(cursor) if cursor is not None else (None, None)
    found: list[tuple[int, Ticket]] = []
    # one rank after the other, each read in the order of its index: together they would have to be sorted
    ranks: Sequence[int | None] = _ranks(down, from_rank) if sort.endswith("priority") else [None]
    for rank in ranks:
        of_rank = wanted if rank is None else wanted.where(Ticket.priority == RANKS[rank])
        if from_id is not None and rank in (None, from_rank):
            of_rank = of_rank.where(Ticket.id < from_id if down else Ticket.id > from_id)
        rows = session.scalars(of_rank.order_by(order).limit(limit + 1 - len(found)))
        found += [(rank or 0, ticket) for ticket in rows]
        if len(found) > limit:
            break
    last = found[limit - 1] if len(found) > limit else None
    return Page([ticket for _, ticket in found[:limit]], _write(last[0], last[1].id) if last else None)


def _one_of(name: str, values: Sequence[Any]) -> ColumnElement[bool]:
    column = table(Ticket).c[name]
    if name == "requester":
        given = [*values, *map(normalized_requester, values)]
        values = list(
            dict.fromkeys([*given, *(found[0] for each in given[len(values) :] if (found := _ANGLED.search(each)))])
        )
    # an equal value, not a list of one, for which PostgreSQL may choose another index
    return column == values[0] if len(values) == 1 else column.in_(values)


def _ranks(down: bool, first: int | None) -> Sequence[int]:
    """Return the ranks in order, beginning with `first`."""
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
    raise InvalidCursor("cursor: must be the `next` of a page")
