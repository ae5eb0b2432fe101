"""Plain characters: other digits become 0 to 9, every dash "-", and invisible characters are removed.

So "４１１１" is masked like "4111", and an address with a zero-width character like one without.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

_PLAIN = re.compile(r"[\n\r\t -~]*")
#: Letters and symbols without ink, which Unicode counts as visible.
_BLANK = frozenset("\u115f\u1160\u3164\uffa0\u2800\u17b4\u17b5")
#: Marks that combine with any character; those of one script, such as the vowels of Hindi, are not removed.
_MARKS = ((0x0300, 0x036F), (0x1AB0, 0x1AFF), (0x1DC0, 0x1DFF), (0x20D0, 0x20FF), (0xFE00, 0xFE0F), (0xFE20, 0xFE2F))
_SIMILAR = {
    "\u3002": ".",
    "\uff61": ".",
    "\u2212": "-",
    "\u2044": "/",
    "\u2215": "/",
    "\x0b": "\n",
    "\x0c": "\n",
    "\x85": "\n",
}
#: Characters whose replacement is cached.
_CACHED = 20_000


def plain_characters(text: str) -> str:
    """Return the text in plain characters; each character becomes one or none."""
    return text if _PLAIN.fullmatch(text) else text.translate(_TABLE)


class _Table:
    """A table for `str.translate`."""

    def __getitem__(self, code: int) -> str | None:
        return _replacement(chr(code))


@lru_cache(_CACHED)
def _replacement(char: str) -> str | None:
    if char in "\n\r\t":
        return char
    if char in _SIMILAR:
        return _SIMILAR[char]
    kind = unicodedata.category(char)
    if kind in ("Cc", "Cf", "Cs") or char in _BLANK or any(first <= ord(char) <= last for first, last in _MARKS):
        return None
    if kind in ("Zl", "Zp"):
        return "\n"
    if kind in ("Zs", "Pd"):
        return " " if kind == "Zs" else "-"
    digit = unicodedata.digit(char, None)
    if digit is not None:
        return str(digit)
    simple = unicodedata.normalize("NFKC", char)
    return simple if len(simple) == 1 else char


_TABLE = _Table()
