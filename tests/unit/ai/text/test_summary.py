"""Summary, sentiment and self-fix: short, in the ticket's own words and language, and harmless."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aura.ai.engines.local import ask, load
from aura.ai.text.features import grams, ticket_words
from aura.ai.text.lexicons import lines
from aura.ai.text.summary import LONGEST, self_fix, sentiment, summary
from aura.ai.training.data import CATEGORIES, whole


def said(text: str) -> frozenset[str]:
    return frozenset(grams(ticket_words("", text)))


@pytest.mark.parametrize(
    ("title", "description", "telling", "sentence"),
    [
        # the sentence with a word that decided
        (
            "Help",
            "Good morning. I was on holiday. The printer jams on every page. Thanks",
            ["printer jams"],
            "The printer jams on every page.",
        ),
        # a greeting goes, in the same line too
        ("VPN", "Hi team, the tunnel drops all the time.", ["tunnel"], "The tunnel drops all the time."),
        (
            "Frage",
            "Sehr geehrte Damen und Herren,\nder Drucker druckt nicht mehr.\nMfG",
            ["drucker"],
            "Der Drucker druckt nicht mehr.",
        ),
        # without a telling one the title, if it tells, else the first that says something
        ("Printer jam", "It happened again today.", ["printer"], "Printer jam"),
        ("Hm", "It happened again today.", ["printer"], "It happened again today."),
        ("", "short", [], "Short"),
        ("", "", [], ""),
        # what was forwarded is no matter of its own
        (
            "FW",
            "From: Bob Smith Junior\nTo: the service desk\nThe screen is black now.",
            [],
            "The screen is black now.",
        ),
    ],
)
def test_the_summary_is_the_sentence_that_matters(
    title: str, description: str, telling: list[str], sentence: str
) -> None:
    assert summary(title, description, telling) == sentence


def test_the_summary_names_no_link() -> None:
    assert (
        summary("", "See https://evil.example/x?y=1 or the handbook please", []) == "See (link) or the handbook please"
    )


def test_a_long_sentence_ends_at_a_word() -> None:
    found = summary("", "word " * 200, [])
    assert len(found) <= LONGEST and found.endswith("word…")


@given(st.text(max_size=400), st.text(max_size=400))
def test_any_text_has_a_one_line_summary(title: str, description: str) -> None:
    found = summary(title, description, ["printer"])
    assert "\n" not in found and len(found) <= 2 * LONGEST


def test_most_whole_tickets_have_a_summary_of_their_own_words() -> None:
    for ticket in whole()[::5]:
        found = summary(ticket.title, ticket.description, ask(ticket.title, ticket.description, load()).words)
        text = " ".join(f"{ticket.title} {ticket.description}".lower().split())
        assert found and (found[1:20].lower() in text or "[" in found or "(link)" in found)


@pytest.mark.parametrize(
    ("text", "mood"),
    [
        ("The printer is broken.", "neutral"),
        ("Please reset my password, thanks", "neutral"),
        ("Third time I report this, it is really frustrating", "negative"),
        ("WHERE IS MY LAPTOP!!!", "negative"),
        ("Das nervt, seit Wochen keine Antwort", "negative"),
        ("Great job, your colleague was very helpful", "positive"),
        ("Vielen Dank, das war eine tolle und schnelle Hilfe", "positive"),
        ("very helpful colleague, but still not solved and no answer", "negative"),
    ],
)
def test_sentiment_is_how_somebody_feels_and_not_what_is_broken(text: str, mood: str) -> None:
    assert sentiment(said(text), text) == mood


@pytest.mark.parametrize(
    ("category", "language", "text", "words"),
    [
        ("Hardware", "en", "paper jam in the printer", "pull the paper out"),
        ("Hardware", "de", "der Drucker hat Papierstau", "Papier langsam"),
        ("Hardware", "en", "the battery of my laptop is swollen", "unplug it"),
        ("Network", "en", "the vpn tunnel drops", "Disconnect the VPN"),
        ("Security", "en", "I clicked on a phishing link", "Change that password"),
        ("Security", "de", "alle Dateien sind verschlüsselt", "Netzwerkkabel"),
        ("Software", "fr", "excel crashes", "safe mode"),
    ],
)
def test_the_first_step_fits_the_ticket(category: str, language: str, text: str, words: str) -> None:
    assert words in self_fix(category, language, said(text))[0]


def test_every_category_of_faults_has_something_to_try_in_both_languages() -> None:
    for language in ("en", "de"):
        steps = {category: self_fix(category, language, frozenset()) for category in CATEGORIES}
        assert all(steps[category] for category in CATEGORIES if category != "Other")
        # a question about the canteen needs no repair
        assert steps["Other"] == ()
    assert self_fix("Facilities", "en", said("printer jam")) == ()
    everything = frozenset(word for line in lines("self_fix.txt") for word in line.partition(": ")[0].split(" "))
    assert len(self_fix("Hardware", "en", everything)) == 3


def test_the_file_of_steps_is_well_formed() -> None:
    for line in lines("self_fix.txt"):
        head, _, step = line.partition(": ")
        category, language, words = head.split(" ", 2)
        assert category in CATEGORIES and language in ("en", "de") and step.endswith(".")
        # what a ticket is compared with is folded the same way
        for word in words.split(","):
            assert word.strip() == "*" or " ".join(ticket_words("", word)) == word.strip()
    for name in ("negative.txt", "positive.txt"):
        assert all(" ".join(ticket_words("", phrase)) == phrase and phrase.count(" ") <= 1 for phrase in lines(name))
