"""People beside the tickets of a JSON export, and what a ticket says itself."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from aura.desk.importing import ImportReport
from aura.desk.importing.people import read_people, with_people
from db import reading
from db.models import Ticket

USERS = [
    {"id": 77, "name": "Mara Kline", "email": "mara.kline@example.com"},
    {"id": "78", "name": None, "email": "otto@example.com"},
    {"id": 79, "name": "Without Address", "email": None},
]


def ticket(number: int, **fields: Any) -> dict[str, Any]:
    return {
        "id": number,
        "subject": f"VPN {number}",
        "submitter_id": 1,
        "via": {"channel": "web"},
        "status": "open",
        **fields,
    }


def stored() -> list[tuple[str, str | None]]:
    with reading() as session:
        return [(each.requester, each.assignee) for each in session.query(Ticket).order_by(Ticket.id)]


@pytest.mark.usefixtures("sqlite")
@pytest.mark.parametrize("users_first", [True, False])
def test_the_requester_of_a_zendesk_ticket_is_found_by_the_id(load: Callable[..., ImportReport], users_first: bool):
    tickets = {
        "tickets": [ticket(1, requester_id=77, assignee_id=78), ticket(2, requester_id=80), ticket(3, requester_id=79)]
    }
    users = {"users": USERS}

    report = load(json.dumps(users | tickets if users_first else tickets | users), "zendesk.json")

    assert (report.new, report.rejected) == (3, 0)
    assert [requester for requester, _ in stored()] == ["mara.kline@example.com", "", "Without Address"]


def test_people_are_read_from_the_list_beside_the_tickets_alone():
    text = json.dumps(
        {"tickets": [], "users": [*USERS, 5, None, {"name": "x"}, {"id": [1]}], "a": {"users": USERS[:1]}}
    )

    assert read_people([text[:40], text[40:]], ("tickets",)) == {
        "77": ("Mara Kline", "mara.kline@example.com"),
        "78": ("", "otto@example.com"),
        "79": ("Without Address", ""),
    }
    assert read_people([text], ("issues",)) == {}
    assert read_people([text], None) == {}


def test_a_person_in_the_ticket_itself_is_not_replaced():
    people = {"77": ("Mara", "mara@example.com")}

    assert with_people({"requester_id": 77, "requester": "ann@example.com"}, people)["requester"] == "ann@example.com"
    assert with_people({"requester_id": 78}, people) == {"requester_id": 78}
    assert with_people({"requester_id": 77}, people)["requester"] == {"name": "Mara", "email": "mara@example.com"}
