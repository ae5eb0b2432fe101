"""Detector of national ids, tax numbers, bank accounts, birth dates and travel documents.

python-stdnum knows formats and check digits of the numbers. An id with a letter or two check digits counts by itself; one that a tenth of
all numbers would pass needs its name before it. Numbers without check digits (passports, account numbers, sort codes, birth dates) count
after their name only.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cache

from aura.ai.text.masking.span import Span

#: Candidates: letters and digits with single separators, of the forms of the ids below.
_CANDIDATE = re.compile(
    r"(?<![\w@-])(?:[A-Za-z]{6}\d{2}[A-Za-z]\d{2}[A-Za-z]\d{3}[A-Za-z]"  # codice fiscale
    r"|[XYZxyz]?[- ]?\d{7,8}[- ]?[A-Za-z]"  # DNI, NIE
    r"|[12][ ]?\d{2}[ ]?\d{2}[ ]?(?:\d{2}|2[ABab])[ ]?\d{3}[ ]?\d{3}(?:[ ]?\d{2})?"  # NIR
    r"|\d{3}\.\d{3}\.\d{3}-\d{2}"  # CPF
    r"|\d{2}\.\d{2}\.\d{2}-\d{3}[. -]\d{2}"  # rijksregisternummer
    r"|756\.\d{4}\.\d{4}\.\d{2}"  # AHV
    r"|[A-CEGHJ-PR-TW-Za-ceghj-pr-tw-z]{2} ?\d{2} ?\d{2} ?\d{2} ?[A-Da-d]"  # National Insurance number
    r"|\d{2} ?\d{6} ?[A-Za-z] ?\d{3}"  # Sozialversicherungsnummer
    r"|\d{3}-\d{2}-\d{4}"  # SSN
    r"|\d{11}|\d{9})(?![\w-])"
)
#: Names of ids and documents before their values.
_NAME = re.compile(
    r"(?<![^\W_])(?:bsn|burgerservicenummer|sofi-?nummer|nif|contribuinte|dni|nie|pesel|cpf|cnpj|nir|num[ée]ro de s[ée]curit[ée] sociale|codice fiscale|"
    r"tc ?(?:kimlik|no)\w*|kimlik no|ssn|social security(?: (?:no|number))?|ni ?(?:no|number)|national insurance(?: (?:no|number))?|nhs (?:no|number)|"
    r"steuer-?(?:id\w*|nummer)|tax (?:id|no|number)|idnr|(?:sozial|renten)versicherungs-?(?:nummer|nr)|sv-?(?:nummer|nr)|rijksregister\w*|ahv-?(?:nummer|nr)|"
    r"(?:reise)?pass(?:port)?[ -]?(?:nummer|nr|no|number)|passaporto|pasaporte|passeport|passaporte|paspoort(?:nummer)?|paszport|(?:personal)?ausweis(?:nummer|-nr|nr)?|"
    r"id card(?: (?:no|number))?|carta d'identit[àa]|carte d'identit[ée]|dow[óo]d osobisty|driving licen[cs]e(?: (?:no|number))?|f[üu]hrerschein(?:nummer)?|"
    r"sort code|(?:bank )?account (?:no|number)|account(?=\s{1,3}\d{6,12}\b)|routing(?: (?:no|number))?|kontonummer|konto-?nr|blz|bankleitzahl|n[úu]mero de (?:cuenta|conta)|numero di conto|rekeningnummer|numer konta)"
    r"[ \t]{0,3}(?:is|ist|:|=|#|nr\.?|no\.?|number|é|è|est|es|to|lautet)?[ \t]{0,3}[:#=.]?[ \t]{0,3}(?P<value>(?=[\w. -]{0,12}\d)[A-Za-z0-9](?:[ ./-]?[A-Za-z0-9]){3,20})(?![\w])",
    re.IGNORECASE,
)
_BIRTH = re.compile(
    r"(?<![^\W_])(?:geboren(?: am)?|geb\.?(?: am)?|geburts(?:datum|tag)|date of birth|birth ?(?:date|day)|born(?: on)?|d\.?o\.?b\.?|n[ée]e? le|date de naissance|fecha de nacimiento|nacid[oa] el|"
    r"data di nascita|nat[oa] il|data de nascimento|nascid[oa] (?:a|em)|geboortedatum|geboren op|data urodzenia|ur\.|do[ğg]um tarihi)"
    r"[ \t]{0,3}(?:is|ist|war|:|=)?[ \t]{0,3}(?P<value>\d{1,4}[./ -]{1,2}(?:\d{1,2}|[^\W\d_]{3,12})[./, -]{1,3}\d{2,4})",
    re.IGNORECASE,
)
_DIGIT = re.compile(r"\d{2}")


@cache
def _checks() -> tuple[Callable[[str], bool], ...]:
    """Return the checks of ids that need no name; stdnum is imported at the first text with a candidate."""
    from stdnum.be import nn
    from stdnum.br import cpf
    from stdnum.ch import ssn as ahv
    from stdnum.de import idnr
    from stdnum.es import dni, nie
    from stdnum.fr import nir
    from stdnum.it import codicefiscale
    from stdnum.pl import pesel
    from stdnum.tr import tckimlik
    from stdnum.us import ssn

    return (
        codicefiscale.is_valid,
        dni.is_valid,
        nie.is_valid,
        nir.is_valid,
        lambda value: cpf.is_valid(value) and ("-" in value or len(value) == 11),
        nn.is_valid,
        ahv.is_valid,
        idnr.is_valid,
        pesel.is_valid,
        tckimlik.is_valid,
        lambda value: value.count("-") == 2 and ssn.is_valid(value),
    )


_LETTERED = re.compile(r"[A-Za-z]{2} ?\d{2} ?\d{2} ?\d{2} ?[A-Da-d]|\d{2} ?\d{6} ?[A-Za-z] ?\d{3}")


def national_ids(text: str) -> Iterator[Span]:
    """Yield national ids, documents, bank accounts and birth dates."""
    if not _DIGIT.search(text):
        return
    for match in _CANDIDATE.finditer(text):
        value = match.group()
        if _LETTERED.fullmatch(value) or any([check(value) for check in _checks()]):
            yield Span(*match.span(), "id")
    for match in _NAME.finditer(text):
        if sum(char.isdigit() for char in match["value"]) >= 4:
            yield Span(*match.span("value"), "id")
    for match in _BIRTH.finditer(text):
        yield Span(*match.span("value"), "birthdate")
