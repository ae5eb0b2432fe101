"""Corrections: notified once, kept by every engine, refused when a value is unknown."""

from __future__ import annotations

import pytest

from aura.desk.ticket_actions import NotAllowed, correct, resolve
from db import corrections, reading
from db.corrections import UnknownTicket
from db.models import Correction, Notification
from pipelines.reanalysis import reanalysis
from tests.embedded import Hand, count
from tests.unit.remote_engine import Remote, rows, submit, ticket_of

pytestmark = pytest.mark.usefixtures("database")


def test_a_correction_notifies_and_no_engine_overwrites_it(hand: Hand, remote: Remote) -> None:
    ticket = submit()
    hand.run()
    notified = count(Notification)

    assert correct(ticket, "nora", category="access", priority="low") == ["category", "priority"]
    hand.run()

    found = ticket_of(ticket)
    assert (found.category, found.category_by, found.priority, found.priority_by) == ("Access", "human", "low", "human")
    assert count(Notification) > notified, "the change is notified"
    assert [(row.field, row.old, row.old_by, row.new, row.engine, row.author) for row in rows(Correction)] == [
        ("category", "Hardware", "engine", "Access", "openai", "nora"),
        ("priority", "high", "engine", "low", "openai", "nora"),
    ]
    notified = count(Notification)
    reanalysis.send(ticket)
    hand.run()
    assert (ticket_of(ticket).category, ticket_of(ticket).priority) == ("Access", "low")
    assert count(Notification) == notified, "nothing material changed"


def test_an_unchanged_correction_confirms_the_verdict_and_notifies_nobody(hand: Hand, remote: Remote) -> None:
    remote.says = remote.says._replace(review=True)
    ticket = submit()
    hand.run()
    notified = count(Notification)
    assert ticket_of(ticket).needs_review

    assert correct(ticket, "nora", category="Hardware") == []
    hand.run()

    assert (ticket_of(ticket).category_by, ticket_of(ticket).needs_review) == ("human", False)
    assert count(Notification) == notified
    with reading() as session:
        assert [each.id for each in corrections.reviewed_tickets(session, 10)] == [ticket]
        assert corrections.reviewed_tickets(session, 10, changed=True) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"category": "Weather"}, "there is no category 'Weather'; there are Hardware"),
        ({"priority": "urgent"}, "low, medium"),
        ({}, "a correction needs a category, a priority or both"),
    ],
)
def test_an_unknown_category_or_priority_is_refused(change: dict[str, str], message: str) -> None:
    ticket = submit()
    with pytest.raises(NotAllowed, match=message):
        correct(ticket, "nora", **change)
    assert rows(Correction) == []


@pytest.mark.parametrize("number", [-1, 0, 999_999, 2**70])
def test_an_unknown_ticket_is_an_error(number: int) -> None:
    with pytest.raises(UnknownTicket, match=f"no ticket {number}"):
        correct(number, "nora", priority="low")
    with pytest.raises(UnknownTicket):
        resolve(number, "x")
