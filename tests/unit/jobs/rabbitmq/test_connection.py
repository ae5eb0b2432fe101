"""The line's pauses: a broker that is away is not asked by everybody at the same moment, nor all the time."""

from __future__ import annotations

import pytest
from dramatiq.errors import ConnectionClosed
from pika.exceptions import AMQPConnectionError

from aura.jobs.rabbitmq import connection
from aura.jobs.rabbitmq.connection import FIRST_PAUSE, LONGEST_PAUSE, Connection, backoff
from aura.jobs.rabbitmq.publisher import parameters
from aura.settings import given

SETTINGS = given(RABBITMQ_URL="amqp://a:b@127.0.0.1:1/?heartbeat=0", DATABASE_URL="postgresql://a:b@127.0.0.1:1/a")


def test_a_connection_that_dies_in_silence_or_is_blocked_is_noticed():
    found = parameters(SETTINGS)
    assert 0 < found.heartbeat <= 15
    assert 0 < found.blocked_connection_timeout <= 30


def test_the_pause_before_a_new_connection_grows_with_jitter_up_to_a_longest(monkeypatch: pytest.MonkeyPatch):
    for failures in (1, 3, 400):
        full = min(FIRST_PAUSE * 2.0 ** min(failures, 10), LONGEST_PAUSE)
        found = {backoff(failures) for _ in range(20)}
        assert full / 2 <= min(found) < max(found) <= full, "all of a house would come back at the same moment"

    def away(_settings: object) -> None:
        raise AMQPConnectionError

    def none(failures: int) -> float:
        asked.append(failures)
        return 0.0

    asked: list[int] = []
    monkeypatch.setattr(connection, "_Link", away)
    monkeypatch.setattr(connection, "backoff", none)
    ours = Connection(SETTINGS)
    for _ in range(4):
        with pytest.raises(ConnectionClosed):
            ours.subscribe("ai.classify", 1)
    assert asked == [1, 2, 3]
