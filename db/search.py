"""Search: tickets by qualifiers and words, the newest first.

    category:security priority:critical needs:review -assignee:ada after:2026-11-01 "vpn drops"

Words are looked for in title and description. A search reads at most WINDOW tickets at a time, so it takes as long with
a million tickets as with a few; what it has not read is a page further.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any

from sqlalchemy import ColumnElement, func, not_, or_, select
from sqlalchemy.orm import Session

from aura.errors import InvalidInput
from db.models import Ticket
from db.new_tickets import storable
from db.tickets import RESOLVED, UNRESOLVED

#: Tickets that one search reads, and those of one page.
WINDOW, PAGE = 50_000, 50
#: Words and qualifiers that one search may have, and the characters of all.
MOST, LONGEST = 20, 500

_TERM = re.compile(r'(?P<no>-)?(?:(?P<name>[a-z]+):)?(?:"(?P<quoted>[^"]*)"?|(?P<bare>\S+))', re.IGNORECASE)


class InvalidSearch(InvalidInput):
    """The search cannot be understood; the text says which part, and what can be written there."""


def _equal(column: Any) -> Callable[[str], ColumnElement[bool]]:
    return lambda value: func.lower(column) == value.lower()


def _has(value: str) -> ColumnElement[bool]:
    pattern = "%" + re.sub(r"([%_!])", r"!\1", value) + "%"
    return or_(Ticket.title.ilike(pattern, escape="!"), Ticket.description.ilike(pattern, escape="!"))


def _day(value: str) -> datetime:
    try:
        return datetime.combine(date.fromisoformat(value), time(), UTC)
    except ValueError:
        raise InvalidSearch(f"{value[:40]!r} is no day: write it as 2026-11-25") from None


def _needs(value: str) -> ColumnElement[bool]:
    if value.lower() != "review":
        raise InvalidSearch(f"needs:{value[:40]} means nothing: there is needs:review")
    return Ticket.needs_review.is_(True)


_STATES: dict[str, Callable[[], ColumnElement[bool]]] = {
    "open": lambda: Ticket.status.in_(UNRESOLVED),
    "done": lambda: Ticket.status.in_(RESOLVED),
    "assigned": lambda: Ticket.assignee.is_not(None),
    "duplicate": lambda: Ticket.duplicate_of.is_not(None),
    "incident": lambda: Ticket.incident_id.is_not(None),
    "late": lambda: Ticket.sla_state == "breached",
    "warned": lambda: Ticket.sla_state == "warned",
    "unfinished": lambda: Ticket.stage != "notified",
    "human": lambda: or_(Ticket.category_by == "human", Ticket.priority_by == "human"),
}


def _is(value: str) -> ColumnElement[bool]:
    if value.lower() not in _STATES:
        raise InvalidSearch(f"is:{value[:40]} means nothing: there are {', '.join(_STATES)}")
    return _STATES[value.lower()]()


def _id(value: str) -> ColumnElement[bool]:
    if not (value.isascii() and value.isdecimal() and len(value) < 19):
        raise InvalidSearch(f"{value[:40]!r} is no ticket's number")
    return Ticket.id == int(value)


#: What can be asked for, by its name.
QUALIFIERS: dict[str, Callable[[str], ColumnElement[bool]]] = {
    "category": _equal(Ticket.category),
    "priority": _equal(Ticket.priority),
    "status": _equal(Ticket.status),
    "stage": _equal(Ticket.stage),
    "assignee": _equal(Ticket.assignee),
    "requester": _equal(Ticket.requester),
    "department": _equal(Ticket.department),
    "source": _equal(Ticket.source),
    "language": _equal(Ticket.language),
    "needs": _needs,
    "is": _is,
    "id": _id,
    "after": lambda value: Ticket.created_at >= _day(value),
    "before": lambda value: Ticket.created_at < _day(value),
}


def parse(said: str) -> list[ColumnElement[bool]]:
    """Return what a search asks of a ticket. Raises WrongSearch."""
    said = storable(said).strip()
    if len(said) > LONGEST:
        raise InvalidSearch(f"a search has at most {LONGEST} characters")
    conditions: list[ColumnElement[bool]] = []
    for term in _TERM.finditer(said):
        value = term["bare"] if term["quoted"] is None else term["quoted"]
        name = (term["name"] or "").lower()
        if name and name not in QUALIFIERS:
            if term["quoted"] is None and "/" in value:
                name, value = "", f"{term['name']}:{value}"  # a URL is a word
            else:
                raise InvalidSearch(f"there is no {name}: in a search; there are {', '.join(QUALIFIERS)}")
        if not value:
            continue
        condition = QUALIFIERS[name](value) if name else _has(value)
        # what is not set is not equal to anything either
        conditions.append(not_(func.coalesce(condition, False)) if term["no"] else condition)
    if len(conditions) > MOST:
        raise InvalidSearch(f"a search has at most {MOST} words and qualifiers")
    return conditions


@dataclass(frozen=True, slots=True)
class Page:
    """One page of what was found, and where the next one begins; None when everything was read."""

    tickets: list[Ticket]
    older: int | None
    #: The oldest ticket that was read when the page is not full: the window ended there.
    read_to: datetime | None = None


def search(session: Session, said: str = "", before: int | None = None, page: int = PAGE) -> Page:
    """Return the newest tickets that a search asks for, of those older than `before`. Raises WrongSearch."""
    conditions = parse(said)
    newest = before if before is not None else (session.scalar(select(func.max(Ticket.id))) or 0) + 1
    first = newest - WINDOW
    wanted = select(Ticket).where(Ticket.id < newest, Ticket.id >= first, *conditions)
    found = list(session.scalars(wanted.order_by(Ticket.id.desc()).limit(page + 1)))
    if len(found) > page:
        return Page(found[:page], found[page - 1].id)
    left = session.execute(
        select(Ticket.id, Ticket.created_at).where(Ticket.id < first).order_by(Ticket.id.desc()).limit(1)
    ).first()
    return Page(found, first, left.created_at) if left else Page(found, None)
