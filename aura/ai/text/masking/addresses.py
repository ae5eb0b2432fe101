"""Detector of e-mail addresses, also in spellings for humans: ada (at) example (dot) com, ada AT example DOT com."""

from __future__ import annotations

import re
from collections.abc import Iterator

from aura.ai.text.masking.span import Span

#: The longest local part.
_LOCAL = 64
_STOP = frozenset(' \t\n\r@<>()[]{},;:"`|\\/=')
_LABEL = r"[^\s@<>()\[\]{},;:\"'`|\\/.?#=&!*~^$%+]{1,63}"
_GAP = r"[ \t]{1,3}"
_SPELLED_DOT = rf"(?:[ \t]{{0,3}}[(\[{{][ \t]?(?:\.|dot|punkt|point|punto|ponto|punt|kropka|nokta)[ \t]?[)\]}}][ \t]{{0,3}}|{_GAP}(?:dot|punkt){_GAP})"
#: "at" between spaces counts if a spelled domain follows, and no article: "look at the dot in the middle".
_NO_DOMAIN = r"(?:the|a|an|this|that|each|every|one|any)\b"
_SPELLED_AT = (
    rf"(?<=\w){_GAP}(?:at|ät){_GAP}(?=(?!{_NO_DOMAIN}){_LABEL}{_SPELLED_DOT}[^\W\d_]{{2,24}}(?!\w))"
    rf"|(?<=[a-z0-9]){_GAP}(?-i:AT){_GAP}(?={_LABEL}\.[^\W\d_]{{2,24}}(?!\w))"
)
_AT = re.compile(
    r"@|%40|&#0{0,5}64;|&#x0{0,5}40;|&commat;|[ \t]{0,3}[(\[{][ \t]?(?:at|ät|@|arobase|arroba|chiocciola|apenstaartje|ma[łl]pa|et)[ \t]?[)\]}][ \t]{0,3}|"
    + _SPELLED_AT,
    re.IGNORECASE,
)
#: Every text with an address has one of these; searching for them is quicker.
_SIGNS, _DOTS = ("@", "%", "&", "(", "[", "{", "AT"), ("dot", "punkt", "point", "punto", "ponto", "kropka", "nokta")
_DOMAIN = re.compile(
    rf"{_LABEL}(?P<more>(?:(?:\.|{_SPELLED_DOT}){_LABEL}){{0,10}})|\[[0-9A-Fa-f.:]{{2,45}}\]", re.IGNORECASE
)
#: The part of a local part before its last word, "ada dot " of "ada dot lovelace"; used with a spelled "at" only.
_EARLIER_WORD = re.compile(rf"[^\W_][\w.+-]{{0,40}}{_SPELLED_DOT}\Z", re.IGNORECASE)


def addresses(text: str) -> Iterator[Span]:
    """Yield the e-mail addresses: at each @, its local part and its domain."""
    lower = text.lower()
    if not any([sign in text for sign in _SIGNS]) and not any([dot in lower for dot in _DOTS]):
        return
    for at in _AT.finditer(text):
        left, right = at.span()
        spaced = text[left - 1 : left] == " " == text[right : right + 1]
        domain = _DOMAIN.match(text, right + spaced)
        if domain is None:
            continue
        start = _local_part(text, left - spaced)
        if start < left and at[0][:1] not in "@%&":
            while earlier := _EARLIER_WORD.search(text, max(0, start - _LOCAL), start):
                start = earlier.start()
        # "ada@intranet" is an address, "meet @ 12" and "3@2" are not
        dotted = domain["more"] != ""
        if start < left - spaced and (dotted or (not spaced and domain[0][0].isalpha())):
            yield Span(start, domain.end(), "email")


def _local_part(text: str, end: int) -> int:
    """Return the start of the local part that ends at ``end``."""
    if text[end - 1 : end] == '"' and (opened := text.rfind('"', max(0, end - _LOCAL), end - 1)) >= 0:
        return opened
    start, first = end, max(0, end - _LOCAL)
    while start > first and text[start - 1] not in _STOP:
        start -= 1
    while start < end and text[start] in "'.":
        start += 1
    return start
