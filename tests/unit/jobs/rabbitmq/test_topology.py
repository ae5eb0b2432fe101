"""Topology: routes of hints, arguments of queues, and reasons of dead messages."""

from __future__ import annotations

from typing import Any

import pytest
from pika.exceptions import ChannelClosedByBroker

from actors import TOPOLOGY
from aura.jobs.rabbitmq import topology
from aura.jobs.rabbitmq.topology import Route, Topology, arguments_of, reason_of_death


class Channel:
    """Records what is declared on it, in order."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []

    def queue_declare(self, queue: str, durable: bool, arguments: dict[str, Any]) -> None:
        assert durable
        self.calls.append(("queue", queue))

    def exchange_declare(self, exchange: str, exchange_type: str, durable: bool) -> None:
        assert durable and exchange_type == "topic"
        self.calls.append(("exchange", exchange))

    def queue_bind(self, queue: str, exchange: str, routing_key: str) -> None:
        self.calls.append((f"{exchange}/{routing_key}", queue))


@pytest.mark.parametrize(
    ("route", "hinted"),
    [
        (Route("work", "ai.classify"), Route("work", "ai.classify")),
        (Route("work", "another.key"), Route("", "ai.classify")),
        (Route("events", "ai.classify"), Route("", "ai.classify")),
        (Route("", "ai.classify"), Route("", "ai.classify")),
    ],
)
def test_a_hint_goes_over_an_exchange_only_by_the_name_of_its_queue_and_not_among_events(route: Route, hinted: Route):
    shape = Topology(("work", "events"), lambda _queue: route, "events")

    assert shape.hint_route("ai.classify") == hinted


def test_a_queue_has_a_dead_letter_queue_and_priorities_or_a_quorum():
    dead = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "ai.classify.XQ"}

    assert arguments_of("ai.classify", quorum=False) == dead | {"x-queue-type": "classic", "x-max-priority": 9}
    assert arguments_of("ai.classify", quorum=True) == dead | {"x-queue-type": "quorum"}


@pytest.mark.parametrize(("quorum", "kind"), [(True, "quorum"), (False, "classic")])
def test_a_dead_letter_queue_has_the_type_of_its_queue(quorum: bool, kind: str):
    # a classic queue is on one node: without that node, its dead-letter queue could be neither declared nor written
    assert topology.dead_letter_arguments(quorum=quorum)["x-queue-type"] == kind


def test_a_queue_is_declared_before_the_exchange_that_leads_to_it():
    channel = Channel()
    topology.declare(channel, "ai.classify", TOPOLOGY, quorum=False)

    assert channel.calls == [
        ("queue", "ai.classify.XQ"),
        ("queue", "ai.classify"),
        ("exchange", "ai_processing"),
        ("ai_processing/ai.classify", "ai.classify"),
    ]


def test_every_exchange_is_declared_with_or_without_queues():
    channel = Channel()
    topology.declare_exchanges(channel, TOPOLOGY)

    assert channel.calls == [("exchange", name) for name in TOPOLOGY.exchanges]


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({"x-death": [{"reason": "expired"}, {"reason": "rejected"}]}, "expired"),
        ({"x-death": [{}]}, "put there by hand"),
        ({"x-death": []}, "put there by hand"),
        ({"x-death": "expired"}, "put there by hand"),
        ({"x-death": [7]}, "put there by hand"),
        ({"x-death": [{"reason": "x" * 500}]}, "x" * 80),
        ({}, "put there by hand"),
        (None, "put there by hand"),
        ([1], "put there by hand"),
    ],
)
def test_the_reason_of_a_dead_message_is_read_from_any_headers(headers: Any, reason: str):
    assert reason_of_death(headers) == reason


class Broker:
    """A connection whose broker refuses some declarations, and closes their channel."""

    def __init__(self, *refused: str) -> None:
        self.refused, self.channels = refused, list[RefusingChannel]()

    def channel(self) -> RefusingChannel:
        self.channels.append(RefusingChannel(self.refused))
        return self.channels[-1]


class RefusingChannel(Channel):
    def __init__(self, refused: tuple[str, ...]) -> None:
        super().__init__()
        self._refused, self.is_open = refused, True

    def queue_declare(self, queue: str, durable: bool, arguments: dict[str, Any]) -> None:
        assert self.is_open
        if queue in self._refused:
            self.is_open = False
            raise ChannelClosedByBroker(404, f"NOT_FOUND - home node 'mq1' of durable queue '{queue}' is down")
        super().queue_declare(queue, durable, arguments)

    def close(self) -> None:
        self.is_open = False


def test_a_queue_that_cannot_be_declared_stops_no_other_declaration():
    broker = Broker("ai.classify.XQ", "notify.email")
    failures = topology.attempt(
        broker, topology.everything(["notify.email", "ai.classify", "tickets.intake"], TOPOLOGY, quorum=True)
    )

    assert set(failures) == {"queue ai.classify.XQ", "queue notify.email"}
    assert "home node 'mq1'" in failures["queue ai.classify.XQ"]
    declared = {call for channel in broker.channels for call in channel.calls}
    assert {("queue", "ai.classify"), ("queue", "notify.email.XQ"), ("queue", "tickets.intake")} <= declared
    assert {("exchange", name) for name in TOPOLOGY.exchanges} <= declared
    assert len(broker.channels) == 3, "a further channel for each failure alone"
    assert not any(channel.is_open for channel in broker.channels)
