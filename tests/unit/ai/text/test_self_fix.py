from __future__ import annotations

import pytest

from aura.ai.text.features import ticket_words, words_and_pairs
from aura.ai.text.lexicons import lines
from aura.ai.text.self_fix import STEPS, self_fix
from aura.ai.training.data import CATEGORIES


def terms(text: str) -> frozenset[str]:
    return frozenset(words_and_pairs(ticket_words("", text)))


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
def test_the_first_step_fits_the_terms_of_the_ticket(category: str, language: str, text: str, words: str) -> None:
    assert words in self_fix(category, language, terms(text))[0]


def test_every_category_but_other_has_a_step_for_every_ticket_in_both_languages() -> None:
    for language in ("en", "de"):
        steps = {category: self_fix(category, language, frozenset()) for category in CATEGORIES}
        assert [category for category in CATEGORIES if not steps[category]] == ["Other"]


def test_a_category_without_steps_has_none() -> None:
    assert self_fix("Facilities", "en", terms("printer jam")) == ()


def test_at_most_three_steps_are_offered() -> None:
    triggers = frozenset(word for line in lines("self_fix.txt") for word in line.partition(": ")[0].split(" "))
    assert len(self_fix("Hardware", "en", triggers)) == STEPS == 3
