"""Imported tickets: what is stored, and which source they have."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import select

from db import imported_tickets, incidents, reading, transaction
from db.models import Agent, Ticket

MARCH = datetime(2021, 3, 20, 10, tzinfo=UTC)


def row(external_id: str, **values: Any) -> dict[str, Any]:
    texts = dict.fromkeys(imported_tickets.COLUMNS, "")
    others = dict.fromkeys(
        (
            "claimed_priority",
            "category",
            "category_by",
            "priority",
            "priority_by",
            "assignee",
            "changed_at",
            "resolved_at",
        ),
        None,
    )
    times = {"created_at": MARCH, "imported_at": MARCH, "notified_at": None, "paused_since": None}
    fixed = {"source": "import:x", "external_id": external_id, "raw": "{}", "status": "open", "stage": "received"}
    return texts | others | times | fixed | {"silent": False, "notified_version": 0, "paused_seconds": 0.0} | values


@pytest.mark.usefixtures("database")
def test_tickets_keep_their_values_and_an_existing_identity_adds_none():
    with transaction() as session:
        first = imported_tickets.create(session, [row("1", status="closed", resolved_at=MARCH), row("2", silent=True)])
        again = imported_tickets.create(session, [row("2", title="other"), row("3"), row("1", source="import:y")])

    assert set(first) == {"1", "2"}
    assert set(again) == {"1", "3"}
    with reading() as session:
        tickets = session.scalars(select(Ticket).order_by(Ticket.id)).all()
        existing = imported_tickets.existing(session, "import:x", ["1", "2", "9"])
    assert (tickets[0].status, tickets[0].created_at, tickets[0].resolved_at) == ("closed", MARCH, MARCH)
    assert (tickets[1].silent, tickets[1].title) == (True, "")
    assert {key: ticket.id for key, ticket in existing.items()} == first


@pytest.mark.usefixtures("database")
def test_agents_are_found_by_name_and_address_the_first_one_wins():
    with transaction() as session:
        session.add(Agent(name="Ada", email="ADA@example.com", team="", skills=[], capacity=1))
        session.flush()
        session.add(Agent(name="Bob", email="ada@example.com", team="", skills=[], capacity=1))

    with reading() as session:
        assert imported_tickets.agents(session) == {"ada": "Ada", "ada@example.com": "Ada", "bob": "Bob"}


@pytest.mark.parametrize(
    ("source", "imported"),
    [("import", True), ("import:jira", True), ("importer", False), ("mail", False), ("", False)],
)
def test_a_file_is_the_source_of_imported_tickets(source: str, imported: bool):
    assert imported_tickets.is_imported(source) is imported
    assert incidents.is_from_requester(source) is not imported


def test_each_system_has_a_source():
    assert imported_tickets.source_of("") == "import"
    assert imported_tickets.is_imported(imported_tickets.source_of("jira"))
