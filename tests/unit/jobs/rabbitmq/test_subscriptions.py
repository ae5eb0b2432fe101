"""The connection of a worker: another one opens after a growing pause."""

from __future__ import annotations

import pytest
from dramatiq.errors import ConnectionClosed
from pika.exceptions import AMQPConnectionError

from aura.jobs.rabbitmq import subscriptions
from aura.jobs.rabbitmq.subscriptions import FIRST_PAUSE, LONGEST_PAUSE, Connection
from aura.jobs.rabbitmq.topology import Topology
from tests.unit.jobs.rabbitmq.test_connection import SETTINGS


def test_the_pause_before_a_new_connection_grows(monkeypatch: pytest.MonkeyPatch):
    def away(*_: object) -> None:
        raise AMQPConnectionError

    def none(failures: int, first: float, longest: float) -> float:
        asked.append((failures, first, longest))
        return 0.0

    asked: list[tuple[int, float, float]] = []
    monkeypatch.setattr(subscriptions, "_Link", away)
    monkeypatch.setattr(subscriptions, "backoff", none)
    ours = Connection(SETTINGS, Topology())
    for _ in range(4):
        with pytest.raises(ConnectionClosed):
            ours.subscribe("ai.classify", 1)
    assert asked == [(failures, FIRST_PAUSE, LONGEST_PAUSE) for failures in (1, 2, 3)]
