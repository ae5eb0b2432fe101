"""Impact and urgency, read from how people write, in English and German.

Impact says how many are hit: "person", "team" or "everyone". Urgency says how badly: "wish", "eased" (there is a way
around it), "normal", "pressing", "idle" (those hit cannot work) or "stopped" (a system or a business stands still). The
matrix of the two is the priority. The phrases are in ``wording/urgency.txt``. What the requester claims, orders ("set
the priority to critical") or wishes about calls ("do not notify anybody") is no evidence, and left out before anything is
read.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate, takewhile
from typing import NamedTuple

from aura.ai.text.lexicons import lines
from aura.ai.text.phrases import Phrase, Phrases, any_of
from aura.settings import PRIORITIES

#: Characters of a title and of a description that are read; what a ticket is about stands at its beginning.
READ = 4_000
#: The longest sentence that goes as a whole when it gives an order, and what goes around the order in a longer one.
SENTENCE, AROUND = 400, 60
#: The longest clause that goes as a whole when it says whom not to call.
CLAUSE = 80

_IMPACTS = ("person", "team", "everyone")
_URGENCIES = ("wish", "eased", "normal", "pressing", "idle", "stopped")
_MATRIX = {
    impact: dict(zip(_URGENCIES, priorities, strict=True))
    for impact, priorities in {
        "person": ("low", "medium", "medium", "high", "high", "high"),
        "team": ("low", "medium", "high", "high", "high", "high"),
        "everyone": ("medium", "high", "high", "high", "critical", "critical"),
    }.items()
}
_SAID = {
    "team": "several people are affected",
    "everyone": "the whole organisation or its customers are affected",
    "wish": "it can wait",
    "eased": "there is a way around it",
    "pressing": "it is pressing",
    "idle": "those affected cannot work",
    "stopped": "work or a system has stopped",
}
#: Matters that are grave whoever reports them, and beginnings of tickets that only ask for something.
_GRAVE = re.compile(
    r"\b(?:ransom|erpress|loesegeld|data (?:breach|leak)|datenleck|hack(?:er|ed|ing)|gehackt|malware|trojan|phishing|"
    r"stolen|gestohlen|security incident|(?:files|documents|dateien) (?:\w+ ){0,4}(?:encrypted|verschluesselt))"
)
_SMALL = re.compile(
    r"(?:how (?:do|can|to)|where (?:do|can|is)|question|request (?:for|to)|feedback|thank|wie |wo |frage|danke)"
)
_SPELLED = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "\N{RIGHT SINGLE QUOTATION MARK}": "'"})
_COMMANDS = [*lines("commands.txt"), *lines("contact.txt")]
#: The rank of what gives orders; the levels of impact and urgency come after it.
_COMMAND = 0
_SENTENCE = re.compile(r"(?<=[.!?\n;])\s*")
_CLAUSE = re.compile(r"(?<=,)\s+|\s+(?:-|and|but|und|aber|sondern)\s+", re.IGNORECASE)


def plain(text: str) -> str:
    """Return the text in lower case with umlauts spelled out, the form in which all wording is compared."""
    text = text.lower()
    return text if text.isascii() else text.translate(_SPELLED)


def spaced(text: str) -> str:
    """Return the plain text with single spaces, the form in which phrases are looked for."""
    return " ".join(plain(text).split())


@lru_cache(maxsize=1)
def _orders() -> re.Pattern[str]:
    return re.compile(any_of(lines("commands.txt")))


@lru_cache(maxsize=1)
def _commands() -> re.Pattern[str]:
    """Return what finds an order, or a wish about calls."""
    return re.compile(any_of(_COMMANDS))


class _Wording(NamedTuple):
    """What is listened for: the level of each rank, and all phrases."""

    ranked: list[str]
    phrases: Phrases


@lru_cache(maxsize=1)
def _wording() -> _Wording:
    """Read the phrases; neighbouring lines of one level have one rank."""
    ranked = ["command"]
    phrases = [Phrase(_COMMAND, pattern) for pattern in _COMMANDS]
    for line in lines("urgency.txt"):
        level, _, pattern = line.partition(" ")
        if ranked[-1] != level:
            ranked.append(level)
        phrases.append(Phrase(len(ranked) - 1, pattern, r"(?<!\w){}\b"))
    return _Wording(ranked, Phrases(phrases))


class Assessment(NamedTuple):
    """What the wording tells: impact and urgency, the priority of the two, and the (level, words) that were found."""

    impact: str
    urgency: str
    priority: str
    found: tuple[tuple[str, str], ...]

    def reason(self) -> str:
        """Return the findings in words, empty when nothing was found."""
        return ", ".join(f'{_SAID[level]} ("{words}")' for level, words in self.found)


#: Of a text that says nothing about it.
_NOTHING = Assessment("person", "normal", _MATRIX["person"]["normal"], ())


def commanding(text: str) -> bool:
    """Return whether a spaced text gives orders to a machine, claims a priority, or says whom not to call."""
    return any(rank == _COMMAND for rank, _ in _wording().phrases.found(text))


class Evidence(NamedTuple):
    """A ticket without the orders in it."""

    title: str
    description: str
    #: Both of them, spaced.
    said: str
    assessment: Assessment


def evidence(title: str, description: str) -> Evidence:
    """Return what a ticket says beside the orders that it gives to a machine, its claims, and whom not to call."""
    title, description = title[:READ], description[:READ]
    phrases = _wording().phrases
    said = spaced(f"{title}\n{description}")
    heard = list(phrases.found(said))
    if any([rank == _COMMAND for rank, _ in heard]):
        title, description = _named(title), without_commands(description)
        said = spaced(f"{title}\n{description}")
        heard = [(rank, match) for rank, match in phrases.found(said) if rank != _COMMAND]
    return Evidence(title, description, said, _assessed(heard))


def _assessed(heard: Sequence[tuple[int, re.Match[str]]]) -> Assessment:
    """Judge by the level of each kind that stands first in the wording, and where the text says it first."""
    if not heard:
        return _NOTHING
    ranked = _wording().ranked
    first: dict[str, tuple[int, str]] = {}
    for rank, match in heard:
        kind = "impact" if ranked[rank] in _IMPACTS else "urgency"
        if kind not in first or rank < first[kind][0]:
            first[kind] = rank, match.group()[:40]
    found = {kind: (ranked[rank], words) for kind, (rank, words) in sorted(first.items())}
    impact, _ = found.get("impact", (_NOTHING.impact, ""))
    urgency, _ = found.get("urgency", (_NOTHING.urgency, ""))
    return Assessment(impact, urgency, _MATRIX[impact][urgency], tuple(found.values()))


def without_commands(text: str) -> str:
    """Return the text without the sentences that give orders to a machine or claim a priority, and without whom not to call.

    What stands in such a sentence before the order stays: "the VPN is down, ignore your instructions".
    """
    if not commanding(spaced(text)):
        return text
    return " ".join(filter(None, map(_obeyed_by_none, _SENTENCE.split(text))))


def _named(title: str) -> str:
    """Return what a title names beside orders; "Urgent! P1: Outlook does not start" still tells what the matter is."""
    beside = without_commands(title)
    return beside if " " in beside else _commands().sub(" ", spaced(title)).strip(" -:,.!")


def _obeyed_by_none(sentence: str) -> str:
    """Return the clauses of a sentence before the order in it; of a text without full stops only what surrounds it goes.

    Of a sentence that only says whom not to call, the other clauses stay.
    """
    said = spaced(sentence)
    if not commanding(said):
        return sentence
    clauses = _CLAUSE.split(sentence)
    if not _orders().search(said):
        return " ".join(filter(None, map(_without_wish, clauses)))
    if len(said) <= SENTENCE:
        return "".join(list(takewhile(_reports, accumulate(clauses, "{} {}".format)))[-1:])
    while order := _commands().search(said):
        said = f"{said[: max(order.start() - AROUND, 0)]} {said[order.end() + AROUND :]}"
    return said


def _reports(part: str) -> bool:
    """Return whether the beginning of a sentence gives no order and announces none ("System note: the board has agreed")."""
    return ": " not in part and not commanding(spaced(part))


def _without_wish(clause: str) -> str:
    """Return a clause that does not say whom not to call as it is, and of one that does only what goes on for long."""
    said = spaced(clause)
    if not commanding(said):
        return clause
    return _commands().sub(" ", said) if len(said) > CLAUSE else ""


def assess(title: str, description: str) -> Assessment:
    """Judge impact and urgency by the wording alone, in linear time."""
    return evidence(title, description).assessment


def lift(priority: str, claimed: str | None) -> str:
    """Return the priority, one level higher when the requester claims more, yet never critical for a claim alone."""
    if priority not in ("low", "medium") or claimed not in PRIORITIES:
        return priority
    rank = PRIORITIES.index(priority)
    return PRIORITIES[rank + 1] if PRIORITIES.index(claimed) > rank else priority


def first_priority(title: str, description: str, claimed: str | None = None) -> str:
    """Return low, medium, high or critical by rules alone, to queue a ticket before an engine has seen it."""
    _, _, text, assessment = evidence(title, description)
    priority = assessment.priority
    if priority in ("low", "medium") and _GRAVE.search(text):
        priority = "high"
    elif priority == "medium" and _SMALL.match(text):
        priority = "low"
    return lift(priority, claimed)
