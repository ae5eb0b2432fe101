"""Plain characters of text in other digits, widths and alphabets."""

from __future__ import annotations

from hypothesis import given

from aura.ai.text.masking.plain_characters import plain_characters
from tests.unit.ai.text.masking.texts import anything


@given(anything)
def test_plain_characters_are_plain_and_no_more_than_before(text: str):
    assert plain_characters(plain_characters(text)) == plain_characters(text)
    assert len(plain_characters(text)) <= len(text)
