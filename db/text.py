"""Text that every database can store, and JSON with a bound on its depth."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

#: Nesting levels of JSON; near Python's recursion limit it can be read, but not written again.
DEPTH_LIMIT = 100
#: Values of a JSON text: a megabyte of `{},{},...` would take 30 MB.
VALUES_LIMIT = 20_000
#: A string; one without an end is read to the end of the text, since a search for its end from each quote takes quadratic time.
_STRING = r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?'
_STRINGS, _BYTE_STRINGS = re.compile(_STRING, re.DOTALL), re.compile(_STRING.encode(), re.DOTALL)


def storable(text: str) -> str:
    """Return the text without NUL bytes and lone surrogates, which PostgreSQL cannot store."""
    return text.replace("\0", "").encode("utf-8", "ignore").decode("utf-8")


_ADDRESS = re.compile(r"[^\s@<>]+@[^\s@<>]+")


def normalized_requester(requester: str) -> str:
    """Return a requester with e-mail addresses in lower case, as `Ann Lee <ann@example.com>`; names stay as they are."""
    return _ADDRESS.sub(lambda found: found[0].lower(), requester) if "@" in requester else requester


class TooManyValues(ValueError):
    """A JSON text has more values than VALUES_LIMIT."""

    def __init__(self) -> None:
        super().__init__(f"the JSON has more than {VALUES_LIMIT} values")


def require_few_values(text: str | bytes) -> None:
    """Raise TooManyValues for a JSON text with more than VALUES_LIMIT values: each takes up to 100 bytes of memory."""
    # a comma in a string counts only here, where the texts of nearly all tickets end
    if _marks(text) > VALUES_LIMIT:
        rest = _BYTE_STRINGS.sub(b"", text) if isinstance(text, bytes) else _STRINGS.sub("", text)
        if _marks(rest) > VALUES_LIMIT:
            raise TooManyValues


def _marks(text: str | bytes) -> int:
    """Return how many commas and opening brackets the text has."""
    if isinstance(text, bytes):
        return text.count(b",") + text.count(b"[") + text.count(b"{")
    return text.count(",") + text.count("[") + text.count("{")


def parse_json(text: str | bytes) -> Any:
    """Return the value of a JSON text. Raises ValueError, also for NaN, and for more levels or values than the limits."""
    require_few_values(text)
    try:
        value = json.loads(text, parse_constant=_no_constant)
    except RecursionError:
        raise ValueError("the JSON is nested too deeply") from None
    level, depth = [value], 0
    while level := [inner for outer in level for inner in _inside(outer)]:
        depth += 1
        if depth > DEPTH_LIMIT:
            raise ValueError(f"the JSON is nested more than {DEPTH_LIMIT} levels deep")
    return value


def _inside(value: Any) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not valid JSON")
