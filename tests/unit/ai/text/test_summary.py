from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aura.ai.engines.model import load, score
from aura.ai.text.content import content
from aura.ai.text.summary import LONGEST, summary
from aura.ai.training.data import whole


@pytest.mark.parametrize(
    ("title", "description", "explanation", "sentence"),
    [
        # the sentence with a word of the explanation
        (
            "Help",
            "Good morning. I was on holiday. The printer jams on every page. Thanks",
            ["printer jams"],
            "The printer jams on every page.",
        ),
        # a salutation is removed, also within a line
        ("VPN", "Hi team, the tunnel drops all the time.", ["tunnel"], "The tunnel drops all the time."),
        (
            "Frage",
            "Sehr geehrte Damen und Herren,\nder Drucker druckt nicht mehr.\nMfG",
            ["drucker"],
            "Der Drucker druckt nicht mehr.",
        ),
        # else the title, if it has a word of the explanation, else the first sentence with content
        ("Printer jam", "It happened again today.", ["printer"], "Printer jam"),
        ("Hm", "It happened again today.", ["printer"], "It happened again today."),
        ("", "short", [], "Short"),
        ("", "", [], ""),
        # headers of a forwarded mail are skipped
        (
            "FW",
            "From: Bob Smith Junior\nTo: the service desk\nThe screen is black now.",
            [],
            "The screen is black now.",
        ),
    ],
)
def test_the_summary_is_the_first_sentence_with_a_word_of_the_explanation(
    title: str, description: str, explanation: list[str], sentence: str
) -> None:
    assert summary(*content(title, description), explanation) == sentence


def test_a_link_in_the_summary_becomes_a_placeholder() -> None:
    assert (
        summary("", "See https://evil.example/x?y=1 or the handbook please", []) == "See (link) or the handbook please"
    )


def test_a_long_summary_ends_at_a_word() -> None:
    text = summary("", "word " * 200, [])
    assert len(text) <= LONGEST and text.endswith("word…")


@given(st.text(max_size=400), st.text(max_size=400))
def test_any_text_has_a_one_line_summary(title: str, description: str) -> None:
    line = summary(title, description, ["printer"])
    assert "\n" not in line and len(line) <= 2 * LONGEST


def test_the_summary_of_a_ticket_begins_with_words_of_the_ticket() -> None:
    for ticket in whole()[::5]:
        parts = score(ticket.title, ticket.description, load())
        line = summary(parts.features.title, parts.features.description, parts.explanation)
        text = " ".join(f"{ticket.title} {ticket.description}".lower().split())
        assert line and (line[1:20].lower() in text or "[" in line or "(link)" in line)
