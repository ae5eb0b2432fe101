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

from aura.ai.text.alerts import read_alert
from aura.ai.text.circumstances import circumstances, find
from aura.ai.text.content import content
from aura.ai.text.instructions import strip_ticket
from aura.ai.text.language import may_be_foreign
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
    "past": "it is over",
    "question": "it is a question",
    "negated": "the text denies it",
    "planned": "it is planned or supposed",
    "test": "it is a test system",
    "safety": "somebody may be in danger",
    "vip": "it has consequences at once",
    "trifle": "it is a matter of looks or comfort",
    "alert": "the alert says so",
}
#: Urgencies that a sentence about the past or a test system may not cause.
_URGENT = ("pressing", "idle", "stopped")
#: Topics of at least high priority, and beginnings of tickets that are questions.
_GRAVE = re.compile(
    r"\b(?:ransom|erpress|loesegeld|data (?:breach|leak)|datenleck|hack(?:er|ed|ing)|gehackt|malware|trojan|phishing|"
    r"stolen|gestohlen|security incident|(?:files|documents|dateien) (?:\w+ ){0,4}(?:encrypted|verschluesselt))"
)
_QUESTION = re.compile(
    r"(?:how (?:do|can|to)|where (?:do|can|is)|question|request (?:for|to)|feedback|thank|wie |wo |frage|danke)"
)


#: The report of one person about themselves.
_SINGLE = re.compile(
    r"^(?:[^.]{0,60}\. )?(?:i|my|mine|one of|ich|bei mir|mein\w*|an meine\w|je|mon|ma|mi|yo|il mio|la mia|o meu|a minha|mijn|ik|moj\w?|nie moge)\b"
)


_CLAIMED = re.compile(
    r"\b(?:urgent\w*|asap|immediately|quickly|right now|now|hurry|as soon as possible|high prio\w*|dringend\w*|sofort\w*|umgehend|eil\w*|schnell\w*|"
    r"urgente|pilne|acil|spoed)\b"
)


#: Words of which each denial has one; searching for them is quicker.
_DENIAL = re.compile(
    r"n't|\b(?:no|not|none|nobody|kein\w*|nicht|niemand|pas|aucun\w*|ningun\w*|non|nessun\w*|nao|nenhum\w*|geen|niet|nie)\b"
)


class _Level(NamedTuple):
    """A level of impact or urgency and its phrases."""

    kind: str
    level: str
    pattern: re.Pattern[str]


@cache
def _levels(file: str = "urgency.txt") -> list[_Level]:
    """Return the levels in the order of the file; adjacent lines of one level become one pattern."""
    rows = [line.partition(" ") for line in lines(file)]
    return [
        _Level(
            "impact" if level in _IMPACTS else "halted" if level == "halted" else "urgency",
            level,
            re.compile(rf"(?<!\w){alternation([phrase for _, _, phrase in group])}\b"),
        )
        for level, group in groupby(rows, key=lambda row: row[0])
    ]


class Assessment(NamedTuple):
    """Impact, urgency, the priority of the two, and the evidence: pairs of a level and the phrase of the ticket.

    The priority of a verdict is at least `lowest` and at most `highest`, because of the phrase in `bound`.
    """

    impact: str
    urgency: str
    priority: str
    evidence: tuple[tuple[str, str], ...]
    lowest: str = "low"
    highest: str = "critical"
    bound: tuple[str, str] = ("", "")

    def reason(self) -> str:
        """Return the evidence as text, empty without evidence."""
        bound = (self.bound,) if self.bound[0] else ()
        return ", ".join(f'{_REASONS[level]} ("{phrase}")' for level, phrase in (*self.evidence, *bound))

    def bounded(self, priority: str) -> str:
        """Return the priority within the bounds."""
        rank = PRIORITIES.index(priority)
        return PRIORITIES[min(max(rank, PRIORITIES.index(self.lowest)), PRIORITIES.index(self.highest))]


