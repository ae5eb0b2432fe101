from __future__ import annotations

import re

import pytest

from aura.ai.text.features import ticket_words
from aura.ai.text.lexicons import alternation, lines, words
from aura.ai.training.data import CATEGORIES

PATTERNS = {
    "urgency.txt": [line.partition(" ")[2] for line in lines("urgency.txt")],
    "instructions.txt": lines("instructions.txt"),
    "contact_requests.txt": lines("contact_requests.txt"),
}


def test_comments_and_empty_lines_are_left_out() -> None:
    assert "" not in lines("english.txt") and not [line for line in lines("english.txt") if line.startswith("#")]
    assert {"the", "and"} <= words("english.txt")


def test_an_alternation_matches_like_each_of_its_patterns() -> None:
    pattern = re.compile(alternation(["(red|blue) car", r"\(m\)", "train(?!ing)"]))
    matches = [match.group() for match in pattern.finditer("a blue car, a (m), training, a train")]
    assert matches == ["blue car", "(m)", "train"]


@pytest.mark.parametrize("name", PATTERNS)
def test_every_pattern_of_a_lexicon_compiles_without_captures_and_matches_no_empty_text(name: str) -> None:
    for pattern in PATTERNS[name]:
        compiled = re.compile(alternation([pattern]))
        assert compiled.groups == 0 and compiled.search("") is None, pattern


def test_the_steps_of_the_self_fix_lexicon_are_well_formed() -> None:
    for line in lines("self_fix.txt"):
        head, _, step = line.partition(": ")
        category, language, triggers = head.split(" ", 2)
        assert category in CATEGORIES and language in ("en", "de") and step.endswith(".")
        for trigger in triggers.split(","):
            assert trigger.strip() == "*" or " ".join(ticket_words("", trigger)) == trigger.strip()


@pytest.mark.parametrize("name", ["negative.txt", "positive.txt"])
def test_the_terms_of_the_sentiment_lexicons_are_normalized_words_or_pairs(name: str) -> None:
    assert all(" ".join(ticket_words("", term)) == term and term.count(" ") <= 1 for term in lines(name))
