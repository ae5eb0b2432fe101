"""Language detection: English or German, by frequent words, word endings and umlauts."""

from __future__ import annotations

import re

from aura.ai.text.lexicons import words

_ENGLISH = words("english.txt")
_GERMAN = words("german.txt")
_WORD = re.compile(r"[^\W\d_]+(?:'[a-z]+)?")
_ENDINGS = ("ung", "ungen", "keit", "heit", "lich", "isch", "schaft", "ieren", "iert")
_UMLAUTS = frozenset("äöüß")


def detect(text: str) -> str:
    """Return "de" or "en", "en" for an undecided text; the first 2,000 characters are read."""
    text = text[:2000].lower()
    found_words = _WORD.findall(text)
    german = (
        sum([word in _GERMAN for word in found_words]) + sum([word.endswith(_ENDINGS) for word in found_words]) * 0.5
    )
    if not text.isascii():
        german += sum([not _UMLAUTS.isdisjoint(word) for word in found_words])
    return "de" if german > sum([word in _ENGLISH for word in found_words]) else "en"
