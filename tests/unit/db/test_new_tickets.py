"""New tickets: validation of payloads and priorities from every source."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from db.new_tickets import DESCRIPTION_LIMIT, NewTicket, parse_priority


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
        ("Ada Lovelace <ADA@Example.com>", "ada@example.com"),
        ('"Lovelace, Ada" <ADA@Example.com>', "ada@example.com"),
        ("ada@example.com, Bob <bob@example.com>", "ada@example.com, Bob <bob@example.com>"),
        ("JÖRG@Müller.example", "jörg@müller.example"),
        ("Ada Lovelace", "Ada Lovelace"),
        ("@Ada", "@Ada"),
        ("", ""),
    ],
)
def test_the_address_of_a_requester_is_stored_in_lower_case(requester: str, stored: str):
    assert NewTicket(title="x", requester=requester).requester == stored


def test_the_name_of_a_requester_is_beside_the_address():
    assert NewTicket(title="x", requester='"Lovelace, Ada" <ada@example.com>').requester_name == "Lovelace, Ada"
    assert NewTicket(title="x", requester="Ada <ada@example.com>", requester_name="Dr Ada").requester_name == "Dr Ada"


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
