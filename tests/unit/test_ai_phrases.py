from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai.phrases import any_of, without_captures
from ai.wording import lines

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
wording_like = st.lists(st.sampled_from(WORDS) | st.sampled_from(["2", "10", ".", "-", "'s"])).map(" ".join)


@pytest.mark.slow
@pytest.mark.parametrize("name", SETS)
@given(text=wording_like)
def test_it_finds_the_same_place_as_trying_each_in_turn(name: str, text: str) -> None:
    for frame in ("{}", r"\b(?:{})\b"):
        plain = re.search(frame.format("|".join(SETS[name])), text)
        quick = re.search(frame.format(any_of(SETS[name])), text)
        assert (plain and plain.start()) == (quick and quick.start())


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
