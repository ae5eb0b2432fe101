"""Endpoints in the database: their URLs, their keys, and the subscriptions that name them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy.orm import Session

from db import endpoints, reading, subscriptions, transaction

pytestmark = pytest.mark.usefixtures("database")

URL = "https://hooks.example.com/T1/secret-part"


def add(name: str, channel: str = "webhook", secret: str = "k1") -> bool:
    with transaction() as session:
        return endpoints.add(session, name, channel, URL, secret)


def test_an_endpoint_is_added_once_and_listed_by_name():
    assert [add("ops"), add("desk", "slack", ""), add("ops", "teams", "k2")] == [True, True, False]

    with reading() as session:
        listed = endpoints.listing(session)
        assert endpoints.find(session, ["ops", "nobody"]).keys() == {"ops"}
    assert [(each.name, each.channel, each.keys) for each in listed] == [
        ("desk", "slack", ()),
        ("ops", "webhook", ("k1",)),
    ]


def test_a_printed_endpoint_shows_neither_url_nor_key():
    add("ops", secret="whsec_k1")
    with reading() as session:
        shown = repr(endpoints.get(session, "ops"))

    assert "secret-part" not in shown and "whsec_k1" not in shown


def test_two_keys_sign_during_a_rotation_and_the_oldest_is_gone_after_another():
    add("ops")
    with transaction() as session:
        endpoints.rotate(session, "ops", "k2")
        assert endpoints.get(session, "ops").keys == ("k2", "k1")
        endpoints.rotate(session, "ops", "k3")
        assert endpoints.get(session, "ops").keys == ("k3", "k2")
        assert endpoints.drop_old_secret(session, "ops")
        assert not endpoints.drop_old_secret(session, "ops")
        assert endpoints.get(session, "ops").keys == ("k3",)


def test_another_url_keeps_the_keys_and_other_endpoints():
    add("ops")
    add("desk")
    with transaction() as session:
        endpoints.set_url(session, "ops", "https://new.example.com/")

    with reading() as session:
        found = endpoints.find(session, ["ops", "desk"])
    assert (found["ops"].url, found["ops"].keys, found["desk"].url) == ("https://new.example.com/", ("k1",), URL)


def test_removing_an_endpoint_counts_the_subscriptions_of_its_channel_that_name_it():
    add("ops", "slack")
    row = dict.fromkeys(subscriptions.FIELDS, "") | {"recipient": "ops", "event": "*"}
    with transaction() as session:
        subscriptions.add(session, [row | {"channel": "slack"}, row | {"channel": "teams"}])
        assert endpoints.remove(session, "ops") == 1
        assert endpoints.find(session, ["ops"]) == {}


@pytest.mark.parametrize(
    "change",
    [
        endpoints.get,
        lambda session, name: endpoints.set_url(session, name, URL),
        lambda session, name: endpoints.rotate(session, name, "k"),
        endpoints.drop_old_secret,
        endpoints.remove,
    ],
    ids=["get", "set_url", "rotate", "drop_old_secret", "remove"],
)
def test_an_unknown_endpoint_is_an_error_that_names_the_endpoint(change: Callable[[Session, str], Any]):
    with transaction() as session, pytest.raises(endpoints.UnknownEndpoint, match="'nobody' does not exist"):
        change(session, "nobody")
