"""Terms of a text: the words that say what a ticket is about, cut to a stem, without stop words, addresses and numbers."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

#: Characters of a text that are read, and the largest number of terms of one ticket.
MAX_CHARACTERS, MAX_TERMS = 4_000, 24
#: Letters of a word that count: "connect", "connection" and "connecting" are one term, and so are most compounds.
STEM = 7
SHORTEST, LONGEST = 3, 40

_WORD = re.compile(r"[^\W_]+")
#: The placeholder of a masked value.
_PLACEHOLDER = re.compile(r"\[[a-z]+ \d+\]")
#: The only terms with digits: error codes and host names ("0x80070005", "srv03"). Other numbers may be personal data.
_CODE = re.compile(r"0x[0-9a-f]{4,8}|[a-z]{1,6}\d{1,8}")
_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue"})


def extract_terms(text: str, limit: int = MAX_TERMS, stem: int = STEM) -> list[str]:
    """Return the distinct terms of a text in their order, at most `limit`, each cut to `stem` letters."""
    terms: dict[str, None] = {}
    ignored = stop_words()
    for part in _PLACEHOLDER.sub(" ", text[:MAX_CHARACTERS].casefold().translate(_UMLAUTS)).split():
        if "@" in part or "://" in part or "\\\\" in part:
            continue
        for word in _WORD.findall(part):
            if not SHORTEST <= len(word) <= LONGEST or word in ignored:
                continue
            if word.isalpha():
                terms[word[:stem]] = None
            elif _CODE.fullmatch(word):
                terms[word] = None
        if len(terms) >= limit:
            break
    return list(terms)[:limit]


@cache
def stop_words() -> frozenset[str]:
    """Return the words of stop_words.txt."""
    lines = (Path(__file__).parent / "stop_words.txt").read_text(encoding="utf-8").splitlines()
    return frozenset(word for line in lines if not line.startswith("#") for word in line.split())
