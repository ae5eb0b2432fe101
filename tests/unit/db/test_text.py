"""Text that every database can store, and JSON of a bounded depth."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from db.new_tickets import DEPTH_LIMIT, parse_json, parse_priority, storable
from db.text import VALUES_LIMIT, TooManyValues, require_few_values
from tests.growth import MOST, growth


@given(st.text())
def test_storable_text_has_no_character_that_postgresql_refuses(text: str):
    stored = storable(text)

    assert "\0" not in stored
    assert stored.encode().decode() == stored
    assert storable(stored) == stored


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
        max_leaves=10,
    )
)
def test_json_is_parsed_as_json(value: Any):
    assert parse_json(json.dumps(value)) == value


@pytest.mark.parametrize("text", ["NaN", '{"a": -Infinity}', "{", "", "[" * 50_000, "1" * 5000, b"\xff\xfe{"])
def test_invalid_json_is_a_value_error(text: str | bytes):
    with pytest.raises(ValueError):
        parse_json(text)


def test_json_of_the_accepted_depth_can_be_written_again():
    def nested(levels: int) -> str:
        return '{"title": "x", "priority": ' + "[" * levels + "]" * levels + "}"

    deep = parse_json(nested(DEPTH_LIMIT - 1))
    assert parse_priority(deep["priority"]) is None
    json.dumps(deep)
    for levels in (DEPTH_LIMIT + 1, 900, 980, 990, 995, 2000):
        with pytest.raises(ValueError, match="deep"):
            parse_json(nested(levels))


@pytest.mark.parametrize("kind", [str, bytes])
def test_json_with_too_many_values_is_refused_and_marks_in_strings_do_not_count(kind: type):
    def form(text: str) -> str | bytes:
        return text if kind is str else text.encode()

    many = "[" + "{}," * VALUES_LIMIT + "{}]"
    for refused in (many, json.dumps(["a, b [c] {d}"] * 21_000), '{"a":"' + "\\" * 8 + '",' + many[1:]):
        with pytest.raises(TooManyValues):
            require_few_values(form(refused))
    for accepted in (
        '["' + ",[{" * 30_000 + '"]',
        '["' + '\\",' * 30_000 + '"]',
        "[" + "1," * (VALUES_LIMIT - 2) + "1]",
    ):
        require_few_values(form(accepted))
        assert isinstance(parse_json(accepted), list)


@pytest.mark.slow
@pytest.mark.parametrize("end", ['"' + '\\"' * 200_000, '"' * 200_001, '"' + "\\" * 200_000, "," * 200_000])
def test_values_are_counted_in_linear_time(end: str):
    def work(text: str) -> None:
        with contextlib.suppress(TooManyValues):
            require_few_values("," * (VALUES_LIMIT + 1) + text)

    assert growth(work, end * 8) < MOST
