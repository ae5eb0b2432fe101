"""Rows of people in Cc."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from db import participants, reading, transaction
from db.new_tickets import NewTicket
from db.participants import MAX_PARTICIPANTS
from tests.unit.db.helpers import create

pytestmark = pytest.mark.usefixtures("database")


def change(call: Callable[..., Any], *arguments: Any) -> Any:
    with transaction() as session:
        return call(session, *arguments)


def addresses(ticket_id: int) -> list[str]:
    with reading() as session:
        return [each["address"] for each in participants.listing(session, ticket_id)]


def test_new_people_are_returned_once():
    (ticket,) = create(NewTicket(title="x"))

    assert change(participants.add, ticket, [("Bob", "bob@example.com"), ("", "eve@example.com")], "ada") == [
        "bob@example.com",
        "eve@example.com",
    ]
    assert change(participants.add, ticket, [("Robert", "bob@example.com")], "carl") == []
    assert change(participants.add, ticket, [], "carl") == []
    assert addresses(ticket) == ["bob@example.com", "eve@example.com"]


def test_a_removed_person_stays_removed_until_restored():
    (ticket,) = create(NewTicket(title="x"))
    change(participants.add, ticket, [("Bob", "bob@example.com")], "ada")

    assert change(participants.remove, ticket, "bob@example.com")
    assert not change(participants.remove, ticket, "bob@example.com")
    assert change(participants.add, ticket, [("Bob", "bob@example.com")], "ada") == []
    assert addresses(ticket) == []
    assert change(participants.restore, ticket, "bob@example.com")
    assert not change(participants.restore, ticket, "bob@example.com")
    assert addresses(ticket) == ["bob@example.com"]


def test_removed_people_count_for_the_limit():
    (ticket,) = create(NewTicket(title="x"))
    many = [("", f"p{number:02}@example.com") for number in range(MAX_PARTICIPANTS + 5)]

    assert len(change(participants.add, ticket, many, "ada")) == MAX_PARTICIPANTS
    change(participants.remove, ticket, "p00@example.com")
    assert change(participants.add, ticket, many[-1:], "ada") == []


def test_people_of_several_tickets_are_read_at_once_without_removed_ones():
    first, second, third = create(*(NewTicket(title=str(number)) for number in range(3)))
    change(participants.add, first, [("", "bob@example.com"), ("", "eve@example.com")], "ada")
    change(participants.add, second, [("", "bob@example.com")], "ada")
    change(participants.remove, first, "eve@example.com")

    with reading() as session:
        assert participants.of_tickets(session, [first, second, third]) == {
            first: ["bob@example.com"],
            second: ["bob@example.com"],
        }
        assert participants.of_tickets(session, []) == {}
