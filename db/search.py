"""Search: tickets by qualifiers and text, the newest first.

    category:security priority:critical needs:review -assignee:ada after:2026-11-01 "vpn drops"

Text is searched in title and description. A page reads at most WINDOW tickets, so its time does not depend on the number
of tickets; older tickets are on the next page.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from difflib import get_close_matches
from typing import Any

from sqlalchemy import ColumnElement, func, not_, or_, select
from sqlalchemy.orm import Session

from aura.errors import InvalidInput
from aura.settings import PRIORITIES, STATUSES
from db.models import Ticket
from db.text import normalized_requester, storable
from db.tickets import RESOLVED, STAGES, UNRESOLVED

#: Tickets that one page reads, and the most that it shows.
WINDOW, PAGE = 50_000, 50
#: The most terms and characters of a search.
MAX_TERMS, MAX_LENGTH = 20, 500

_TERM = re.compile(r'(?P<no>-)?(?:(?P<name>[a-z]+):)?(?:"(?P<quoted>[^"]*)"?|(?P<bare>\S+))', re.IGNORECASE)


class InvalidSearch(InvalidInput):
    """The search has an invalid term."""


def _equal(column: Any) -> Callable[[str], ColumnElement[bool]]:
    return lambda value: func.lower(column) == value.lower()


def _one_of(name: str, column: Any, values: Sequence[str]) -> Callable[[str], ColumnElement[bool]]:
    def condition(value: str) -> ColumnElement[bool]:
        wanted = value.lower()
        if wanted not in values:
            close = get_close_matches(wanted, values, 1)
            hint = f"; did you mean {close[0]}?" if close else ""
            raise InvalidSearch(f"{name}: must be one of {', '.join(values)}, not {value[:40]!r}{hint}")
        return column == wanted  # type: ignore[no-any-return]

    return condition


def _requester(value: str) -> ColumnElement[bool]:
    # an index finds an address, which is stored in lower case; a name may have capital letters
    equal = Ticket.requester == normalized_requester(value)
    return equal if "@" in value and "<" not in value else func.lower(Ticket.requester) == value.lower()


def _contains(value: str) -> ColumnElement[bool]:
    pattern = "%" + re.sub(r"([%_!])", r"!\1", value) + "%"
    return or_(Ticket.title.ilike(pattern, escape="!"), Ticket.description.ilike(pattern, escape="!"))


def _day(value: str) -> datetime:
    try:
        return datetime.combine(date.fromisoformat(value), time(), UTC)
    except ValueError:
        raise InvalidSearch(f"{value[:40]!r} is not a date such as 2026-11-25") from None


def _needs(value: str) -> ColumnElement[bool]:
    if value.lower() != "review":
        raise InvalidSearch(f"needs: must be review, not {value[:40]!r}")
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
        raise InvalidSearch(f"is: must be one of {', '.join(_STATES)}, not {value[:40]!r}")
    return _STATES[value.lower()]()


def _id(value: str) -> ColumnElement[bool]:
    if not (value.isascii() and value.isdecimal() and len(value) < 19):
        raise InvalidSearch(f"id: must be the number of a ticket, not {value[:40]!r}")
    return Ticket.id == int(value)


#: The condition of each qualifier.
QUALIFIERS: dict[str, Callable[[str], ColumnElement[bool]]] = {
    "category": _equal(Ticket.category),
    "priority": _one_of("priority", Ticket.priority, PRIORITIES),
    "status": _one_of("status", Ticket.status, STATUSES),
    "stage": _one_of("stage", Ticket.stage, STAGES),
    "assignee": _equal(Ticket.assignee),
    "requester": _requester,
    "department": _equal(Ticket.department),
    "source": _equal(Ticket.source),
    "language": _equal(Ticket.language),
    "needs": _needs,
    "is": _is,
    "id": _id,
    "after": lambda value: Ticket.created_at >= _day(value),
    "before": lambda value: Ticket.created_at < _day(value),
}


def require_known_categories(query: str, categories: Sequence[str]) -> None:
    """Raise InvalidSearch for a category that does not exist; call it when nothing was found, for tickets may have it."""
    known = [each.lower() for each in categories]
    for term in _TERM.finditer(query[:MAX_LENGTH]):
        if (term["name"] or "").lower() == "category" and not term["no"]:
            value = term["bare"] if term["quoted"] is None else term["quoted"]
            if value and value.lower() not in known:
                raise InvalidSearch(f"category: must be one of {', '.join(categories)}, not {value[:40]!r}")


def parse(query: str) -> list[ColumnElement[bool]]:
    """Return the conditions of a search. Raises InvalidSearch."""
    query = storable(query).strip()
    if len(query) > MAX_LENGTH:
        raise InvalidSearch(f"a search has at most {MAX_LENGTH} characters")
    conditions: list[ColumnElement[bool]] = []
    for term in _TERM.finditer(query):
        value = term["bare"] if term["quoted"] is None else term["quoted"]
        name = (term["name"] or "").lower()
        if name and name not in QUALIFIERS:
            if term["quoted"] is None and "/" in value:
                name, value = "", f"{term['name']}:{value}"  # a URL is a word
            else:
                raise InvalidSearch(f"no qualifier {name}:; there are {', '.join(QUALIFIERS)}")
        if not value:
            continue
        condition = QUALIFIERS[name](value) if name else _contains(value)
        # NULL counts as false, so that a minus finds it
        conditions.append(not_(func.coalesce(condition, False)) if term["no"] else condition)
    if len(conditions) > MAX_TERMS:
        raise InvalidSearch(f"a search has at most {MAX_TERMS} terms")
    return conditions


@dataclass(frozen=True, slots=True)
class Page:
    """A page of tickets; the next one has those older than the id `older`, and is absent when that is None."""

    tickets: list[Ticket]
    older: int | None
    #: When the oldest ticket that was read was created, if the page ended at WINDOW tickets.
    read_to: datetime | None = None


def search(session: Session, query: str = "", before: int | None = None, page: int = PAGE) -> Page:
    """Return the newest tickets that match, with ids below `before`. Raises InvalidSearch."""
    conditions = parse(query)
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
