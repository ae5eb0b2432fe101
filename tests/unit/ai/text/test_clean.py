from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from aura.ai.text.clean import clean, clean_line, has_text

# st.text() leaves lone surrogates out by default; tickets have them
any_text = st.text(st.characters(exclude_categories=()), max_size=300)


@given(any_text)
def test_clean_text_can_be_stored_anywhere(text: str) -> None:
    result = clean(text, 200)
    result.encode("utf-8")
    assert "\0" not in result
    assert len(result) <= 200
    assert not any(unicodedata.category(c) == "Cc" for c in result if c not in "\n\t")


@given(any_text)
def test_cleaning_twice_changes_nothing(text: str) -> None:
    assert clean(clean(text, 200), 200) == clean(text, 200)
    assert clean_line(clean_line(text, 50), 50) == clean_line(text, 50)


@given(any_text)
def test_a_clean_line_is_one_line(text: str) -> None:
    assert len(clean_line(text, 80).splitlines()) <= 1


def test_clean_drops_invisible_characters_and_keeps_visible_ones() -> None:
    assert clean("a\0b\u202ec\u200bd\ud800e\x07f\tg", 100) == "abcdef\tg"
    assert clean("u\u0308ber \U0001f600", 100) == "über \U0001f600"
    assert clean("one\r\ntwo\rthree\n\n\n\n\nfour  \n", 100) == "one\ntwo\nthree\n\nfour"


def test_clean_cuts_to_the_limit() -> None:
    assert clean("x" * 1000, 10) == "x" * 10


def test_a_header_cannot_be_smuggled_into_a_title() -> None:
    assert clean_line("Hello\r\nBcc: victim@example.com", 100) == "Hello Bcc: victim@example.com"


def test_has_text_needs_a_letter_or_digit() -> None:
    assert has_text("?! a") and has_text("7")
    assert not has_text(" \n\t!?…")
