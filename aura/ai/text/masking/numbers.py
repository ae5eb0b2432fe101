"""Detector of card numbers, IBANs and phone numbers, which skips ticket numbers, IP addresses, dates and versions.

python-stdnum checks cards and IBANs, phonenumbers the numbers without a country code. Both check whole numbers; where a number begins
and ends in running text is found here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import cache, lru_cache
from itertools import accumulate

from aura.ai.text.masking.span import Span

#: Groups of digits with up to three separators between them: one number or several.
_RUN = re.compile(r"[0-9]+(?:(?:[ \t()/.-]{1,3}|[ \t-]{0,3}\r?\n[ \t>]{0,4})[0-9]+)*")
_GROUP = re.compile(r"[0-9]+")
#: Characters of the shortest number of any kind.
_SHORTEST = 5

Groups = Sequence[tuple[int, int]]


def numbers(text: str) -> Iterator[Span]:
    """Yield the card numbers, IBANs and phone numbers."""
    for run in _RUN.finditer(text):
        if run.end() - run.start() >= _SHORTEST:
            groups = [group.span() for group in _GROUP.finditer(text, run.start(), run.end())]
            yield from _cards(text, groups)
            for line in _lines(text, groups):
                yield from _phones(text, line)
    yield from _ibans(text)


def _lines(text: str, groups: Groups) -> Iterator[Groups]:
    """Yield the groups of each line."""
    first = 0
    for last in range(1, len(groups) + 1):
        if last == len(groups) or "\n" in text[groups[last - 1][1] : groups[last][0]]:
            yield groups[first:last]
            first = last


# -- cards: 13 to 19 digits that pass Luhn's check, with the same separator or in fours ---------------------------------

#: Lengths of a card number that may continue in the next line; other lengths are lists of numbers.
_BROKEN = (15, 16)


def _cards(text: str, groups: Groups) -> Iterator[Span]:
    digits = "".join(text[start:end] for start, end in groups)
    if len(digits) < 13:
        return
    at = [0, *accumulate(end - start for start, end in groups)]
    for first, (start, _) in enumerate(groups):
        if digits[at[first]] not in "23456":  # first digits of cards
            continue
        gaps: set[str] = set()
        fours, breaks = True, 0
        for last in range(first, min(first + 19, len(groups))):
            length = at[last + 1] - at[first]
            if last > first:
                gap = text[groups[last - 1][1] : groups[last][0]]
                if "\n" in gap:
                    breaks += 1
                else:
                    gaps.add(gap)
            fours = fours and groups[last][1] - groups[last][0] == 4
            if length > 19 or breaks > 1 or (len(gaps) > 1 and not fours):
                break
            if breaks and length not in _BROKEN:
                continue
            if length >= 13 and _is_card(digits[at[first] : at[last + 1]]):
                yield Span(start, groups[last][1], "card")


@cache
def _checks() -> tuple[Callable[[str], bool], Callable[[str], bool]]:
    """Return the checks of cards and IBANs; stdnum is imported at the first candidate, most processes mask no text."""
    from stdnum import iban, luhn

    return luhn.is_valid, iban.is_valid


def _is_card(digits: str) -> bool:
    return _checks()[0](digits)


# -- IBANs: python-stdnum knows the length and the check digits of each country ------------------------------------------

#: The check digits of an IBAN; searching for digits is quicker than for letters.
_IBAN = re.compile(r"[0-9](?<=[A-Za-z]{2}[0-9])[0-9]")
#: Characters of the shortest and the longest IBAN.
_SHORTEST_IBAN, _LONGEST_IBAN = 15, 34


def _ibans(text: str) -> Iterator[Span]:
    for found in _IBAN.finditer(text):
        start = found.start() - 2
        at, gap, value = start + 4, 0, text[start : start + 4]
        head, rest = int(f"{int(value[0], 36)}{int(value[1], 36)}{value[2:]}"), 0
        while len(value) < _LONGEST_IBAN and at < len(text) and gap <= 3:
            char = text[at]
            at += 1
            if char.isascii() and char.isalnum():
                value, gap = value + char, 0
                digit = int(char, 36)
                rest = (rest * (10 if digit < 10 else 100) + digit) % 97
                # most texts end here: asking python-stdnum about each length takes a hundred times as long
                if len(value) >= _SHORTEST_IBAN and (rest * 1_000_000 + head) % 97 == 1 and _is_iban(value):
                    yield Span(start, at, "iban")
                    break
            elif char in " -\t.\r\n":
                gap += 1
            else:
                break


def _is_iban(value: str) -> bool:
    return _checks()[1](value)


# -- phones -------------------------------------------------------------------------------------------------------------

_CALL = re.compile(
    r"\b(?:\w*phone|tel|t[ée]l[ée]?\w*|m[óo]vil|celular|cell?ulare|telem[óo]vel|gsm|kom|kom[óo]rk\w*|ll[áa]m\w*|chiama\w*|appel\w*|joindre|lig(?:a|ue|ar)\w*|bel|bellen|zadzwo\w*|dzwoni\w*|ara\w*|"
    r"(?:mi|mon|mio|il mio|o meu|meu|mijn|m[óo]j)\W{1,3}(?:n[úu]mero?|numer|nummer)|\w*telefon\w*|mobil\w*|\w*handy\w*|cell|call|fax|ruf\w*|durchwahl|dial|sms|whatsapp|erreich\w*|reach|"
    r"(?:my|our|his|her|their|meine|unsere|seine|ihre)\W{1,3}(?:number|nummer))"
    r"\W{0,3}(?:(?:me|us|mich|uns|at|on|is|ist|unter|auf|number|nummer|nr|no|lautet|al|au|est|es|è|é|to|pod|op|n[úu]mero|numer|para|moi|il|o)\W{1,3}){0,3}\(?\+?$",
    re.IGNORECASE,
)
_OTHER_NUMBER = re.compile(
    r"\b(?:ticket|case|incident|inc|request|req|order|invoice|asset|serial|serien|build|version|error|code|article|artikel|part|"
    r"model|bestell\w*|rechnung\w*|auftrag\w*|vorgang\w*|inventar\w*|kunden\w*|fehler\w*|id)"
    r"\W{0,3}(?:(?:nr|no|number|nummer|id|code)\W{0,3})?$",
    re.IGNORECASE,
)
#: Characters before a number that are searched for a word such as "phone" or "ticket".
_CONTEXT = 40


def _phones(text: str, groups: Groups) -> Iterator[Span]:
    for first, (start, _) in enumerate(groups):
        # any group may be the start, also within another number: "call 030 12 0170 1234567"
        last = _phone(text, groups, first)
        if last is not None:
            opening = (
                2 if text[max(0, start - 2) : start] in ("(+", "+(") else text[max(0, start - 1) : start] in tuple("+(")
            )
            yield Span(start - opening, groups[last][1], "phone")


def _phone(text: str, groups: Groups, first: int) -> int | None:
    """Return the last group of the phone number that starts with group ``first``, None if there is none."""
    start, end = groups[first]
    number, before = text[start:end], text[max(0, start - 1) : start]
    # a phone number does not start within a date, a version or an IP address
    if first and before not in tuple(" \t("):
        return None
    if before == "+" and text[max(0, start - 2) : start - 1] not in tuple("+0123456789"):
        return _reach(text, groups, first, 7, 15)
    if before and (before.isalnum() or before in "_#"):
        return None
    if _is_date(text, groups, first):
        return None
    context = "" if first else text[max(0, start - _CONTEXT) : start]
    if _OTHER_NUMBER.search(context):
        return None
    if _CALL.search(context):
        return _reach(text, groups, first, 5, 15)
    if number[:2] == "00" and number[2:3] != "0":
        return _reach(text, groups, first, 10, 17)
    if number[0] == "0" and number[1:2] not in ("", "0"):
        if _is_dotted(text, groups, first):
            return None
        alone = _reach(text, groups, first, 1, 13) == first
        return _reach(text, groups, first, 9 if alone else 7, 13)
    american = _american(text, groups, first)
    return american if american is not None else _national(text, groups, first)


def _reach(text: str, groups: Groups, first: int, least: int, most: int) -> int | None:
    """Return the last group of a number of ``least`` to ``most`` digits, None if there are fewer."""
    digits, last = 0, None
    for place in range(first, len(groups)):
        start, end = groups[place]
        gap = text[groups[place - 1][1] : start] if place > first else ""
        digits += end - start
        if digits > most or ("." in gap and " " in gap):  # the end of a sentence
            break
        last = place if digits >= least else None
    return last


#: Countries whose numbers without a country code begin with no 0.
_REGIONS = ("ES", "IT", "PL", "PT", "BR", "FR", "NL", "GB")
#: Digits of these numbers, and their groups.
_NATIONAL, _NATIONAL_GROUPS = (9, 10, 11), 5


def _national(text: str, groups: Groups, first: int) -> int | None:
    """Return the last group of 612 34 56 78, 338 1234567 or (11) 91234-5678; a number of one group has to be a mobile number."""
    before = (
        text[groups[first - 1][1] : groups[first][0]]
        if first
        else text[max(0, groups[first][0] - 1) : groups[first][0]]
    )
    if (first and before == " ") or before in ("-", ".", "/", ":", ","):
        return None
    for last in range(first, min(first + _NATIONAL_GROUPS, len(groups))):
        digits = "".join(text[start:end] for start, end in groups[first : last + 1])
        gaps = {text[groups[at][1] : groups[at + 1][0]] for at in range(first, last)}
        if (
            len(digits) > _NATIONAL[-1]
            or any("." in gap or "/" in gap for gap in gaps)
            or len(gaps - {" ", ") ", "-", ")"}) > 0
        ):
            return None
        following = text[groups[last][1] : groups[last][1] + 2]
        if following[:1].isalnum() or following[:1] == "_" or (following[:1] in "-./ " and following[1:].isdigit()):
            continue
        if len(digits) in _NATIONAL and _is_national(digits, first == last):
            return last
    return None


@lru_cache(1_000)
def _is_national(digits: str, mobile: bool) -> bool:
    import phonenumbers

    kinds = phonenumbers.PhoneNumberType
    for region in _REGIONS:
        try:
            number = phonenumbers.parse(digits, region)
        except phonenumbers.NumberParseException:
            continue
        if phonenumbers.is_valid_number_for_region(number, region) and (
            not mobile or phonenumbers.number_type(number) == kinds.MOBILE
        ):
            return True
    return False


def _american(text: str, groups: Groups, first: int) -> int | None:
    """Return the last group of (415) 555-2671, 415.555.2671 or 1-415-555-2671."""
    one = text[groups[first][0] : groups[first][1]] == "1"
    three = groups[first + one : first + one + 3]
    if [end - start for start, end in three] != [3, 3, 4] or text[three[0][0]] in "01":
        return None
    following = text[three[2][1] : three[2][1] + 2]
    longer = (
        following[:1].isalnum()
        or following[:1] == "_"
        or (following[:1] in (".", "-", "/") and following[1:].isdigit())
    )
    return None if longer else first + one + 2


def _is_date(text: str, groups: Groups, first: int) -> bool:
    three = groups[first : first + 3]
    if [end - start for start, end in three] not in ([2, 2, 4], [2, 2, 2], [2, 1, 4], [2, 1, 2]):
        return False
    gaps = {text[three[0][1] : three[1][0]], text[three[1][1] : three[2][0]]}
    return len(gaps) == 1 and gaps <= {".", "/", "-"} and not _pairs(groups, first)


def _is_dotted(text: str, groups: Groups, first: int) -> bool:
    """Return whether an IP address or a version starts with group ``first``."""
    three = groups[first : first + 3]
    if len(three) < 3 or not text[three[0][1]] == "." == text[three[1][1]]:
        return False
    lengths = [end - start for start, end in three]
    return (lengths[0] < 3 or max(lengths) < 4) and not _pairs(groups, first)


def _pairs(groups: Groups, first: int) -> bool:
    """Return whether five groups of two digits follow, a French phone number: 06.12.34.56.78."""
    return [end - start for start, end in groups[first : first + 5]] == [2] * 5
