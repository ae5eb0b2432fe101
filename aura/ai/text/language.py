"""Which of the two languages a ticket is written in, by its little words."""

from __future__ import annotations

import re

from aura.ai.text.lexicons import words

_ENGLISH = words("english.txt")
_GERMAN = words("german.txt")
_WORD = re.compile(r"[^\W\d_]+(?:'[a-z]+)?")
_ENDINGS = ("ung", "ungen", "keit", "heit", "lich", "isch", "schaft", "ieren", "iert")
_UMLAUTS = frozenset("äöüß")


def detect(text: str) -> str:
    """Return "de" or "en" for a text of any length; "en" when in doubt. Reads the first 2,000 characters."""
    text = text[:2000].lower()
    found = _WORD.findall(text)
    german = sum([word in _GERMAN for word in found]) + sum([word.endswith(_ENDINGS) for word in found]) * 0.5
    if not text.isascii():
        german += sum([not _UMLAUTS.isdisjoint(word) for word in found])
    return "de" if german > sum([word in _ENGLISH for word in found]) else "en"
