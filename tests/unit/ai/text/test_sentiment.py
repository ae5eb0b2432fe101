from __future__ import annotations

import pytest

from aura.ai.text.features import ticket_words, words_and_pairs
from aura.ai.text.sentiment import sentiment


@pytest.mark.parametrize(
    ("text", "expected"),
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
def test_the_sentiment_follows_feelings_and_not_faults(text: str, expected: str) -> None:
    assert sentiment(frozenset(words_and_pairs(ticket_words("", text))), text) == expected
