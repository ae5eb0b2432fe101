"""Circumstances of a ticket that bound its priority: past, question, negation, test system, safety, people, trifles.

A classifier reads words: "the database was down last week" has those of an outage. The sentences of a ticket that report
nothing now do not count for impact and urgency, and the rest bounds the priority of every local verdict. The phrases are in
``lexicons/circumstances.txt``.
"""

from __future__ import annotations

import re
from functools import cache
from itertools import groupby
from typing import NamedTuple

from aura.ai.text.lexicons import alternation, lines

#: Kinds of sentences that report nothing that stands still now.
DAMPING = ("past", "question", "negated", "planned", "test")
#: Kinds that bound a priority by themselves.
BOUNDING = ("safety", "vip", "trifle")
#: Patterns of several kinds: most texts have none of them, which one search finds out.
_UNIONS = {"damping": DAMPING, "bounding": BOUNDING}
#: Characters of a sentence that are searched.
READ = 600

_SENTENCE = re.compile(r"(?<=[.!?;])\s+|\s+(?:but|aber|mais|pero|ma|mas|maar|ale)\s+")


@cache
def _patterns(foreign: bool) -> dict[str, re.Pattern[str]]:
    files = ["circumstances.txt", "circumstances_foreign.txt"][: 1 + foreign]
    rows = sorted((line.partition(" ") for file in files for line in lines(file)), key=lambda row: row[0])
    phrases = {kind: [phrase for _, _, phrase in group] for kind, group in groupby(rows, key=lambda row: row[0])}
    unions = {name: [phrase for kind in kinds for phrase in phrases[kind]] for name, kinds in _UNIONS.items()}
    return {kind: re.compile(rf"(?<!\w){alternation(each)}(?!\w)") for kind, each in (phrases | unions).items()}


class Circumstances(NamedTuple):
    """The sentences that report something now, and the kinds of all others with the phrase that says so."""

    reported: str
    damped: tuple[tuple[str, str], ...]


def circumstances(normalized: str, foreign: bool = True) -> Circumstances:
    """Return the sentences of a normalized text that report something now; at most 20 sentences are searched.

    `foreign`: the text may be in another language than English and German.
    """
    reported: list[str] = []
    damped: list[tuple[str, str]] = []
    for sentence in _SENTENCE.split(normalized, 20):
        if kind := _damping(sentence[:READ], foreign):
            damped.append(kind)
        else:
            reported.append(sentence)
    return Circumstances(" ".join(reported), tuple(damped))


def _damping(sentence: str, foreign: bool) -> tuple[str, str] | None:
    patterns = _patterns(foreign)
    if not patterns["damping"].search(sentence):
        return None
    for kind in DAMPING:
        if found := patterns[kind].search(sentence):
            if kind == "test" and patterns["live"].search(sentence.replace(found.group(), " ")):
                continue
            if kind in ("past", "negated") and patterns["ongoing"].search(sentence):
                continue
            return kind, found.group()[:40]
    return None


def find(kind: str, normalized: str, foreign: bool = True) -> str:
    """Return the phrase of a kind ("safety", "vip", "moment", "trifle", or "bounding" for any) in a text, empty without one."""
    found = _patterns(foreign)[kind].search(normalized)
    return found.group()[:40] if found else ""
