"""A place in a text that holds something to be masked."""

from __future__ import annotations

from typing import NamedTuple


class Span(NamedTuple):
    """From where to where, and what stands there: email, phone, card, iban, secret or password."""

    start: int
    end: int
    kind: str
