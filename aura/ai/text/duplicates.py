"""Similarity of two tickets by the shared words and word pairs of their content (``aura.ai.text.content``)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from aura.ai.text.alerts import is_machine_made
from aura.ai.text.content import content_of_lines
from aura.ai.text.normalize import plain

#: Words of a text that are compared, from its beginning.
WORDS = 600
#: The similarity from which two tickets are duplicates.
THRESHOLD = 0.75
#: Factor of texts that name different things.
DIFFERENT = 0.6

_WORD = re.compile(r"\w+(?:[_.:/\\-]+\w+)*")
_PART = re.compile(r"[^\W_]+")
#: Dates and times of day, which differ between two reports of one matter.
_TIME = re.compile(
    r"(?<![\w.-])(?:\d{4}-\d{1,2}-\d{1,2}(?:t(?=\d))?|\d{1,2}[./-]\d{1,2}[./-](?:\d{4}|\d{2})?|\d{1,2}:\d{2}(?::\d{2})?(?:[.,]\d+)?z?|"
    r"\d{1,2} ?(?:am|pm|uhr|h)\b|\d{1,2}/\d{1,2})(?![\w-])"
)


class _Words(NamedTuple):
    """The words of a text, and the names of things in it: words with digits, an underscore or a hyphen beside digits."""

    words: list[str]
    names: frozenset[str]
    machine_made: bool


def _words(text: str) -> _Words:
    folded = _TIME.sub(" ", plain(content_of_lines(text[:20_000])))
    tokens = _WORD.findall(folded)
    names = frozenset([token for token in tokens if "_" in token or any([char.isdigit() for char in token])])
    # "wi-fi" and "wifi" are one word
    words = _PART.findall(folded.replace("-", ""))[:WORDS]
    return _Words(words, names, is_machine_made(folded))


def _share(one: frozenset[object], other: frozenset[object]) -> float:
    union = len(one | other)
    return len(one & other) / union if union else 1.0


def _compare(a: _Words, b: _Words) -> float:
    if not a.words or not b.words:
        return 0.0
    if a.words == b.words:
        return 1.0
    words = _share(frozenset(a.words), frozenset(b.words))
    pairs = _share(frozenset(pairwise(a.words)), frozenset(pairwise(b.words)))
    score = (words + pairs) / 2
    if _name_different_things(a, b):
        score *= DIFFERENT
    return min(score, 0.999)


def _name_different_things(a: _Words, b: _Words) -> bool:
    """Return whether each text has a name that the other one lacks ("server 3 is down", "server 4 is down").

    Of texts that programs write every word counts, apart from times: another job, host or check is another matter. A long name
    or number on one side only is another matter as well.
    """
    if a.machine_made and b.machine_made:
        return a.words != b.words
    only_a, only_b = a.names - b.names, b.names - a.names
    return bool(only_a and only_b) or any(len(name) > 4 and not name.isdigit() for name in only_a | only_b)


def similarity(a: str, b: str) -> float:
    """Return the similarity from 0.0 (no common word) to 1.0 (the same words in the same order); 0.0 for an empty text.

    Case, punctuation, times, greetings, signatures, footers, quotes and the prefixes Re:, Fwd:, AW:, WG: do not count. The
    first line of a text is its title.
    """
    return _compare(_words(a), _words(b))


def find_duplicate(text: str, candidates: Sequence[tuple[int, str]], threshold: float = THRESHOLD) -> int | None:
    """Return the id of the most similar candidate at or above the threshold, the first of equal ones; None without one."""
    words = _words(text)
    best: tuple[float, int] | None = None
    for identity, other in candidates:
        score = _compare(words, _words(other))
        if score >= threshold and (best is None or score > best[0]):
            best = (score, identity)
    return best[1] if best else None
