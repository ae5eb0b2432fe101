"""Sentiment of a requester: negative, neutral or positive, by word lists and exclamation marks."""

from __future__ import annotations

from collections.abc import Set

from aura.ai.text.lexicons import lines

#: Exclamation marks that count as one negative word.
EXCLAMATIONS = 3

_NEGATIVE = frozenset(lines("negative.txt"))
_POSITIVE = frozenset(lines("positive.txt"))


def sentiment(terms: Set[str], text: str) -> str:
    """Return negative, neutral or positive for the folded words and word pairs of a ticket and its text."""
    negative = len(_NEGATIVE & terms) + (text.count("!") >= EXCLAMATIONS)
    positive = len(_POSITIVE & terms)
    return "negative" if negative > positive else "positive" if positive > negative else "neutral"
