"""Text that every database can store, and JSON with a bound on its depth."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

#: Nesting levels of JSON; near Python's recursion limit it can be read, but not written again.
DEPTH_LIMIT = 100


def storable(text: str) -> str:
    """Return the text without NUL bytes and lone surrogates, which PostgreSQL cannot store."""
    return text.replace("\0", "").encode("utf-8", "ignore").decode("utf-8")


_ADDRESS = re.compile(r"[^\s@<>]+@[^\s@<>]+")


def normalized_requester(requester: str) -> str:
    """Return a requester with e-mail addresses in lower case, as `Ann Lee <ann@example.com>`; names stay as they are."""
    return _ADDRESS.sub(lambda found: found[0].lower(), requester) if "@" in requester else requester


def parse_json(text: str | bytes) -> Any:
    """Return the value of a JSON text. Raises ValueError, also for NaN and for more than DEPTH_LIMIT levels."""
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
