"""Detector of names and postal addresses, by the words around them: a title, a farewell, a street, a postal code.

Used with AURA_AI_MASK_NAMES only. There is no list of names, so a name without such a word stays.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

from aura.ai.text.masking.span import Span

_CAPITAL = r"[A-ZÀ-ÖØ-ÞĄĆĘŁŃÓŚŹŻÇĞİÖŞÜ][\w'’-]{1,30}"
_NAME = rf"{_CAPITAL}(?:[ ](?:(?:von|van|de|der|den|da|di|del|la|le)[ ])?{_CAPITAL}){{0,3}}"
#: Forms of names, in which `value` is the name.
_NAMES = (
    # after a title
    rf"(?<!\w)(?:Mr|Mrs|Ms|Miss|Mx|Dr|Prof|Herrn?|Frau|Hr|Fr|M|Mme|Mlle|Monsieur|Madame|Se[ñn]ora?|Sra?|Sig|Signora?|Sig\.ra|Dott|Dona|Dhr|Mevr|Mevrouw|Meneer|Pan|Pani|Panu)\.?[ ](?P<value>{_NAME})",
    # the author names themselves
    rf"(?:[Mm]y name is|[Tt]his is|I am|I'm|[Mm]ein Name ist|[Ii]ch hei(?:ß|ss)e|[Jj]e m'appelle|[Mm]on nom est|[Mm]e llamo|[Mm]i chiamo|[Oo] meu nome é|[Mm]ijn naam is|[Nn]azywam się|[Aa]dım)[ ](?P<value>{_NAME})",
    # below or after a farewell
    rf"(?:[Rr]egards|[Ss]incerely|[Cc]heers|[Tt]hanks|Gr(?:ü|ue)(?:ß|ss)en?|MfG|LG|VG|Danke|[Cc]ordialement|[Ss]alutations|[Ss]aludos|[Aa]tentamente|[Ss]aluti|[Cc]umprimentos|[Aa]tenciosamente|groet(?:en)?|[Pp]ozdrawiam|poważaniem),?[ \t]{{0,3}}(?:\n[ \t]{{0,3}}){{0,3}}(?P<value>{_NAME})(?=[ \t]*(?:\n|$|,))",
    # after the label of a form
    rf"(?i:(?<!\w)(?:name|full name|vorname|nachname|nom|prénom|nombre|nome|naam|imię i nazwisko|contact|ansprechpartner|caller|requester))[ ]?:[ ]?(?P<value>{_NAME})",
)
#: Forms of postal addresses.
_ADDRESSES = (
    # a street and its number
    r"(?<!\w)(?P<value>[A-ZÄÖÜ][\w'’.-]{1,40}(?:[ ][A-ZÄÖÜ][\w'’.-]{1,30}){0,3}(?:stra(?:ß|ss)e|str\.|weg|platz|allee|gasse|ring|straat|laan|plein|weg)[ ]\d{1,4}[ ]?[a-z]?(?:[-/]\d{1,4})?(?:,?[ \n]\d{4,5}[ ][A-ZÄÖÜ][\w-]{1,40})?)",
    r"(?<!\w)(?P<value>\d{1,5}[a-zA-Z]?,?[ ](?:[A-Z][\w'’-]{1,30}[ ]){1,3}(?:Street|St|Road|Rd|Avenue|Ave|Lane|Ln|Drive|Dr|Close|Square|Boulevard|Blvd|Court|Way|Terrace)\b\.?)",
    r"(?<!\w)(?P<value>(?:\d{1,4},?[ ])?(?i:rue|avenue|av\.|boulevard|bd|place|chemin|allée|calle|c/|avda\.?|avenida|paseo|plaza|via|viale|piazza|corso|largo|rua|travessa|praça|ul\.|al\.|plac)[ ](?:(?:de|del|della|da|do|des|du|la|los|las)[ ]){0,3}[A-ZÀ-ÞŁŚŻ][\w'’.-]{1,40}(?:[ ][A-ZÀ-ÞŁŚŻ][\w'’-]{1,30}){0,3}(?:,?[ ](?:n\.?º?[ ]?)?\d{1,4}[a-zA-Z]?)?)(?=[\s,.;]|$)",
    # postal codes with their place
    r"(?<![\w-])(?P<value>(?:D-|A-|CH-|F-|I-|B-)?\d{5}[ ][A-ZÄÖÜ][a-zäöüß]{2,30}|\d{4}[ ]?[A-Z]{2}[ ][A-Z][a-z]{2,30}|\d{2}-\d{3}[ ][A-ZŁŚŻ][a-ząćęłńóśźż]{2,30}|[A-Z]{1,2}\d[\dA-Z]?[ ]\d[A-Z]{2})(?!\w)",
)


def people(text: str) -> Iterator[Span]:
    """Yield names of people and postal addresses."""
    for kind, form in _forms():
        for match in form.finditer(text):
            yield Span(*match.span("value"), kind)


@cache
def _forms() -> list[tuple[str, re.Pattern[str]]]:
    # compiled at the first use, because the setting is off by default
    return [(kind, re.compile(form)) for kind, forms in (("name", _NAMES), ("address", _ADDRESSES)) for form in forms]
