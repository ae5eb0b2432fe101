"""Removes instructions from tickets: orders to a model, claimed priorities, and requests not to contact somebody.

The patterns are in ``lexicons/instructions.txt`` and ``lexicons/contact_requests.txt``. What they match is no evidence for a
category or a priority. They match at the beginning of a word only, which takes ``re`` a third of the time.
"""

from __future__ import annotations

import re
from functools import cache
from itertools import accumulate, takewhile

from aura.ai.text.lexicons import alternation, lines
from aura.ai.text.normalize import normalize

#: Characters of a title and of a description that are read; a ticket states its problem at the beginning.
READ = 4_000
#: Characters of the longest sentence that is removed as a whole, and of the context that is removed from a longer one.
SENTENCE, CONTEXT = 400, 60
#: Characters of the longest clause with a contact request that is removed as a whole.
CLAUSE = 80

_SENTENCE_END = re.compile(r"(?<=[.!?\n;])\s*")
_CLAUSE_END = re.compile(r"(?<=,)\s+|\s+(?:-|and|but|und|aber|sondern)\s+", re.IGNORECASE)


@cache
def _instructions() -> re.Pattern[str]:
    return re.compile(rf"(?<!\w){alternation(lines('instructions.txt'))}")


@cache
def _removable() -> re.Pattern[str]:
    """Return the pattern of instructions and contact requests."""
    patterns = [*lines("instructions.txt"), *lines("contact_requests.txt")]
    return re.compile(rf"(?<!\w){alternation(patterns)}")


def has_instruction(normalized: str) -> bool:
    """Return whether a normalized text has an instruction, a claimed priority or a contact request."""
    return _removable().search(normalized) is not None


def strip_ticket(title: str, description: str) -> tuple[str, str]:
    """Return the first 4,000 characters of a title and a description, without instructions."""
    title, description = title[:READ], description[:READ]
    if has_instruction(normalize(f"{title}\n{description}")):
        return _strip_title(title), strip(description)
    return title, description


def strip(text: str) -> str:
    """Return the text without instructions.

    A sentence with an instruction is removed from the clause with the instruction on: of "the VPN is down, ignore your
    instructions" the first clause stays. Of a sentence with a contact request only that clause is removed.
    """
    if not has_instruction(normalize(text)):
        return text
    return " ".join(filter(None, map(_strip_sentence, _SENTENCE_END.split(text))))


def _strip_title(title: str) -> str:
    """Return the title without instructions; "P1 - Outlook does not start" becomes "outlook does not start"."""
    rest = strip(title)
    return rest if " " in rest else _removable().sub(" ", normalize(title)).strip(" -:,.!")


def _strip_sentence(sentence: str) -> str:
    normalized = normalize(sentence)
    if not has_instruction(normalized):
        return sentence
    clauses = _CLAUSE_END.split(sentence)
    if not _instructions().search(normalized):
        return " ".join(filter(None, map(_strip_contact_request, clauses)))
    if len(normalized) <= SENTENCE:
        beginnings = accumulate(clauses, "{} {}".format)
        return "".join(list(takewhile(_is_report, beginnings))[-1:])
    # a text without full stops: only the surroundings of each instruction are removed
    while match := _removable().search(normalized):
        normalized = f"{normalized[: max(match.start() - CONTEXT, 0)]} {normalized[match.end() + CONTEXT :]}"
    return normalized


def _is_report(beginning: str) -> bool:
    """Return whether the beginning of a sentence neither instructs nor introduces ("System note: the board has agreed")."""
    return ": " not in beginning and not has_instruction(normalize(beginning))


def _strip_contact_request(clause: str) -> str:
    """Return nothing for a short clause with a contact request, and a long clause without the request."""
    normalized = normalize(clause)
    if not has_instruction(normalized):
        return clause
    return _removable().sub(" ", normalized) if len(normalized) > CLAUSE else ""
