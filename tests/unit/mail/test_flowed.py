"""Lines of format=flowed are joined to the paragraphs of their author; quotes, signatures and blank lines stay apart."""

from __future__ import annotations

import pytest

from aura.mail.flowed import join_flowed
from tests.growth import MOST, growth


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("The lamp \nflickers \nnow.\nIt buzzes.", "The lamp flickers now.\nIt buzzes."),
        ("The lamp \r\nflickers.\r\n", "The lamp flickers.\n"),
        ("The lamp \n\nflickers.", "The lamp \n\nflickers."),
        (">> It \n>> flickers \n> Since? \nNow", ">> It flickers \n> Since? \nNow"),
        ("Now\n  x = 1\n From here\n-- \nEve", "Now\n x = 1\nFrom here\n-- \nEve"),
        ("Now \n-- \nEve", "Now \n-- \nEve"),
        ("", ""),
    ],
)
def test_flowed_lines_are_joined(source: str, text: str) -> None:
    assert join_flowed(source) == text


def test_delsp_deletes_the_space_before_a_line_break() -> None:
    assert join_flowed("Ersatz \nlampe\nfehlt", delete_spaces=True) == "Ersatzlampe\nfehlt"


@pytest.mark.parametrize("unit", ["a \n", "> a \n", ">", " \n", "\n", ">" * 70 + " \n"])
def test_long_texts_are_joined_in_linear_time(unit: str) -> None:
    assert growth(join_flowed, unit * (40_000 // len(unit))) < MOST
