"""Priority rules: impact and urgency by the wording of a ticket, in English and German, and the priority of the two.

Impact is how many are affected: "person", "team" or "everyone". Urgency is how badly: "wish", "eased" (there is a
workaround), "normal", "pressing", "idle" (the affected cannot work) or "stopped" (a system or a business stands still). The
phrases are in ``lexicons/urgency.txt``. Instructions in the ticket are no evidence, see ``aura.ai.text.instructions``.
"""

from __future__ import annotations

import re
from functools import cache
from itertools import groupby
from typing import NamedTuple

from aura.ai.text.content import content
from aura.ai.text.instructions import strip_ticket
from aura.ai.text.lexicons import alternation, lines
from aura.ai.text.normalize import normalize
from aura.settings import PRIORITIES

#: Characters of a phrase that a reason quotes.
QUOTED = 40

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
_REASONS = {
    "team": "several people are affected",
    "everyone": "the whole organisation or its customers are affected",
    "wish": "it can wait",
    "eased": "there is a workaround",
    "pressing": "it is pressing",
    "idle": "those affected cannot work",
    "stopped": "work or a system has stopped",
}
#: Topics of at least high priority, and beginnings of tickets that are questions.
_GRAVE = re.compile(
    r"\b(?:ransom|erpress|loesegeld|data (?:breach|leak)|datenleck|hack(?:er|ed|ing)|gehackt|malware|trojan|phishing|"
    r"stolen|gestohlen|security incident|(?:files|documents|dateien) (?:\w+ ){0,4}(?:encrypted|verschluesselt))"
)
_QUESTION = re.compile(
    r"(?:how (?:do|can|to)|where (?:do|can|is)|question|request (?:for|to)|feedback|thank|wie |wo |frage|danke)"
)


class _Level(NamedTuple):
    """A level of impact or urgency and its phrases."""

    kind: str
    level: str
    pattern: re.Pattern[str]


@cache
def _levels() -> list[_Level]:
    """Return the levels in the order of the file; adjacent lines of one level become one pattern."""
    rows = [line.partition(" ") for line in lines("urgency.txt")]
    return [
        _Level(
            "impact" if level in _IMPACTS else "urgency",
            level,
            re.compile(rf"(?<!\w){alternation([phrase for _, _, phrase in group])}\b"),
        )
        for level, group in groupby(rows, key=lambda row: row[0])
    ]


class Assessment(NamedTuple):
    """Impact, urgency, the priority of the two, and the evidence: pairs of a level and the phrase of the ticket."""

    impact: str
    urgency: str
    priority: str
    evidence: tuple[tuple[str, str], ...]

    def reason(self) -> str:
        """Return the evidence as text, empty without evidence."""
        return ", ".join(f'{_REASONS[level]} ("{phrase}")' for level, phrase in self.evidence)


def assess(normalized: str) -> Assessment:
    """Return impact and urgency of a normalized text: of each, the first level of the file with a phrase in the text."""
    matches: dict[str, tuple[str, str]] = {}
    for kind, level, pattern in _levels():
        if kind not in matches and (match := pattern.search(normalized)):
            matches[kind] = level, match.group()[:QUOTED]
    impact, _ = matches.get("impact", ("person", ""))
    urgency, _ = matches.get("urgency", ("normal", ""))
    evidence = tuple(matches[kind] for kind in ("impact", "urgency") if kind in matches)
    return Assessment(impact, urgency, _MATRIX[impact][urgency], evidence)


def lift(priority: str, claimed: str | None) -> str:
    """Return the priority, one level higher if the requester claims more; a claim alone never makes it critical."""
    if priority not in ("low", "medium") or claimed not in PRIORITIES:
        return priority
    rank = PRIORITIES.index(priority)
    return PRIORITIES[rank + 1] if PRIORITIES.index(claimed) > rank else priority


def first_priority(title: str, description: str, claimed: str | None = None) -> str:
    """Return low, medium, high or critical by rules alone, before an engine classifies the ticket."""
    text = normalize("\n".join(strip_ticket(*content(title, description))))
    priority = assess(text).priority
    if priority in ("low", "medium") and _GRAVE.search(text):
        priority = "high"
    elif priority == "medium" and _QUESTION.match(text):
        priority = "low"
    return lift(priority, claimed)
