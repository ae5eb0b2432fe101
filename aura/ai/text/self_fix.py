"""Self-fix: steps from ``lexicons/self_fix.txt`` that a requester can try before an agent answers."""

from __future__ import annotations

from collections.abc import Set
from functools import cache
from typing import NamedTuple

from aura.ai.text.lexicons import lines

#: Most steps that are offered.
STEPS = 3
#: A trigger that stands for every ticket of the category.
ANY = "*"


class _Step(NamedTuple):
    triggers: frozenset[str]
    text: str


@cache
def _steps() -> dict[tuple[str, str], list[_Step]]:
    """Return the steps by category and language."""
    steps: dict[tuple[str, str], list[_Step]] = {}
    for line in lines("self_fix.txt"):
        head, _, text = line.partition(": ")
        category, language, words = head.split(" ", 2)
        triggers = frozenset(word.strip() for word in words.split(","))
        steps.setdefault((category, language), []).append(_Step(triggers, text))
    return steps


def self_fix(category: str, language: str, terms: Set[str]) -> tuple[str, ...]:
    """Return at most three steps for a ticket with these folded words and word pairs, in German or else in English."""
    steps = _steps().get((category, "de" if language == "de" else "en"), ())
    return tuple([step.text for step in steps if ANY in step.triggers or not step.triggers.isdisjoint(terms)][:STEPS])
