"""RabbitMQ's definitions: what each role may do, and the bounds of the queues."""

from __future__ import annotations

import re
from typing import Any

import pytest

from actors import TOPOLOGY
from aura.jobs.rabbitmq.definitions import definitions

QUEUES = ["ai.classify", "tickets.intake"]


def may(role: str, action: str, name: str) -> bool:
    [permission] = [each for each in definitions(QUEUES, TOPOLOGY, quorum=False)["permissions"] if each["user"] == role]
    return re.search(permission[action], name) is not None


@pytest.mark.parametrize("action", ["configure", "write", "read"])
def test_a_worker_may_do_everything_with_queues_of_aura_and_nothing_with_others(action: str):
    for name in (*QUEUES, "ai.classify.XQ", *TOPOLOGY.exchanges):
        assert may("aura-worker", action, name), name
    for name in ("ai.classify.other", "aixclassify", "payroll", "events.mine"):
        assert not may("aura-worker", action, name), name


def may_topic(role: str, action: str, exchange: str, key: str) -> bool:
    rows = definitions(QUEUES, TOPOLOGY, quorum=False)["topic_permissions"]
    [row] = [each for each in rows if (each["user"], each["exchange"]) == (role, exchange)]
    return re.search(row[action], key) is not None


def test_each_publisher_writes_one_exchange_and_the_keys_of_its_queues_alone():
    for role, own, key in (
        ("aura-publisher", "tickets", "ticket.created"),
        ("aura-reanalyzer", "ai_processing", "ai.classify"),
    ):
        assert [name for name in (*TOPOLOGY.exchanges, "tickets.intake") if may(role, "write", name)] == [own]
        assert not any(may(role, action, own) for action in ("configure", "read"))
        assert may_topic(role, "write", own, key)
        assert not may_topic(role, "write", own, "ticket.classified.security.critical")
        assert not may_topic(role, "write", own, f"x{key}")
        assert not may_topic(role, "read", own, key)


def test_a_listener_has_queues_of_its_own_and_reads_events_alone():
    assert all(may("aura-listener", action, "events.mine") for action in ("configure", "write", "read"))
    assert may("aura-listener", "read", str(TOPOLOGY.events))
    assert not may("aura-listener", "read", "notifications")
    assert not may("aura-listener", "write", str(TOPOLOGY.events))
    assert may_topic("aura-listener", "read", "tickets", "ticket.classified.#")
    for key in ("ticket.created", "ticket.created.#", "ticket.#", "#", "*.created", "ticket.*", ""):
        assert not may_topic("aura-listener", "read", "tickets", key), key


def test_every_role_has_a_topic_permission_for_every_exchange():
    """RabbitMQ allows every routing key where an entry is missing."""
    found = definitions(QUEUES, TOPOLOGY, quorum=False)
    rows = {(row["user"], row["exchange"]) for row in found["topic_permissions"]}
    assert rows == {(user["name"], exchange) for user in found["users"] for exchange in TOPOLOGY.exchanges}


def test_no_role_has_a_password():
    assert {user["password_hash"] for user in definitions(QUEUES, TOPOLOGY, quorum=False)["users"]} == {""}


@pytest.mark.parametrize("quorum", [False, True])
def test_every_queue_is_bounded_and_refuses_further_messages(quorum: bool):
    found: dict[str, Any] = definitions(QUEUES, TOPOLOGY, quorum=quorum)
    [policy] = found["policies"]

    assert [name for name in QUEUES if not re.search(policy["pattern"], name)] == []
    assert not re.search(policy["pattern"], "ai.classify.XQ")
    assert policy["definition"]["overflow"] == "reject-publish"
    assert ("delivery-limit" in policy["definition"]) is quorum
