"""Traces: the W3C traceparent that rides in a job's row, from whoever promised the work to whoever does it.

https://www.w3.org/TR/trace-context/
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

#: The span in which this thread, or this request, promises work.
current: ContextVar[str | None] = ContextVar("traceparent", default=None)

_FORM = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


@contextmanager
def within(traceparent: str | None) -> Iterator[None]:
    """Have what the block promises belong to this span."""
    token = current.set(traceparent)
    try:
        yield
    finally:
        current.reset(token)


def child(parent: str | None) -> str:
    """Return the traceparent of a new span in the parent's trace; without a parent, or a malformed one, in a new trace."""
    trace = trace_of(parent) or secrets.token_hex(16)
    return f"00-{trace}-{secrets.token_hex(8)}-{parent[-2:] if parent and trace_of(parent) else '01'}"


def trace_of(traceparent: str | None) -> str | None:
    """Return the id of the trace, 32 hexadecimal digits; None when the text is no traceparent."""
    found = _FORM.fullmatch(traceparent or "")
    return found[1] if found else None
