"""Subscriptions: the tickets that they match, and values that they may have."""

from __future__ import annotations

from dataclasses import replace

import pytest

from aura.notifications import Subscription
from aura.notifications.subscriptions import InvalidSubscription, SubscriptionTopic, matches, subscribers, validated

TOPIC = SubscriptionTopic("Network", "high", "Sales", "Night", "de")
ADA = Subscription("ada", "in_app")
CATEGORIES = ("Network", "Email")
ENDPOINTS = {("slack", "ops"), ("teams", "desk")}


@pytest.mark.parametrize(
    ("conditions", "matched"),
    [
        ({}, True),
        ({"event": "ticket.escalated"}, True),
        ({"event": "ticket.resolved"}, False),
        ({"category": "NETWORK"}, True),
        ({"category": "Email"}, False),
        ({"priority": "high"}, True),
        ({"priority": "medium"}, True),
        ({"priority": "critical"}, False),
        ({"department": "sales"}, True),
        ({"department": "Legal"}, False),
        ({"team": "night"}, True),
        ({"team": "Day"}, False),
        ({"category": "Network", "team": "Day"}, False),
    ],
)
def test_a_subscription_matches_when_every_condition_holds(conditions: dict[str, str], matched: bool):
    assert matches(replace(ADA, **conditions), "ticket.escalated", TOPIC) is matched


def test_a_subscription_with_a_lowest_priority_matches_no_ticket_without_one():
    assert not matches(replace(ADA, priority="low"), "ticket.escalated", replace(TOPIC, priority=""))


def test_only_webhooks_are_notified_of_a_topic_that_was_announced_before():
    found = subscribers("ticket.escalated", TOPIC, [ADA, Subscription("hook", "webhook")])
    again = subscribers("ticket.escalated", replace(TOPIC, announced=True), [ADA, Subscription("hook", "webhook")])

    assert [each.address for each in found] == ["ada", "hook"]
    assert [(each.address, each.role, each.language) for each in again] == [("hook", "subscriber", "de")]


def test_valid_values_get_their_defined_spelling():
    given = Subscription("ops", "slack", "TICKET.Escalated", "network", "HIGH", "Sales", "Night")

    found = validated(given, CATEGORIES, ENDPOINTS)

    assert (found.event, found.category, found.priority) == ("ticket.escalated", "Network", "high")
    assert (found.department, found.team) == ("Sales", "Night")


# The texts of most errors are asserted with those of a file, in tests/unit/desk/test_notification_settings.py.
@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"channel": "fax"}, "channel"),
        ({"event": "ticket.exploded"}, "event"),
        ({"category": "Plumbing"}, "category"),
        ({"priority": "urgent"}, "priority"),
        ({"channel": "email"}, "recipient"),
        ({"recipient": "a@b.example"}, "recipient"),
        ({"channel": "slack", "recipient": "desk"}, "recipient"),
        ({"department": "x" * 201}, "department"),
        ({"team": "x" * 81}, "team"),
    ],
)
def test_an_invalid_value_is_refused_with_its_field(changes: dict[str, str], field: str):
    with pytest.raises(InvalidSubscription, match=f"^{field}: "):
        validated(replace(ADA, **changes), CATEGORIES, ENDPOINTS)


def test_a_channel_without_endpoints_says_that_none_is_defined():
    with pytest.raises(InvalidSubscription, match="the webhook endpoints are not defined yet"):
        validated(replace(ADA, channel="webhook"), CATEGORIES, ENDPOINTS)
