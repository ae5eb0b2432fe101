from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aura.ai.text.lexicons import lines
from aura.ai.text.phrases import Phrase, Phrases, any_of, without_captures

PHRASES = [line.partition(" ")[2] for line in lines("urgency.txt")]
SETS = {"urgency": PHRASES, "commands": lines("commands.txt"), "contact": lines("contact.txt")}
#: Expressions that somebody who edits the wording may write.
ODD = [
    "a|b(c|d)",
    "(red|blue) car",
    r"\b(x|y|z(1|2))z",
    "(ab)?cd",
    "(ab)*c",
    "(ab)??d",
    "(e|f(g|h)i)+j",
    "k?l",
    r"(\(m|[(|n]o)",
    r"\d{2} (?:of|in)",
    "q{2}",
    "(a|)b",
]
WORDS = sorted(set(re.findall(r"[a-z]+", " ".join(PHRASES + SETS["commands"]))))
#: Those that were made, for that takes a while.
PHRASES_OF: dict[str, Phrases] = {}
wording_like = st.lists(st.sampled_from(WORDS) | st.sampled_from(["2", "10", ".", "-", "'s"]), max_size=12).map(
    " ".join
)


@pytest.mark.slow
@pytest.mark.parametrize("name", SETS)
@given(text=wording_like)
def test_it_finds_the_same_place_as_trying_each_in_turn(name: str, text: str) -> None:
    for frame in ("{}", r"\b(?:{})\b"):
        plain = re.search(frame.format("|".join(SETS[name])), text)
        quick = re.search(frame.format(any_of(SETS[name])), text)
        assert (plain and plain.start()) == (quick and quick.start())


@pytest.mark.slow
@pytest.mark.parametrize(("name", "around"), [("urgency", r"(?<!\w){}\b"), ("commands", "{}"), ("contact", "{}")])
@given(text=wording_like)
def test_phrases_are_found_where_trying_each_at_every_place_finds_them(name: str, around: str, text: str) -> None:
    ranked = list(enumerate(SETS[name][number::7] for number in range(7)))
    if name not in PHRASES_OF:
        PHRASES_OF[name] = Phrases(Phrase(rank, pattern, around) for rank, some in ranked for pattern in some)
    phrases = PHRASES_OF[name]
    plain = [(rank, re.compile(around.format(f"(?:{any_of(some)})"))) for rank, some in ranked]
    text = " ".join(text.split())
    expected = [(rank, found) for at in range(len(text)) for rank, each in plain if (found := each.match(text, at))]
    assert [(rank, match.span()) for rank, match in phrases.found(text)] == [(r, each.span()) for r, each in expected]


@pytest.mark.parametrize("pattern", [pattern for pattern in ODD if re.match(pattern, "") is None])
@given(text=st.text("abcdefghijklmnopqrxyz12()| ", max_size=12))
def test_phrases_of_any_expression_are_found(pattern: str, text: str) -> None:
    text = " ".join(text.split())
    expected = [at for at in range(len(text)) if re.compile(pattern).match(text, at)]
    assert [match.start() for _, match in Phrases([Phrase(0, pattern)]).found(text)] == expected


@pytest.mark.parametrize("pattern", ODD)
@given(text=st.text("abcdefghijklmnopqrxyz12()| ", max_size=12))
def test_any_expression_keeps_its_meaning(pattern: str, text: str) -> None:
    for patterns in ([pattern], [pattern, "cab"]):
        plain, quick = re.search("|".join(patterns), text), re.search(any_of(patterns), text)
        assert (plain and plain.start()) == (quick and quick.start())


@pytest.mark.parametrize(
    "phrase", ["nobody can", "whole company", "when you have time", "production is down", "10 users"]
)
def test_each_kind_of_phrase_is_found(phrase: str) -> None:
    found = re.search(rf"\b(?:{any_of(PHRASES)})\b", f"hello, {phrase}!")
    assert found is not None and found.start() == 7


def test_no_group_captures() -> None:
    assert re.compile(any_of(SETS["urgency"] + SETS["commands"])).groups == 0
    assert without_captures(r"(a(?:b))[(]\(") == r"(?:a(?:b))[(]\("
