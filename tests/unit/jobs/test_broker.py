"""The broker: its source by the settings, its queues, and its transports."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from dramatiq.errors import QueueNotFound

from aura.jobs.broker import JobBroker
from aura.jobs.in_process import LocalQueues
from aura.jobs.rabbitmq.consumer import RabbitmqSource
from aura.jobs.rabbitmq.publisher import Publisher

Configure = Callable[..., Any]
RABBITMQ = {"RABBITMQ_URL": "amqp://a:b@127.0.0.1:1/", "DATABASE_URL": "postgresql://a:b@127.0.0.1:1/a"}


@pytest.fixture
def broker() -> JobBroker:
    return JobBroker()


def test_a_broker_without_rabbitmq_keeps_its_messages_in_the_process(broker: JobBroker):
    assert broker.embedded
    assert isinstance(broker.source, LocalQueues)
    assert broker.transport() is broker.local is broker.source


def test_a_broker_beside_rabbitmq_has_no_local_queues(broker: JobBroker, configure: Configure):
    configure(**RABBITMQ)

    assert isinstance(broker.source, RabbitmqSource)
    with pytest.raises(TypeError, match="RABBITMQ_URL is set"):
        _ = broker.local
    first, second = broker.transport(), broker.transport()
    assert isinstance(first, Publisher) and first is not second, "each relay has a connection of its own"


def test_a_broker_chooses_its_source_once_until_it_is_closed(broker: JobBroker, configure: Configure):
    local = broker.source
    configure(**RABBITMQ)
    assert broker.source is local

    broker.close()
    broker.close()
    assert isinstance(broker.source, RabbitmqSource)


def test_a_queue_is_declared_once_and_has_no_delay_queue(broker: JobBroker):
    declared: list[str] = []
    broker.add_middleware(type("Seen", (), {"actor_options": set(), "after_declare_queue": _seen(declared)})())
    broker.declare_queue("ai.classify")
    broker.declare_queue("ai.classify", ensure=True)

    assert broker.get_declared_queues() == {"ai.classify"}
    assert declared == ["ai.classify"]


def _seen(declared: list[str]) -> Callable[..., None]:
    return lambda _self, _broker, queue: declared.append(queue)


def test_a_consumer_of_an_unknown_queue_is_refused(broker: JobBroker):
    with pytest.raises(QueueNotFound, match="nowhere"):
        broker.consume("nowhere")
