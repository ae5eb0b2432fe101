"""The example tickets that ship with Aura: readable, unique, and as untidy as real ones."""

from __future__ import annotations

import csv
import re
from collections import Counter
from pathlib import Path

import pytest

FILE = Path(__file__).parents[3] / "examples" / "tickets.csv"
COLUMNS = ["external_id", "title", "description", "requester", "department", "priority"]


@pytest.fixture(scope="module")
def tickets() -> list[dict[str, str]]:
    with FILE.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, strict=True))


def test_the_example_tickets_have_the_columns_of_the_import(tickets: list[dict[str, str]]) -> None:
    assert len(tickets) >= 75
    assert all(list(ticket) == COLUMNS and None not in ticket.values() for ticket in tickets)


def test_each_example_ticket_has_its_own_id_and_a_requester(tickets: list[dict[str, str]]) -> None:
    assert [ticket["external_id"] for ticket in tickets] == [f"EX-{number:03}" for number in range(1, len(tickets) + 1)]
    assert all(ticket["requester"] for ticket in tickets)


def test_no_example_ticket_is_empty_in_title_and_description(tickets: list[dict[str, str]]) -> None:
    assert all(ticket["title"].strip() or ticket["description"].strip() for ticket in tickets)
    assert any(not ticket["title"] for ticket in tickets)
    assert any(not ticket["description"] for ticket in tickets)


def test_example_addresses_belong_to_reserved_domains(tickets: list[dict[str, str]]) -> None:
    addresses = re.findall(r"[\w.+-]+@([\w.-]*\w)", FILE.read_text(encoding="utf-8"))
    assert addresses
    assert all(re.search(r"(^|\.)example(\.com|\.org|\.net)?$", domain) for domain in addresses)


@pytest.mark.parametrize(
    "part",
    [
        "Ignore all previous instructions",
        "<script>",
        "=cmd|",
        "DROP TABLE",
        "\u202e",
        "😀",
        "-----Original Message-----",
        "Gesendet:",
        "<html>",
    ],
)
def test_the_example_tickets_contain_the_awkward_cases(tickets: list[dict[str, str]], part: str) -> None:
    assert any(part in ticket["title"] + ticket["description"] for ticket in tickets)


def test_an_example_ticket_has_a_very_long_line_and_many_have_several_lines(tickets: list[dict[str, str]]) -> None:
    assert max(len(line) for ticket in tickets for line in ticket["description"].splitlines()) > 2500
    assert sum("\n" in ticket["description"] for ticket in tickets) > 15


def test_exactly_one_example_ticket_is_reported_twice_in_the_same_words(tickets: list[dict[str, str]]) -> None:
    words = Counter((ticket["title"], ticket["description"], ticket["requester"]) for ticket in tickets)
    assert sorted(words.values())[-2:] == [1, 2]
