"""People of a JSON export: the list `users` beside the tickets, to whose ids the tickets refer (sideloading of Zendesk)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from aura.desk.importing.json_scanner import Path, Scanner

#: The key of the list of tickets that has people beside it, and that of the list of people.
TICKETS, USERS = "tickets", "users"
#: People of a file that are remembered.
MOST = 1_000_000
#: Roles of people in a ticket: `requester_id` refers to the `requester`.
ROLES = ("requester", "assignee")

#: Name and address of a person, by the id as text.
People = Mapping[str, tuple[str, str]]


def read_people(chunks: Iterable[str], tickets: Path | None) -> People:
    """Return the people of a file whose tickets are in the list at this path; empty for a list with another name."""
    if not tickets or tickets[-1].lower() != TICKETS:
        return {}
    users, found = (*tickets[:-1], USERS), dict[str, tuple[str, str]]()
    for element in Scanner().elements(chunks):
        if element.path == users and element.text is not None and len(found) < MOST:
            person = _parsed(element.text)
            if isinstance(person, dict) and isinstance(person.get("id"), int | str):
                found[str(person["id"])] = (str(person.get("name") or ""), str(person.get("email") or ""))
    return found


def with_people(ticket: dict[str, Any], people: People) -> dict[str, Any]:
    """Return the ticket with its people in place of their ids; what it says itself stays."""
    if not people:
        return ticket
    joined: dict[str, Any] = {}
    for role in ROLES:
        person = people.get(str(ticket.get(f"{role}_id")))
        if person is not None and not ticket.get(role):
            name, email = person
            # without an address here, that of another column counts
            joined[role] = {"name": name or email} | ({"email": email} if email else {})
    return ticket | joined


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
