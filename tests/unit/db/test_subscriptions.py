"""Subscriptions in the database: equal ones are one row."""

from __future__ import annotations

import pytest

from db import endpoints, reading, subscriptions, transaction

pytestmark = pytest.mark.usefixtures("database")

ADA = dict.fromkeys(subscriptions.FIELDS, "") | {"recipient": "ada", "channel": "in_app", "event": "*"}
BEN = ADA | {"recipient": "ben", "category": "Network"}


def test_equal_subscriptions_are_one_row():
    with transaction() as session:
        assert subscriptions.add(session, [ADA, BEN, ADA]) == 2
        assert subscriptions.add(session, [ADA]) == 0
        assert subscriptions.add(session, [ADA | {"priority": "high"}]) == 1

    with reading() as session:
        assert subscriptions.all_subscriptions(session)[:2] == [ADA, BEN]


def test_subscriptions_are_listed_of_all_or_of_one_recipient():
    with transaction() as session:
        subscriptions.add(session, [BEN, ADA])

    with reading() as session:
        assert [row["recipient"] for row in subscriptions.listing(session)] == ["ada", "ben"]
        assert [row["category"] for row in subscriptions.listing(session, "ben")] == ["Network"]


def test_a_subscription_is_removed_by_its_number():
    with transaction() as session:
        subscriptions.add(session, [ADA, BEN])
        number = subscriptions.listing(session, "ada")[0]["id"]
        subscriptions.remove(session, number)
        assert [row["recipient"] for row in subscriptions.listing(session)] == ["ben"]


@pytest.mark.parametrize("number", [-1, 0, 99, 2**63])
def test_an_unknown_subscription_is_an_error(number: int):
    with transaction() as session, pytest.raises(subscriptions.UnknownSubscription, match=f"{number} does not exist"):
        subscriptions.remove(session, number)


def test_the_endpoints_of_subscriptions_are_pairs_of_channel_and_name():
    with transaction() as session:
        endpoints.add(session, "ops", "slack", "console:")
        assert subscriptions.endpoints(session) == {("slack", "ops")}