def assess(normalized: str) -> Assessment:
    """Return impact and urgency of a normalized text: of each, the first level of the file with a phrase in the text.

    Only sentences that report something now count, see `aura.ai.text.circumstances`; an alert of a program has the priority that
    `aura.ai.text.alerts` reads.
    """
    if alert := read_alert(normalized):
        urgency = "stopped" if alert.priority in ("high", "critical") else "normal"
        bound = ("alert", alert.phrase or "alert")
        return Assessment("person", urgency, alert.priority, (), alert.priority, alert.priority, bound)
    foreign = may_be_foreign(normalized)
    matches = _matches(normalized, foreign)
    damped: tuple[str, str] = ("", "")
    if matches.get("urgency", ("", ""))[0] in _URGENT or "impact" in matches:
        seen = circumstances(normalized, foreign)
        if seen.damped:
            matches, damped = _matches(seen.reported, foreign), seen.damped[0]
    elif _DENIAL.search(normalized) and (phrase := find("negated", normalized, foreign)):
        damped = "negated", phrase
    impact, _ = matches.get("impact", ("person", ""))
    urgency, _ = matches.get("urgency", ("normal", ""))
    evidence = tuple(matches[kind] for kind in ("impact", "urgency") if kind in matches)
    assessment = Assessment(impact, urgency, _MATRIX[impact][urgency], evidence)
    return _within_bounds(assessment, normalized, damped, foreign)


def _matches(normalized: str, foreign: bool) -> dict[str, tuple[str, str]]:
    matches: dict[str, tuple[str, str]] = {}
    for kind, level, pattern in [*_levels(), *(_levels("urgency_foreign.txt") if foreign else ())]:
        if kind == "halted" and "impact" not in matches:
            continue
        if kind not in matches and (match := pattern.search(normalized)):
            matches[kind] = level, match.group()[:QUOTED]
    if (phrase := matches.pop("halted", None)) and matches.get("urgency", ("",))[0] in ("", "pressing", "idle"):
        matches["urgency"] = "stopped", phrase[1]
    return matches


def _within_bounds(assessment: Assessment, normalized: str, damped: tuple[str, str], foreign: bool) -> Assessment:
    """Return the assessment with the bounds that its circumstances set."""
    urgent = assessment.urgency in _URGENT
    if damped[0] and not (urgent or assessment.impact == "everyone"):
        return assessment._replace(priority=min_priority(assessment.priority, "medium"), highest="medium", bound=damped)
    bounding = bool(find("bounding", normalized, foreign))
    if bounding and not damped[0] and (phrase := find("safety", normalized, foreign)):
        return assessment._replace(
            priority=max_priority(assessment.priority, "high"), lowest="high", bound=("safety", phrase)
        )
    if assessment.priority == "critical":
        return assessment._replace(lowest="critical")
    if (
        bounding
        and assessment.urgency != "wish"
        and not damped[0]
        and (phrase := find("vip", normalized, foreign))
        and find("moment", normalized, foreign)
    ):
        return assessment._replace(
            priority=max_priority(assessment.priority, "high"), lowest="high", bound=("vip", phrase)
        )
    if (
        bounding
        and assessment.impact == "person"
        and assessment.urgency != "idle"
        and (phrase := find("trifle", normalized, foreign))
    ):
        return assessment._replace(priority="low", highest="low" if urgent else "medium", bound=("trifle", phrase))
    # critical needs several people; an engine may still answer it where the rules know no phrase for them
    highest = "high" if assessment.urgency in ("wish", "eased") or _SINGLE.search(normalized) else "critical"
    # "urgent" alone says what the requester wants
    claimed = assessment.urgency == "pressing" and _CLAIMED.search(dict(assessment.evidence)["pressing"])
    lowest = "high" if assessment.priority == "high" and not claimed else "low"
    return assessment._replace(lowest=lowest, highest=highest)


def min_priority(one: str, other: str) -> str:
    """Return the lower of two priorities."""
    return min(one, other, key=PRIORITIES.index)


def max_priority(one: str, other: str) -> str:
    """Return the higher of two priorities."""
    return max(one, other, key=PRIORITIES.index)


def assessed_text(title: str, description: str) -> str:
    """Return title and description as one normalized text, in which the title is a sentence."""
    end = "" if title[-1:] in ".!?:;" else "." if title else ""
    return normalize(f"{title}{end}\n{description}")


def lift(priority: str, claimed: str | None) -> str:
    """Return the priority, one level higher if the requester claims more; a claim alone never makes it critical."""
    if priority not in ("low", "medium") or claimed not in PRIORITIES:
        return priority
    rank = PRIORITIES.index(priority)
    return PRIORITIES[rank + 1] if PRIORITIES.index(claimed) > rank else priority


def first_priority(title: str, description: str, claimed: str | None = None) -> str:
    """Return low, medium, high or critical by rules alone, before an engine classifies the ticket."""
    text = assessed_text(*strip_ticket(*content(title, description)))
    priority = assess(text).priority
    if priority in ("low", "medium") and _GRAVE.search(text):
        priority = "high"
    elif priority == "medium" and _QUESTION.match(text):
        priority = "low"
    return lift(priority, claimed)
