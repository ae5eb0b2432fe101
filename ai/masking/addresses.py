"""E-mail addresses, also as people spell them to hide them from robots: ada (at) example (dot) com."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ai.masking.span import Span

#: The longest local part.
_LOCAL = 64
_STOP = frozenset(' \t\n\r@<>()[]{},;:"`|\\/=')
_AT = re.compile(
    r"@|%40|&#0{0,5}64;|&#x0{0,5}40;|&commat;|[ \t]?[(\[{][ \t]?(?:at|ät|@)[ \t]?[)\]}][ \t]?", re.IGNORECASE
)
_LABEL = r"[^\s@<>()\[\]{},;:\"'`|\\/.?#=&!*~^$%+]{1,63}"
_DOT = r"(?:\.|[ \t]?[(\[{][ \t]?(?:\.|dot|punkt)[ \t]?[)\]}][ \t]?)"
_DOMAIN = re.compile(rf"{_LABEL}(?P<more>(?:{_DOT}{_LABEL}){{0,10}})|\[[0-9A-Fa-f.:]{{2,45}}\]", re.IGNORECASE)


def addresses(text: str) -> Iterator[Span]:
    """Find e-mail addresses: at each @, what stands to its left and to its right."""
    for at in _AT.finditer(text):
        left, right = at.span()
        spaced = text[left - 1 : left] == " " == text[right : right + 1]
        domain = _DOMAIN.match(text, right + spaced)
        if domain is None:
            continue
        start = _local_part(text, left - spaced)
        # "ada@intranet" is an address, "meet @ 12" and "3@2" are none
        dotted = domain["more"] != ""
        if start < left - spaced and (dotted or (not spaced and domain[0][0].isalpha())):
            yield Span(start, domain.end(), "email")


def _local_part(text: str, end: int) -> int:
    """Return where the local part begins that ends here."""
    if text[end - 1 : end] == '"' and (opened := text.rfind('"', max(0, end - _LOCAL), end - 1)) >= 0:
        return opened
    start, first = end, max(0, end - _LOCAL)
    while start > first and text[start - 1] not in _STOP:
        start -= 1
    while start < end and text[start] in "'.":
        start += 1
    return start
