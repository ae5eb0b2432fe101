"""People are notified once of each proposed incident, with a link to accept or dismiss it."""

from __future__ import annotations

from sqlalchemy import delete, update

from actors import deliver
from aura.desk.incidents import accept
from aura.jobs import process_state
from aura.settings import get_settings
from db import notifications, reading, transaction
from db.models import Agent, Incident, Notification, Subscription, Ticket
from pipelines.incidents import propose_incidents
from tests.commands import Run
from tests.embedded import Hand, crash_before_commit
from tests.unit.pipelines.test_incidents import BURST, of_proposals, proposed, report


def test_people_are_notified_once_of_each_proposal(database: str, hand: Hand):
    with transaction() as session:
        session.add(Agent(name="ann", email="ann@example.com", skills=[]))
        session.add(Subscription(recipient="lead@example.com", channel="email", event="incident.proposed"))
    burst = report(BURST)
    with transaction() as session:
        session.execute(update(Ticket).where(Ticket.id == burst[0]).values(assignee="ann"))

    for _ in range(3):
        propose_incidents()
        hand.run()
        process_state.reset()
    report(["VPN is dead"])
    propose_incidents()
    accept(1)
    propose_incidents()
    hand.run()

    notified = of_proposals()
    desk = get_settings().service_desk
    assert {(each.role, each.recipient) for each in notified} == {
        ("team", desk),
        ("agent", "ann"),
        ("subscriber", "lead@example.com"),
    }
    assert len(notified) == 3
    assert {each.state for each in notified} == {"sent"}
    link = f"{get_settings().base_url}/incidents#incident-1"
    assert all(link in each.body and each.data["url"] == link for each in notified)
    assert notified[0].data["tickets"] == burst


def test_a_subscription_by_command_and_a_mail_name_the_page_of_the_proposal(database: str, hand: Hand, run: Run):
    assert run("subscriptions", "add", "lead@example.com", "--event", "incident.proposed").code == 0
    report(BURST)
    propose_incidents()

    [notified] = [each for each in of_proposals() if each.recipient == "lead@example.com"]
    with reading() as session:
        loaded = notifications.load(session, [notified.id])[notified.id]
    message = deliver._message("email", deliver.Delivery(loaded), get_settings())
    link = f"{get_settings().base_url}/incidents#incident-1"
    assert message.link == link
    assert f'href="{link}"' in message.html


def test_a_proposal_is_rolled_back_with_its_notification(database: str, hand: Hand):
    report(BURST)
    with crash_before_commit():
        propose_incidents()
    assert (proposed(), of_proposals()) == ([], [])

    propose_incidents()
    assert len(of_proposals()) == 1


def test_a_proposal_of_an_earlier_version_is_announced_by_the_next_sweep(database: str):
    report(BURST)
    propose_incidents()
    with transaction() as session:
        session.execute(delete(Notification))
        session.execute(update(Incident).values(notified_at=None))
        session.execute(update(Ticket).values(status="resolved"))

    assert [propose_incidents() for _ in range(2)] == [0, 0]
    assert len(of_proposals()) == 1


def test_a_dismissed_proposal_is_announced_to_nobody(database: str):
    report(BURST)
    propose_incidents()
    with transaction() as session:
        session.execute(delete(Notification))
        session.execute(update(Incident).values(notified_at=None, state="dismissed"))

    propose_incidents()
    assert of_proposals() == []
