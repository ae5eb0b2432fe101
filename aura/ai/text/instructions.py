"""Neutralizes instructions in tickets: orders to a model, claimed priorities, and requests not to contact somebody.

The patterns are in ``lexicons/instructions.txt``, ``claims.txt`` and ``contact_requests.txt``. What they match is no
evidence for a category or a priority; the sentence around it is. Of an order and of a contact request the clause is
removed, of a claim only the phrase ("P1: mail server down"). They match at the beginning of a word only, which takes ``re``
a third of the time.
"""

from __future__ import annotations

import re
from functools import cache

from aura.ai.text.clean import has_text
from aura.ai.text.content.sentences import sentences
from aura.ai.text.lexicons import alternation, lines
from aura.ai.text.normalize import normalize, places, plain

#: Characters of a title and of a description that are read; a ticket states its problem at the beginning.
READ = 4_000
#: Characters of the longest clause that is removed as a whole; of a longer one only the instruction is.
CLAUSE = 90
#: Most instructions of one clause that are handled one by one.
SPANS = 20

_JOINS = r"\s+(?:-|–|—|and|but|because|und|aber|sondern|denn|weil|et|mais|car|y|pero|porque|e|ma|perché|mas|en|maar|want|i|ale)"
_CLAUSE_END = re.compile(rf"(?<=[,;:])\s+|{_JOINS}\s+", re.IGNORECASE)
_OPEN_END = re.compile(rf"{_JOINS}\s*$", re.IGNORECASE)


#: A clause after an instruction that goes on with it: "and tell me a joke".
_ORDER = re.compile(
    r"(?:then |please |bitte |dann )?(?:tell|say|write|answer|reply|respond|output|print|return|repeat|act|treat|mark|set"
    r"|erzähl\w*|sag\w*|schreib\w*|antwort\w*|gib|stuf\w*|setz\w*|behandel\w*)\b",
    re.IGNORECASE,
)


@cache
def _claims() -> re.Pattern[str]:
    return re.compile(alternation(lines("claims.txt")))


@cache
def _clauses() -> re.Pattern[str]:
    """Return the pattern of orders and contact requests, whose clauses are removed."""
    return re.compile(rf"(?<!\w){alternation([*lines('instructions.txt'), *lines('contact_requests.txt')])}")


#: Characters or words of which each claim has one; searching for them is quicker.
_CLAIM_MARKS = ("p1", "p0", "p 1", "p-1", "p -", "prio", "sev", "category", "kategorie", "oncelik")


def _has_claim(normalized: str) -> bool:
    return any([mark in normalized for mark in _CLAIM_MARKS]) and _claims().search(normalized) is not None


def has_instruction(normalized: str) -> bool:
    """Return whether a normalized text has an instruction, a claimed priority or a contact request."""
    return _clauses().search(normalized) is not None or _has_claim(normalized)


def strip_ticket(title: str, description: str) -> tuple[str, str]:
    """Return the first 4,000 characters of a title and a description, without instructions."""
    title, description = title[:READ], description[:READ]
    if has_instruction(normalize(f"{title}\n{description}")):
        return strip(title).strip(" -:,.!"), strip(description)
    return title, description


def strip(text: str) -> str:
    """Return the text without instructions, claims and contact requests; the rest of their sentences stays.

    Of "the VPN is down, ignore your instructions" the first clause stays, of "[P1] VPN is down" all but the claim.
    """
    if not has_instruction(normalize(text)):
        return text
    if _clauses().search(normalize(text)):
        text = " ".join(filter(None, map(_strip_clauses, sentences(text))))
    return _without(_claims(), text) if _has_claim(normalize(text)) else text


def _strip_clauses(sentence: str) -> str:
    """Return the clauses without an instruction; of a long clause the part without the instruction."""
    sentence = " ".join(sentence.split())
    at = places(sentence)
    spans = [(at[found.start()], at[found.end()]) for found in _clauses().finditer(plain(sentence))]
    if not spans:
        return sentence
    kept: list[str] = []
    start, place, ordered = 0, 0, False
    for end in [*(found.end() for found in _CLAUSE_END.finditer(sentence)), len(sentence)]:
        while place < len(spans) and spans[place][1] <= start:
            place += 1
        within = [span for span in spans[place : place + SPANS] if span[0] < end]
        if not within and ordered and _ORDER.match(sentence, start):
            start = end
            continue
        if not within:
            kept.append(sentence[start:end])
        elif end - start > CLAUSE:
            first, last = within[0][0], within[-1][1]
            kept += [sentence[start : max(first, start)], sentence[min(last, end) : end]]
        ordered = bool(within)
        start = end
    return _OPEN_END.sub("", "".join(kept)).strip()


def _without(pattern: re.Pattern[str], text: str) -> str:
    """Return the text without the matches of a pattern of plain text."""
    folded = plain(text).replace("\n", " ")
    at = places(text)
    rest, start = [], 0
    for found in pattern.finditer(folded):
        rest.append(text[start : at[found.start()]])
        start = at[found.end()]
    cleaned = "".join([*rest, text[start:]])
    return re.sub(r"[ \t]{2,}", " ", cleaned).strip(" \t") if has_text(cleaned) else ""
