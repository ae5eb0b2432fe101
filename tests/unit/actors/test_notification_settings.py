"""Subscriptions and preferences as the actors read them: valid rows alone, an agent by name and address."""

from __future__ import annotations

import pytest

from actors import digest as digest_actor
from db import preferences, transaction
from db.models import Agent
from tests.embedded import Hand, all_jobs, letters
from tests.unit.actors.helpers import (
    announce,
    create_ticket,
    notifications_to,
    quiet_now,
    save_preference,
    states,
    subscribe,
)

pytestmark = pytest.mark.usefixtures("database")


def test_an_invalid_subscription_row_is_ignored(hand: Hand):
    subscribe("x", "carrier-pigeon")
    subscribe(priority="huge")
    announce(create_ticket())
    hand.run()

    assert len(notifications_to()) == 1
    assert notifications_to("x") == []
    assert all_jobs() == letters() == []


def test_an_agents_preference_holds_for_name_and_address(hand: Hand):
    with transaction() as session:
        session.add(Agent(name="Ann", email="Ann@Example.com"))
    save_preference("ann", **quiet_now())
    announce(create_ticket(priority="high", assignee="Ann"))
    hand.run()

    assert states("Ann@Example.com") == {"delayed": 1}
    assert states("Ann") == {"sent": 1}  # in-app notifications are never delayed


GARBAGE = [
    {"timezone": "Mars/Olympus"},
    {"timezone": "../../etc/passwd"},
    {"timezone": "/etc/passwd"},
    {"timezone": "Europe"},
    {"quiet_from": "25:99", "quiet_to": "07:00"},
    {"quiet_from": "22:00"},
    {"quiet_from": "07:00", "quiet_to": "07:00"},
    {"quiet_from": "night", "quiet_to": "day"},
    {"digest": "yearly"},
    {"digest": "daily", "digest_at": "noon"},
    {"language": "tlh"},
]


@pytest.mark.parametrize("garbage", GARBAGE, ids=str)
def test_an_invalid_preference_delays_nothing(
    hand: Hand, garbage: dict[str, str], capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
):
    subscribe()
    subscribe("other@example.com")
    save_preference(
        **{name: value[:5] if "quiet" in name or name == "digest_at" else value for name, value in garbage.items()}
    )
    announce(create_ticket())
    hand.run()

    assert states() == states("other@example.com") == {"sent": 1}
    assert "invalid preference ignored" in "".join([*capsys.readouterr(), caplog.text])


def test_a_preference_changed_by_name_reschedules_the_address(hand: Hand):
    with transaction() as session:
        session.add(Agent(name="ÖZGÜR", email="ÖZ@Example.com"))
    save_preference("özgür", **quiet_now())
    announce(create_ticket(priority="high", assignee="ÖZGÜR"))
    hand.run()
    assert states("ÖZ@Example.com") == {"delayed": 1}

    with transaction() as session:
        assert preferences.remove(session, "ÖZGÜR")
        assert digest_actor.reschedule(session, "ÖZGÜR") == 1
    hand.run()
    assert states("ÖZ@Example.com") == {"sent": 1}
