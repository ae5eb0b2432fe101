"""Retry-After: reads from a response's headers how long the server asks its client to wait."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

#: Seconds of the longest wait; a server that asks for more is tried again then.
LONGEST = 86_400.0

_NUMBER = re.compile(r"[+-]?[0-9]+(?:\.[0-9]*)?")


def seconds(headers: Mapping[str, str]) -> float | None:
    """Return the seconds to wait, from 0 to ``LONGEST``; None if no header names a time.

    ``Retry-After-Ms`` holds milliseconds and is preferred to ``Retry-After``, which holds seconds or an HTTP date. A date is
    relative to the response's ``Date``, which makes the clocks' difference irrelevant; without ``Date``, to our clock.
    Header names are compared without case. A negative number or a date in the past is 0.
    """
    values = {name.lower(): value.strip() for name, value in headers.items()}
    wait = _number(values.get("retry-after-ms", ""))
    wait = wait / 1000 if wait is not None else _number(values.get("retry-after", ""))
    if wait is None and (then := _date(values.get("retry-after", ""))):
        wait = (then - (_date(values.get("date", "")) or datetime.now(UTC))).total_seconds()
    return None if wait is None else min(max(wait, 0.0), LONGEST)


def _number(value: str) -> float | None:
    return float(value) if _NUMBER.fullmatch(value) else None


def _date(value: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)
