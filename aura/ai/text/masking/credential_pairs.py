"""Detector of a user and a password with a slash between them: "log in with admin/Welcome1", PIN "4711 / 889900"."""

from __future__ import annotations

import re
from collections.abc import Iterator

from aura.ai.text.lexicons import words
from aura.ai.text.masking.span import Span

#: Characters before a pair that are searched for a word about logging in.
_NEAR = 60
_PAIR = re.compile(
    r"(?<![\w/.\\:@-])(?P<user>[\w@][\w.@+-]{1,40})[ \t]?/[ \t]?(?P<password>[^\s/\"'`„“”«»()\[\]<>]{4,64})(?!/)"
)
_LOGIN = re.compile(
    r"(?:(?<![^\W_])(?:log[ -]?(?:in|on)|sign[ -]?in|pin|puk|user(?:name|id)?)(?:s|ged|ging)?(?![^\W_])"
    r"|credential|pass(?:word|wort)|kennwort|zugang|anmeld|einlogg|benutzer|pwd|logged in)",
    re.IGNORECASE,
)
#: Text right before a pair: "with", a colon, a quotation mark. A pair of words needs it, a pair of numbers does not.
_LEAD = re.compile(r"(?:\b(?:with|using|as|mit|als|per|avec)[ \t]{1,3}|[:=(][ \t]{0,3})?[\"'`„“«»]?\Z", re.IGNORECASE)
_MIXED = re.compile(r"(?=.*[\d!$%&?#*+])(?=.*[^\W\d_])")
#: A system and its part, both by their initials: "sign in with SAP/HR2x".
_SYSTEM = re.compile(r"[A-Z]{3,5}/[A-Z]{2,4}\d{0,2}[a-z]?")
#: The name of a part of a system: XenApp7.
_PART = re.compile(r"[A-Z][a-z]*(?:[A-Z][a-z]*)+\d{0,3}[a-z]?")
_SYSTEMS = words("systems.txt")
_NUMBERS = re.compile(r"\d{3,12}/\d{4,12}")


def credential_pairs(text: str) -> Iterator[Span]:
    """Yield the pairs of a user and a password with a slash between them."""
    if "/" not in text:
        return
    for pair in _PAIR.finditer(text):
        near = text[max(0, pair.start() - _NEAR) : pair.start()]
        password = pair["password"].rstrip(".,;:")
        lead = _LEAD.search(near)
        secret = _NUMBERS.fullmatch(f"{pair['user']}/{password}") or (
            lead is not None and lead[0] and _MIXED.match(password) and not _is_system(pair["user"], password)
        )
        if secret and _LOGIN.search(near):
            yield Span(pair.start(), pair.start("password") + len(password), "password")


def _is_system(user: str, password: str) -> bool:
    """Return whether the two are a system and its part, not a user and a password."""
    if _SYSTEM.fullmatch(f"{user}/{password}"):
        return True
    part = password.rstrip("0123456789").lower()
    return user.lower() in _SYSTEMS and (part in _SYSTEMS or _PART.fullmatch(password) is not None)
