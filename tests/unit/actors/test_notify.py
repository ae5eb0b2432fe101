"""`notify` and `announce` on both databases: each recipient is notified once, also when a protection fails.

The decision itself is tested in tests/unit/notifications/test_decide.py.
"""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from sqlalchemy import select, update

import actors
from actors import notify
from aura.jobs.actor import JobResult
from aura.notifications import EVENTS
from aura.notifications.recipients import AUDIENCE
from db import notifications, reading, transaction
from db.models import Agent, Job, Notification, Ticket
from db.new_tickets import NewTicket
from db.statements import table
from db.tickets import create
from tests.embedded import Hand, all_jobs, claim, count, crash_before_commit
from tests.unit.actors.helpers import (
    MANAGER,
    announce,
    create_ticket,
    notifications_to,
    run_in_parallel,
    states,
    subscribe,
)

pytestmark = pytest.mark.usefixtures("database")


# -- recipients -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("event", EVENTS)
def test_a_subscriber_is_notified_of_each_event_once(hand: Hand, event: str):
    subscribe(event=event)
    number = create_ticket()

    for version in (1, 1, 2):
        announce(number, event, version)
        hand.run()

    assert [each.event for each in notifications_to()] == [event, event]
    assert {each.dedupe_key for each in notifications_to()} == {f"{number}:{event}:{v}:email:{MANAGER}" for v in (1, 2)}
    assert states() == {"sent": 2}


def test_subscribers_of_other_conditions_are_not_notified(hand: Hand):
    for number, conditions in enumerate(
        (
            {"event": "ticket.resolved"},
            {"category": "Hardware"},
            {"priority": "high"},
            {"department": "Sales"},
            {"team": "Night"},
        )
    ):
        subscribe(f"no{number}@example.com", **conditions)
    subscribe(priority="low", category="network", department="logistics", team="day", event="ticket.warned")
    with transaction() as session:
        session.add(Agent(name="ann", email="ann@example.com", team="Day", skills=["Network"]))

    announce(create_ticket(assignee="ann", department="Logistics"))
    hand.run()

    with reading() as session:
        people = set(session.scalars(select(Notification.recipient)))
    assert people == {"ann", MANAGER}


def test_triage_notifies_agent_requester_and_each_subscriber_once(hand: Hand):
    subscribe(event="ticket.received")
    subscribe("news@example.com")
    with transaction() as session:
        session.add(Agent(name="ann", email="ann@example.com", skills=["network"]))
        [number] = create(session, "test", [(NewTicket(title="VPN drops every minute", requester="ada"), {})])
        actors.broker.get_actor("notify").send_with_options(args=(number,))
        session.execute(update(table(Ticket)).values(category="Network", priority="medium", needs_review=True))
    hand.run()

    assert [each.event for each in notifications_to("ann")] == ["ticket.classified"]
    assert [each.event for each in notifications_to("ada")] == ["ticket.classified"]
    assert [each.event for each in notifications_to()] == ["ticket.received"]
    all_events = {"ticket.received", "ticket.classified", "ticket.assigned", "ticket.needs_review"}
    assert {each.event for each in notifications_to("news@example.com")} == all_events


def test_reanalysis_notifies_of_a_changed_verdict_only(hand: Hand):
    number = create_ticket()
    for version in (1, 1, 2):
        with transaction() as session:
            session.execute(update(table(Ticket)).values(version=version))
        actors.broker.get_actor("notify").send(number)
        hand.run()

    assert [each.event for each in notifications_to("ada")] == ["ticket.classified", "ticket.reclassified"]


@pytest.mark.parametrize("event", [event for event, roles in AUDIENCE.items() if roles])
@pytest.mark.parametrize("priority", ["low", "critical"])
def test_an_event_without_other_recipients_notifies_the_team(hand: Hand, event: str, priority: str):
    with transaction() as session:
        [number] = create(session, "test", [(NewTicket(title="VPN drops", requester=""), {})])
        session.execute(update(table(Ticket)).values(category="Network", priority=priority, requester=""))
    announce(number, event)
    hand.run()

    assert notifications_to("service-desk@localhost")


def test_the_assignee_of_a_duplicate_is_notified_of_the_assignment(hand: Hand):
    with transaction() as session:
        session.add(Agent(name="ann", email="ann@example.com"))
    first = create_ticket()
    announce(create_ticket(duplicate_of=first, assignee="ann"), "ticket.assigned")
    hand.run()

    assert [(each.channel, each.event) for each in notifications_to("ann")] == [("in_app", "ticket.assigned")]


# -- once -------------------------------------------------------------------------------------------------------------


def test_a_crash_before_the_commit_notifies_nobody_and_the_next_attempt_notifies_once(hand: Hand):
    subscribe()
    announce(create_ticket())
    [job] = claim("announce", *[job.id for job in all_jobs()])
    [result] = notify.announce.fn([job])
    with crash_before_commit() as session:
        notify.save_announced(session, [JobResult(job, job, result, 5)])
    assert count(Notification) == 0

    with transaction() as session:
        session.execute(update(Job).values(lease=None, worker=None, hinted_at=None, crashes=0))
    hand.run()

    assert states() == {"sent": 1}


def announce_in_two_workers() -> None:
    """Both workers decide before either saves."""
    subscribe()
    announce(create_ticket())
    [job] = claim("announce", *[job.id for job in all_jobs()])
    results = [notify.announce.fn([job])[0] for _ in range(2)]

    def save(result: Any) -> None:
        with transaction() as session:
            notify.save_announced(session, [JobResult(job, job, result, 5)])

    run_in_parallel(*[lambda result=result: save(result) for result in results])
    assert len(notifications_to()) == 1
    assert len([job for job in all_jobs() if job.actor == "email" and job.key == notifications_to()[0].id]) == 1


def test_two_workers_that_announce_one_event_notify_once():
    announce_in_two_workers()


def test_two_workers_without_the_dedupe_key_notify_twice(monkeypatch: pytest.MonkeyPatch):
    # Mutant: each notification gets a dedupe key of its own
    write = notifications.write

    def write_anyway(session: Any, rows: list[dict[str, Any]]) -> Any:
        return write(session, [row | {"dedupe_key": uuid.uuid4().hex} for row in rows])

    monkeypatch.setattr(notifications, "write", write_anyway)
    with pytest.raises(AssertionError):
        announce_in_two_workers()
