"""Query parameters of the API: an unknown one, or a repeated one that takes a single value, is an error.

A misspelt filter that is ignored returns all tickets, and a misspelt value returns none; both look like an answer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from difflib import get_close_matches
from typing import Any

from fastapi import Request
from fastapi.routing import APIRoute

from aura.errors import InvalidInput

#: Characters of a value that are compared with the known ones, and of a name that an error repeats.
COMPARED, SHOWN = 80, 40


class UnknownValue(InvalidInput):
    """A query parameter has an unknown name or value; the message lists the known ones."""


def require_known(request: Request) -> None:
    """Raise UnknownValue for a query parameter that the route does not have, or that is repeated and takes one value."""
    if not request.scope.get("query_string"):
        return
    route = request.scope.get("route")
    known = {field.alias: field for field in _query_fields(route.dependant)} if isinstance(route, APIRoute) else {}
    given = Counter(name for name, _ in request.query_params.multi_items())
    for name, count in given.items():
        if name not in known:
            listed = f"there are {', '.join(known)}" if known else "this route has none"
            raise UnknownValue(f"query: no parameter {name[:SHOWN]!r}; {listed}{did_you_mean(name, known)}")
        if count > 1 and "list[" not in str(known[name].field_info.annotation):
            raise UnknownValue(f"query: the parameter {name} is given more than once and takes one value")


def _query_fields(dependant: Any) -> Iterator[Any]:
    yield from dependant.query_params
    for each in dependant.dependencies:
        yield from _query_fields(each)


def did_you_mean(value: str, known: Iterable[str]) -> str:
    """Return `; did you mean open?` for the known value that a misspelt one resembles; otherwise an empty text."""
    by_lower = {each.lower(): each for each in known}
    close = get_close_matches(value[:COMPARED].lower(), by_lower, 1, 0.6)
    return f"; did you mean {by_lower[close[0]]}?" if close else ""


def split_commas(values: Any) -> Any:
    """Return the values of a parameter that may be repeated, `status=open&status=pending`, or `status=open,pending`."""
    if not isinstance(values, list) or not all(isinstance(each, str) for each in values):
        return values
    return [part.strip() for each in values for part in each.split(",") if part.strip()] or [""]


def split_lower(values: Any) -> Any:
    """Return the values of such a parameter in lower case, as those of a fixed set are written."""
    parts = split_commas(values)
    return [each.lower() if isinstance(each, str) else each for each in parts] if isinstance(parts, list) else parts


def canonical(values: Sequence[str] | None, known: Collection[str]) -> list[str] | None:
    """Return the values spelt as the known ones, whose case is ignored; an unknown value stays as it is."""
    by_lower = {each.lower(): each for each in known}
    return None if values is None else [by_lower.get(each.lower(), each) for each in values]


def require_known_values(
    name: str, values: Iterable[str] | None, known: Collection[str], found: Collection[Any]
) -> None:
    """Raise UnknownValue when nothing was found for values of which one is not known.

    For values that the settings name: rows may have a value that the settings no longer contain.
    """
    if found:
        return
    for each in values or ():
        if each not in known:
            raise UnknownValue(f"query.{name}: must be one of {', '.join(known)}{did_you_mean(each, known)}")
