"""Features of a ticket: words, pairs, n-grams and placeholders."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aura.ai.text.features import LONGEST_WORD, extract, ngrams, ticket_words, word_pairs, words, words_and_pairs
from tests.growth import MOST, growth


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("VPN Drops", ["vpn", "drops"]),
        ("Drücker größer", ["druecker", "groesser"]),
        ("error 4711 in 2026-11-30", ["error", "0", "in", "0", "0", "0"]),
        ("see https://intranet.example/x?y=1 now", ["see", "link", "now"]),
        ("mail ada@example.com", ["mail", "addr"]),
        ("open \\\\server\\share\\x", ["open", "uncpath"]),
        ("doesn't", ["doesn't"]),
        ("", []),
    ],
)
def test_words_are_folded_with_placeholders(text: str, expected: list[str]):
    assert words(text) == expected


def test_a_long_word_is_cut():
    assert words("x" * 500) == ["x" * LONGEST_WORD]


def test_the_words_of_the_title_count_twice():
    assert ticket_words("VPN", "drops") == ["vpn", "vpn", "drops"]


def test_pairs_are_adjacent_words():
    assert word_pairs(["shared", "drive", "full"]) == ["shared drive", "drive full"]
    assert words_and_pairs(["shared", "drive"]) == ["shared", "drive", "shared drive"]
    assert word_pairs([]) == word_pairs(["one"]) == []


def test_ngrams_have_three_to_five_characters_and_marked_ends():
    assert ngrams("vpn") == ["_vp", "vpn", "pn_", "_vpn", "vpn_", "_vpn_"]
    assert ngrams("it") == []


def test_the_assessment_of_a_ticket_is_that_of_title_and_description():
    features = extract("Nobody can work", "The whole building is without network")

    assert features.words[:3] == ["nobody", "can", "work"]
    assert features.assessment.priority == "critical"


@given(st.text(max_size=300), st.text(max_size=300))
def test_any_text_has_features_of_bounded_words(title: str, description: str):
    features = extract(title, description)

    assert all(0 < len(word) <= LONGEST_WORD + len("'") + LONGEST_WORD for word in features.words)


@pytest.mark.parametrize("unit", ["a@", "\\\\a", "http://", "re: ", "from my ", "--", "1a"])
def test_words_of_hostile_text_take_linear_time(unit: str):
    assert growth(words, unit * 4000) <= MOST
