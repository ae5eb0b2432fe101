"""The normal form in which texts are compared with lexicons: lower case, umlauts spelled out, single spaces."""

from __future__ import annotations

_SPELLED = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "\N{RIGHT SINGLE QUOTATION MARK}": "'"})


def fold(text: str) -> str:
    """Return the text in lower case with umlauts spelled out."""
    text = text.lower()
    return text if text.isascii() else text.translate(_SPELLED)


def normalize(text: str) -> str:
    """Return the folded text with a single space between two words."""
    return " ".join(fold(text).split())
