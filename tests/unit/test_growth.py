from __future__ import annotations

from tests.growth import MOST, growth


def test_a_quadratic_function_grows_beyond_the_bound() -> None:
    assert growth(lambda text: [text.count("x", at) for at in range(len(text))], "a" * 8_000) > MOST


def test_a_linear_function_grows_within_the_bound() -> None:
    assert growth(lambda text: [ord(character) for character in text], "a" * 40_000) < MOST
