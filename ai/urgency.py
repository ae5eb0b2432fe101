"""Impact and urgency, read from how people write, in English and German.

Impact says how many are hit: "person", "team" or "everyone". Urgency says how badly: "wish", "normal", "pressing",
"idle" (those hit cannot work) or "stopped" (a system or a business stands still). The matrix of the two is the
priority. The phrases are in ``wording/urgency.txt``. What the requester claims, or orders ("set the priority to
critical"), is no evidence: such sentences are left out before anything is read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from ai.wording import lines
from settings import PRIORITIES

#: Characters of a ticket that are read.
READ = 6_000

_IMPACTS = ("person", "team", "everyone")
_MATRIX = {
    "person": {"wish": "low", "normal": "medium", "pressing": "high", "idle": "high", "stopped": "high"},
    "team": {"wish": "low", "normal": "high", "pressing": "high", "idle": "high", "stopped": "high"},
    "everyone": {"wish": "medium", "normal": "high", "pressing": "high", "idle": "critical", "stopped": "critical"},
}
_SAID = {
    "team": "several people are affected",
    "everyone": "the whole organisation or its customers are affected",
    "wish": "it can wait",
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
_SENTENCE = re.compile(r"(?<=[.!?\n;])\s*")


def plain(text: str) -> str:
    """Return the text in lower case with umlauts spelled out, the form in which all wording is compared."""
    return text.lower().translate(_SPELLED)


def _spaced(text: str) -> str:
    return " ".join(plain(text).split())


@lru_cache(maxsize=1)
def _commands() -> re.Pattern[str]:
    return re.compile("|".join(lines("commands.txt")))


@lru_cache(maxsize=1)
def _phrases() -> tuple[list[tuple[str, re.Pattern[str]]], list[tuple[str, re.Pattern[str]]]]:
    """Return the impact and the urgency phrases; neighbouring lines of one level become one expression."""
    runs: list[tuple[str, list[str]]] = []
    for line in lines("urgency.txt"):
        level, _, pattern = line.partition(" ")
        if not runs or runs[-1][0] != level:
            runs.append((level, []))
        runs[-1][1].append(pattern)
    compiled = [(level, re.compile(rf"\b(?:{'|'.join(patterns)})\b")) for level, patterns in runs]
    return [c for c in compiled if c[0] in _IMPACTS], [c for c in compiled if c[0] not in _IMPACTS]


@dataclass(frozen=True, slots=True)
class Assessment:
    """What the wording tells: impact and urgency, the priority of the two, and the (level, words) that were found."""

    impact: str
    urgency: str
    priority: str
    found: tuple[tuple[str, str], ...]

    def reason(self) -> str:
        """Return the findings in words, empty when nothing was found."""
        return ", ".join(f'{_SAID[level]} ("{words}")' for level, words in self.found)


def without_commands(text: str) -> str:
    """Return the text without the sentences that give orders to a machine or claim a priority."""
    text, commands = text[:READ], _commands()
    if not commands.search(_spaced(text)):
        return text
    return " ".join(part for part in _SENTENCE.split(text) if part and not commands.search(_spaced(part)))


def assess(title: str, description: str) -> Assessment:
    """Judge impact and urgency by the wording alone. Reads the first 6,000 characters, in linear time."""
    return judge(without_commands(f"{title}\n{description}"))


def judge(text: str) -> Assessment:
    """Judge a text that orders were already taken out of, see ``assess``."""
    text = _spaced(text)
    levels = {"impact": "person", "urgency": "normal"}
    found: list[tuple[str, str]] = []
    for kind, phrases in zip(levels, _phrases(), strict=True):
        for level, pattern in phrases:
            if match := pattern.search(text):
                levels[kind] = level
                found.append((level, match.group()[:40]))
                break
    impact, urgency = levels["impact"], levels["urgency"]
    return Assessment(impact, urgency, _MATRIX[impact][urgency], tuple(found))


def lift(priority: str, claimed: str | None) -> str:
    """Return the priority, one level higher when the requester claims more, yet never critical for a claim alone."""
    if priority not in ("low", "medium") or claimed not in PRIORITIES:
        return priority
    rank = PRIORITIES.index(priority)
    return PRIORITIES[rank + 1] if PRIORITIES.index(claimed) > rank else priority


def first_priority(title: str, description: str, claimed: str | None = None) -> str:
    """Return low, medium, high or critical by rules alone, to queue a ticket before an engine has seen it."""
    text = without_commands(f"{title}\n{description}")
    priority = judge(text).priority
    text = _spaced(text)
    if priority in ("low", "medium") and _GRAVE.search(text):
        priority = "high"
    elif priority == "medium" and _SMALL.match(text):
        priority = "low"
    return lift(priority, claimed)
