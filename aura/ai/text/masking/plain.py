"""Text in plain characters: full-width and other digits as 0 to 9, every dash as "-", nothing that cannot be seen.

So "４１１１" is found like "4111", and an address is found that hides a zero-width character.
"""

from __future__ import annotations

import re
import unicodedata

_PLAIN_ALREADY = re.compile(r"[\n\r\t -~]*")
#: Blank letters and symbols, which Unicode counts as visible.
_BLANK = frozenset("\u115f\u1160\u3164\uffa0\u2800\u17b4\u17b5")
#: Marks over any letter or digit. Those that belong to one script, such as the vowels of Hindi, stay.
_MARKS = ((0x0300, 0x036F), (0x1AB0, 0x1AFF), (0x1DC0, 0x1DFF), (0x20D0, 0x20FF), (0xFE00, 0xFE0F), (0xFE20, 0xFE2F))
_LIKE = {
    "\u3002": ".",
    "\uff61": ".",
    "\u2212": "-",
    "\u2044": "/",
    "\u2215": "/",
    "\x0b": "\n",
    "\x0c": "\n",
    "\x85": "\n",
}
#: Characters that are remembered; a text of ever new ones must not fill the memory.
_KEPT = 20_000


def plain(text: str) -> str:
    """Return the text in plain characters; one character becomes one or none."""
    return text if _PLAIN_ALREADY.fullmatch(text) else text.translate(_table)


class _Table(dict[int, str | None]):
    """What `str.translate` makes of each character, found out when it is first met."""

    def __missing__(self, code: int) -> str | None:
        found = _one(chr(code))
        if len(self) < _KEPT:
            self[code] = found
        return found


def _one(char: str) -> str | None:
    if char in "\n\r\t":
        return char
    if char in _LIKE:
        return _LIKE[char]
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


_table = _Table()
