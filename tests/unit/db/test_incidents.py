"""Incidents: their tickets, states and parent ticket."""

from __future__ import annotations

import pytest
from sqlalchemy import update

from db import incidents, reading, transaction
from db.incidents import IncidentDecided, UnknownIncident
from db.models import Ticket
from db.new_tickets import NewTicket
from tests.unit.db.helpers import all_tickets, create, one_ticket

pytestmark = pytest.mark.usefixtures("database")


def propose(*titles: str) -> int:
    """Create tickets and propose an incident of them."""
    create(*[NewTicket(title=title) for title in titles])
    with transaction() as session:
        return incidents.propose(session, "Outlook does not start", "Software", incidents.recent_tickets(session, 10))


def test_recent_tickets_are_those_of_requesters_and_fresh_while_open():
    create(NewTicket(title="one"), NewTicket(title="two"))
    create(NewTicket(title="from a file"), source="import")
    with transaction() as session:
        session.execute(update(Ticket).where(Ticket.title == "two").values(status="resolved"))
        found = incidents.recent_tickets(session, 10)

    assert [(each.title, each.fresh) for each in found] == [("one", True), ("two", False)]


def test_a_ticket_belongs_to_the_first_incident_that_it_is_added_to():
    first = propose("Outlook does not start")
    second = propose("Printer jams")
    with transaction() as session:
        incidents.assign_tickets(session, {each.id: second for each in all_tickets()})

    assert [each.incident_id for each in all_tickets()] == [first, second]
    with reading() as session:
        assert [(each["id"], each["tickets"]) for each in incidents.listing(session)] == [(second, 1), (first, 1)]


def test_an_active_incident_matches_titles_with_common_terms():
    propose("Outlook does not start")
    with reading() as session:
        [active] = incidents.active_incidents(session, 10)

    assert active.matches("Outlook start fails")
    assert not active.matches("Outlook")
    assert not active.matches("Printer jams on floor 3")


@pytest.mark.parametrize("state", ["accepted", "dismissed"])
def test_an_incident_is_decided_once(state: str):
    number = propose("Outlook does not start")
    with transaction() as session:
        assert incidents.decide(session, number, state).title == "Outlook does not start"

    with pytest.raises(IncidentDecided, match=f"incident {number} is already {state}"), transaction() as session:
        incidents.decide(session, number, "accepted")
    with reading() as session:
        assert len(incidents.active_incidents(session, 10)) == (state == "accepted")


@pytest.mark.parametrize("number", [0, 999, 2**63])
def test_an_unknown_incident_cannot_be_decided(number: int):
    with pytest.raises(UnknownIncident, match=f"^no incident {number}$"), transaction() as session:
        incidents.decide(session, number, "accepted")


def test_the_parent_ticket_gets_values_of_a_person_and_released_tickets_are_free():
    number = propose("Outlook does not start")
    parent = one_ticket().id
    with transaction() as session:
        incidents.set_parent(session, number, parent, "Software", "critical", "low")
        incidents.release_tickets(session, number)
        assert incidents.tickets_of(session, number) == []
        assert incidents.listing(session)[0]["parent_id"] == parent

    found = one_ticket()
    assert (found.incident_id, found.priority, found.priority_by, found.category_by) == (
        None, "critical", "human", "human",
    )  # fmt: skip


def test_only_an_accepted_incident_covers_tickets_up_to_its_priority():
    number = propose("Outlook does not start")
    with transaction() as session:
        incidents.set_parent(session, number, one_ticket().id, "Software", "critical", "medium")
        assert incidents.covered_by_incidents(session, [number]) == {}
        assert [(each.priority, each.assignee) for each in incidents.active_incidents(session, 10)] == [("", "")]
        incidents.decide(session, number, "accepted")
        assert incidents.covered_by_incidents(session, [number])[number].priority == "medium"
        assert [each.priority for each in incidents.active_incidents(session, 10)] == ["medium"]
        session.execute(update(Ticket).values(status="resolved"))
        assert incidents.covered_by_incidents(session, [number])[number].priority == ""


def test_a_proposal_is_unnotified_until_it_is_marked():
    number = propose("Outlook does not start")
    with transaction() as session:
        assert [each.id for each in incidents.unnotified_proposals(session, 10)] == [number]
        incidents.mark_notified(session, [number])
        assert incidents.unnotified_proposals(session, 10) == []
