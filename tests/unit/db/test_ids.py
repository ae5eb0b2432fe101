"""Ids of rows: the range of bigint, and ids in text."""

from __future__ import annotations

import pytest

from db.ids import MAX_ID, is_id, parse_ids


@pytest.mark.parametrize(("number", "valid"), [(1, True), (MAX_ID, True), (0, False), (-1, False), (MAX_ID + 1, False)])
def test_an_id_is_a_positive_bigint(number: int, valid: bool):
    assert is_id(number) is valid


def test_texts_that_are_no_ids_are_left_out():
    assert parse_ids(["7", "x", "-1", "", "1.0", "\u0661", "9" * 40, "012"]) == [7, 12]
