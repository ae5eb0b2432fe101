from __future__ import annotations

import pytest

from aura.ai.text.content.sentences import sentences, sentences_of_line
from tests.growth import MOST, growth


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("Please reset the password of mr. Falk. He starts today.", 2),
        ("Bitte prüfen und ggf. tauschen. Danke.", 2),
        ("Der Drucker im 3. OG steht. Er piept z. B. dauernd.", 2),
        ("El Sr. Ruiz no entra. Ayuda.", 2),
        ("La imprimante (réf. 7) bloque, cf. photo. Merci.", 2),
        ("source ip: 192.0.2.7 is blocked. why?", 2),
        ("one line\nanother line", 2),
        ("", 0),
    ],
)
def test_a_sentence_does_not_end_at_an_abbreviation(text: str, count: int) -> None:
    assert len(sentences(text)) == count


def test_sentences_lose_no_word() -> None:
    line = "a. b! c? d " * 400
    assert "".join(sentences_of_line(line)).replace(" ", "") == line.replace(" ", "")


@pytest.mark.parametrize("piece", ["« ", '" ', "a. ", "e.g. ", "...!?"])
def test_dividing_takes_linear_time(piece: str) -> None:
    assert growth(sentences, piece * 4_000) < MOST
