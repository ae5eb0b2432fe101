"""A user and a password in one, where somebody speaks of logging in: "log in with admin/Welcome1", PIN "4711 / 889900"."""

from __future__ import annotations

import re
from collections.abc import Iterator

from aura.ai.text.lexicons import words
from aura.ai.text.masking.span import Span

#: Characters before a pair in which logging in is spoken of.
_NEAR = 60
_PAIR = re.compile(
    r"(?<![\w/.\\:@-])(?P<user>[\w@][\w.@+-]{1,40})[ \t]?/[ \t]?(?P<password>[^\s/\"'`„“”«»()\[\]<>]{4,64})(?!/)"
)
_LOGIN = re.compile(
    r"(?:(?<![^\W_])(?:log[ -]?(?:in|on)|sign[ -]?in|pin|puk|user(?:name|id)?)(?:s|ged|ging)?(?![^\W_])"
    r"|credential|pass(?:word|wort)|kennwort|zugang|anmeld|einlogg|benutzer|pwd|logged in)",
    re.IGNORECASE,
)
#: What leads to a pair: "with", a colon, a quotation mark. A pair of words needs it, one of numbers does not.
_LEADING = re.compile(
    r"(?:\b(?:with|using|as|mit|als|per|avec)[ \t]{1,3}|[:=(][ \t]{0,3})?[\"'`„“«»]?\Z", re.IGNORECASE
)
_MIXED = re.compile(r"(?=.*[\d!$%&?#*+])(?=.*[^\W\d_])")
#: A system and its part, both by their initials: "sign in with SAP/HR2x".
_SYSTEM = re.compile(r"[A-Z]{3,5}/[A-Z]{2,4}\d{0,2}[a-z]?")
#: A part of a system that is known by its name: XenApp7.
_PART = re.compile(r"[A-Z][a-z]*(?:[A-Z][a-z]*)+\d{0,3}[a-z]?")
_SYSTEMS = words("systems.txt")
_NUMBERS = re.compile(r"\d{3,12}/\d{4,12}")


def pairs(text: str) -> Iterator[Span]:
    """Find a user and a password that a slash divides."""
    if "/" not in text:
        return
    for pair in _PAIR.finditer(text):
        near = text[max(0, pair.start() - _NEAR) : pair.start()]
        password = pair["password"].rstrip(".,;:")
        led = _LEADING.search(near)
        secret = _NUMBERS.fullmatch(f"{pair['user']}/{password}") or (
            led is not None and led[0] and _MIXED.match(password) and not _is_system(pair["user"], password)
        )
        if secret and _LOGIN.search(near):
            yield Span(pair.start(), pair.start("password") + len(password), "password")


def _is_system(user: str, password: str) -> bool:
    """Return whether these are a system and its part rather than a user and a password."""
    if _SYSTEM.fullmatch(f"{user}/{password}"):
        return True
    part = password.rstrip("0123456789").lower()
    return user.lower() in _SYSTEMS and (part in _SYSTEMS or _PART.fullmatch(password) is not None)
