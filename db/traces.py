"""Traces: the W3C traceparent in a job's row, which connects the span that enqueued it with the one that runs it.

https://www.w3.org/TR/trace-context/
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

#: The span in which this thread, or this request, enqueues jobs.
current: ContextVar[str | None] = ContextVar("traceparent", default=None)

_FORM = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


@contextmanager
def within(traceparent: str | None) -> Iterator[None]:
    """Have the jobs that the block enqueues belong to this span."""
    token = current.set(traceparent)
    try:
        yield
    finally:
        current.reset(token)


def trace_of(traceparent: str | None) -> str | None:
    """Return the id of the trace, 32 hexadecimal digits; None when the text is no traceparent."""
    found = _FORM.fullmatch(traceparent or "")
    return found[1] if found else None
