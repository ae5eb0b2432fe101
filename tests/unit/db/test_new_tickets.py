"""New tickets: validation of payloads, priorities and JSON from every source."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from db.new_tickets import DEPTH_LIMIT, DESCRIPTION_LIMIT, NewTicket, parse_json, parse_priority, storable


@pytest.mark.parametrize(
    ("name", "priority"),
    [
        ("URGENT!!!", "critical"),
        ("hoch", "high"),
        ("P2", "high"),
        (3, "medium"),
        ("  Normal ", "medium"),
        ("gering", "low"),
        ("", None),
        (None, None),
        ("whenever", None),
        (["high", "low"], None),
    ],
)
def test_priority_names_of_other_service_desks_are_parsed(name: object, priority: str | None):
    assert parse_priority(name) == priority


def test_a_new_ticket_normalizes_its_fields():
    found = NewTicket.model_validate({"title": "  VPN \0", "description": None, "external_id": 17, "colour": "red"})

    assert (found.title, found.description, found.external_id) == ("VPN", "", "17")
    assert NewTicket(title="x", external_id="  ").external_id is None
    assert NewTicket(title="x", priority="").priority is None


@pytest.mark.parametrize(
    ("requester", "stored"),
    [
        ("ADA@Example.COM", "ada@example.com"),
        ("Ada Lovelace <ADA@Example.com>", "Ada Lovelace <ada@example.com>"),
        ("JÖRG@Müller.example", "jörg@müller.example"),
        ("Ada Lovelace", "Ada Lovelace"),
        ("@Ada", "@Ada"),
        ("", ""),
    ],
)
def test_the_address_of_a_requester_is_stored_in_lower_case(requester: str, stored: str):
    assert NewTicket(title="x", requester=requester).requester == stored


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        ({}, "needs a title or a description"),
        ({"title": " \0 ", "description": "\ud800"}, "needs a title or a description"),
        ({"title": 5}, "title"),
        ({"title": "x" * 2001}, "title"),
        ({"title": "x", "description": "x" * (DESCRIPTION_LIMIT + 1)}, "description"),
        ({"title": "x", "priority": "whenever"}, "priority"),
        ({"title": "x", "external_id": True}, "external_id"),
        ({"title": "x", "external_id": "x" * 201}, "external_id"),
    ],
)
def test_an_invalid_ticket_is_refused_without_repeating_its_values(payload: dict[str, Any], words: str):
    with pytest.raises(ValidationError, match=words) as refused:
        NewTicket.model_validate(payload)

    assert "xxxx" not in str(refused.value)
    assert "whenever" not in str(refused.value)


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
