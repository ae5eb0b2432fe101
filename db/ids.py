"""Ids of rows: the range of PostgreSQL's bigint, and ids in text."""

from __future__ import annotations

from collections.abc import Iterable

#: The largest value of a bigint, and the number of digits that always fit into one.
MAX_ID, DIGITS = 2**63 - 1, 18


def is_id(number: int) -> bool:
    """Return whether a number can be the id of a row; PostgreSQL rejects a larger one with an error."""
    return 0 < number <= MAX_ID


def parse_ids(texts: Iterable[str]) -> list[int]:
    """Return the texts that are ids as numbers, without the others."""
    return [int(text) for text in texts if text.isascii() and text.isdecimal() and len(text) <= DIGITS]
