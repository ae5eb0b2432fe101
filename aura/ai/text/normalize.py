"""Normal forms in which texts are compared with lexicons: lower case, umlauts spelled out, no accents, single spaces."""

from __future__ import annotations

import unicodedata

_SPELLED = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "\N{RIGHT SINGLE QUOTATION MARK}": "'"})
#: Letters of the Latin script without their accents; an umlaut is spelled out before.
_BARE = str.maketrans(
    {
        char: bare
        for char in map(chr, range(0xC0, 0x250))
        if (bare := unicodedata.normalize("NFD", char)[0]) != char and bare.isascii()
    }
    | {"ł": "l", "ø": "o", "ı": "i", "đ": "d", "æ": "ae", "œ": "oe", "\u0307": ""}
)


def fold(text: str) -> str:
    """Return the text in lower case with umlauts spelled out."""
    text = text.lower()
    return text if text.isascii() else text.translate(_SPELLED)


def plain(text: str) -> str:
    """Return the folded text without accents."""
    text = fold(text)
    return text if text.isascii() else text.translate(_BARE)


def normalize(text: str) -> str:
    """Return the folded text without accents, with a single space between two words."""
    return " ".join(plain(text).split())


def places(text: str) -> list[int] | range:
    """Return the place in a text of each place of its plain form, in which umlauts are spelled out."""
    if len(plain(text)) == len(text):
        return range(len(text) + 1)
    found = [at for at, char in enumerate(text) for _ in plain(char)]
    return [*found, *[len(text)] * (len(plain(text)) + 1 - len(found))]
