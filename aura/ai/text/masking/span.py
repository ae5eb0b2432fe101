"""Span: a part of a text that a detector of ``aura.ai.text.masking`` found."""

from __future__ import annotations

from typing import NamedTuple


class Span(NamedTuple):
    """Start, end and kind of a value to mask: email, phone, card, iban, id, birthdate, secret, password, name or address."""

    start: int
    end: int
    kind: str
