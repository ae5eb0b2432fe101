"""Accepting an incident creates its parent ticket; dismissing frees its tickets."""

from __future__ import annotations

import pytest
from sqlalchemy import delete, select, update

from aura.desk.incidents import accept, dismiss
from db import incidents, reading, transaction
from db.models import Notification, Ticket
from pipelines.incidents import propose_incidents
from pipelines.triage import triage
from tests.embedded import Hand, all_jobs, count
from tests.unit.pipelines.test_incidents import BURST, PORTAL, a_proposal, members, proposed, report, roles

__all__ = ["a_proposal"]


def test_the_parent_of_an_accepted_incident_has_the_highest_priority_of_its_tickets(database: str, hand: Hand):
    burst = report(BURST)
    with transaction() as session:
        triage.send_many(burst)
        session.execute(update(Ticket).where(Ticket.id == burst[2]).values(priority="critical", priority_by="human"))
    hand.run()
    propose_incidents()
    hand.run()

    parent = accept(1)
    assert [job.key for job in all_jobs()] == [str(parent)]
    hand.run()

    with reading() as session:
        ticket = session.get(Ticket, parent)
        assert ticket is not None
        notifications = session.scalars(select(Notification).where(Notification.ticket_id == parent)).all()
    assert (ticket.source, ticket.priority, ticket.category, ticket.stage) == (
        "aura",
        "critical",
        "Network",
        "notified",
    )
    assert "VPN" in ticket.title
    assert all(f"#{child}" in ticket.description for child in burst)
    assert {each.role for each in notifications} == {"team"}
    [incident] = proposed()
    assert (incident.state, incident.parent_id) == ("accepted", parent)
    # the parent is no ticket of a burst itself
    propose_incidents()
    assert members(1) == burst


def test_the_parent_has_at_least_high_priority_and_the_most_common_language(database: str):
    burst = report(BURST)
    with transaction() as session:
        session.execute(update(Ticket).where(Ticket.id.in_(burst)).values(priority="low", language="de"))
    propose_incidents()

    parent = accept(1)
    with reading() as session:
        ticket = session.get(Ticket, parent)
    assert ticket is not None
    assert ticket.priority == "high"
    assert ticket.title.startswith("Großstörung: ")


def test_a_failed_accept_changes_nothing(database: str, monkeypatch: pytest.MonkeyPatch):
    report(BURST)
    propose_incidents()
    before = count(Ticket)

    def crash(*_: object) -> None:
        raise RuntimeError("the process dies")

    monkeypatch.setattr(triage, "send", crash)
    with pytest.raises(RuntimeError):
        accept(1)

    assert proposed()[0].state == "proposed"
    assert count(Ticket) == before


def test_a_dismissed_incident_frees_its_tickets_and_is_not_proposed_again(database: str):
    report(BURST)
    propose_incidents()
    dismiss(1)

    assert propose_incidents() == 0
    assert members(1) == []
    # as many new ones are another burst, of new tickets alone
    new = report(BURST[:4], who="new{}")
    assert propose_incidents() == 0
    new += report(BURST[4:], who="new{}")
    assert propose_incidents() == 1
    assert members(2) == new


def test_an_incident_is_decided_once(database: str):
    report(BURST)
    propose_incidents()
    accept(1)

    for decide in (accept, dismiss):
        with pytest.raises(incidents.IncidentDecided, match="incident 1 is already accepted"):
            decide(1)
        with pytest.raises(incidents.UnknownIncident, match="no incident 7"):
            decide(7)
        with pytest.raises(incidents.UnknownIncident, match="no incident"):
            decide(2**70)
    assert len(members(1)) == len(BURST)


def test_dismissing_notifies_the_agents_of_tickets_that_an_earlier_version_kept_from_them(
    a_proposal: list[int], hand: Hand
):
    [late] = report([f"The {PORTAL} again"], who="late@example.com")
    triage.send(late)
    hand.run()
    with transaction() as session:
        of_desk = (Notification.ticket_id == late, Notification.role == "team")
        session.execute(delete(Notification).where(*of_desk))
    notified = count(Notification)
    [incident] = proposed()

    dismiss(incident.id)
    hand.run()

    assert roles(late) == {"requester", "team"}
    assert count(Notification) == notified + 2, "and of no other ticket"


def test_the_parent_ticket_notifies_the_team(a_proposal: list[int], hand: Hand):
    [incident] = proposed()
    parent = accept(incident.id)
    hand.run()
    assert "team" in roles(parent)
