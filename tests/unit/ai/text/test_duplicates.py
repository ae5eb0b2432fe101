from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from aura.ai.text.duplicates import find_duplicate, similarity

REPORT = "The VPN drops every ten minutes when I work from home"


def test_texts_of_the_same_words_are_duplicates() -> None:
    assert similarity(REPORT, REPORT) == 1.0


def test_greeting_signature_prefix_case_and_punctuation_do_not_count() -> None:
    wrapped = f"Re: AW: {REPORT.upper()}!!!\n"
    assert similarity(wrapped, REPORT) == 1.0
    assert similarity(f"Hello team,\n{REPORT}.\nBest regards, Anna\nAcme Ltd", REPORT) == 1.0
    assert similarity(f"Hallo zusammen,\n{REPORT}\nViele Grüße\nPeter", REPORT) == 1.0


def test_texts_of_different_topics_are_not_similar() -> None:
    assert similarity(REPORT, "The printer on the second floor has a paper jam") < 0.3


def test_texts_with_different_numbers_are_not_duplicates() -> None:
    assert find_duplicate("Server srv01 in rack 2 is down", [(1, "Server srv07 in rack 9 is down")]) is None


def test_empty_texts_are_not_similar() -> None:
    assert similarity("", "") == 0.0
    assert similarity("Hello,\n", "Good morning,\n") == 0.0


def test_the_best_candidate_wins() -> None:
    candidates = [(1, "printer jam"), (2, REPORT + " and from the train"), (3, REPORT), (4, REPORT)]
    assert find_duplicate(f"Fwd: {REPORT}", candidates) == 3
    assert find_duplicate("mouse is broken", candidates) is None


def test_long_texts_are_compared_by_their_beginning() -> None:
    assert similarity("word " * 20_000, "word " * 20_000) == 1.0
    assert similarity(" " * 100_000, "-" * 100_000) == 0.0


@given(st.text(max_size=200), st.text(max_size=200))
def test_similarity_is_symmetric_and_between_zero_and_one(a: str, b: str) -> None:
    assert 0.0 <= similarity(a, b) <= 1.0
    assert similarity(a, b) == similarity(b, a)
