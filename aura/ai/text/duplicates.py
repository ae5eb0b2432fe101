"""Similarity of two tickets by shared words and word pairs, without greetings, signatures and quotes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

#: Words of a text that are compared, from its beginning.
WORDS = 600
#: The similarity from which two tickets are duplicates.
THRESHOLD = 0.75

_PREFIX = re.compile(r"^(?:\s*(?:re|fwd?|aw|wg|antw|tr|sv)\s*(?:\[\d{1,3}\])?\s*:)+", re.IGNORECASE)
_GREETING = re.compile(
    r"^\s*(?:hi|hello|hey|dear|good (?:morning|afternoon|evening)|hallo|guten (?:morgen|tag|abend)|moin|servus|"
    r"liebe[rs]?|sehr geehrte[rs]?)\b(?:\s+[^\s,!.]+){0,5}\s*[,!.]?\s*$",
    re.IGNORECASE,
)
_LEAD = re.compile(
    r"^\s*(?:hi|hello|hey|hallo|moin)(?:\s+(?:all|team|there|zusammen|everyone))?\s*[,!]\s*", re.IGNORECASE
)
_FAREWELL = re.compile(
    r"^\s*(?:--\s*$|-{3,}|_{5,}|(?:(?:many )?thanks|thank you|thx|(?:best|kind|warm)(?: regards| wish\w*)|regards|best|"
    r"cheers|sincerely|(?:vielen |herzlichen )?danke?|"
    r"(?:(?:viele|beste|liebe|freundliche|schöne) )?gr(?:u|ü|ue)(?:ß|ss)e?|"
    r"mit freundlichen gr(?:ü|ue)(?:ß|ss)en|mfg|lg|vg)\b.{0,40}$|sent from my|von meinem .{0,20} gesendet|"
    r"(?:from|von|gesendet|sent):\s)",
    re.IGNORECASE,
)
_WORD = re.compile(r"\w+")


def _words(text: str) -> list[str]:
    lines = text[:20_000].split("\n")
    content: list[str] = []
    for line in lines:
        line = line[:4_000]
        if line.lstrip().startswith(">"):
            continue
        line = _PREFIX.sub("", line)
        if _GREETING.match(line):
            continue
        if content and _FAREWELL.match(line):
            break
        content.append(_LEAD.sub("", line))
    return _WORD.findall(" ".join(content).casefold())[:WORDS]


def _share(one: frozenset[object], other: frozenset[object]) -> float:
    union = len(one | other)
    return len(one & other) / union if union else 1.0


def _compare(a: list[str], b: list[str]) -> float:
    if not a or not b:
        return 0.0
    if a == b:
        return 1.0
    words = _share(frozenset(a), frozenset(b))
    pairs = _share(frozenset(pairwise(a)), frozenset(pairwise(b)))
    score = (words + pairs) / 2
    # "server 3 is down" is no duplicate of "server 4 is down"
    numbers_a, numbers_b = ({word for word in side if any(c.isdigit() for c in word)} for side in (a, b))
    if numbers_a and numbers_b and not numbers_a & numbers_b:
        score *= 0.6
    return min(score, 0.999)


def similarity(a: str, b: str) -> float:
    """Return the similarity from 0.0 (no common word) to 1.0 (the same words in the same order); 0.0 for an empty text.

    Case, punctuation, greetings, signatures, quoted lines and the prefixes Re:, Fwd:, AW:, WG: do not count.
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
