"""Administration of RabbitMQ by the relay: declares the topology, counts messages, drains dead-letter queues.

Each call uses a connection of its own: these calls are rare, and wait for answers one by one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from aura.jobs.rabbitmq import large_messages, topology
from aura.jobs.rabbitmq.connection import AWAY, describe, open_blocking
from aura.jobs.rabbitmq.topology import Topology
from aura.jobs.transport import PublishFailed, StoreDeadLetter
from aura.settings import Settings

#: Most messages of a dead-letter queue that one call drains: hints wait meanwhile.
MOST_DRAINED = 1000


class Away(PublishFailed):
    """RabbitMQ does not answer."""


@contextmanager
def _channel(settings: Settings) -> Iterator[Any]:
    try:
        connection = open_blocking(settings)
    except AWAY as error:
        raise Away(describe(error)) from None
    try:
        yield connection.channel()
    except AWAY as error:
        raise Away(describe(error)) from None
    finally:
        if connection.is_open:
            connection.close()


def declare(settings: Settings, queues: Iterable[str], shape: Topology) -> None:
    """Declare the queues with their bindings, and the exchanges. Raises Away."""
    with _channel(settings) as channel:
        for queue in sorted(queues):
            topology.declare(channel, queue, shape, quorum=settings.quorum_queues)
        topology.declare_exchanges(channel, shape)


def depths(settings: Settings, queues: Sequence[str]) -> dict[str, int]:
    """Return the number of ready messages in each queue. Raises Away."""
    with _channel(settings) as channel:
        return {queue: channel.queue_declare(queue, passive=True).method.message_count for queue in queues}


def drain(settings: Settings, queues: Sequence[str], store: StoreDeadLetter) -> int:
    """Pass each message of the queues' dead-letter queues to `store` with its reason, and ack it when that returns.

    Returns the number of messages, at most MOST_DRAINED of a queue. Raises Away, and whatever `store` raises.
    """
    count = 0
    with _channel(settings) as channel:
        large_messages.bound(channel)
        for queue in queues:
            dead = topology.dead_letter_queue(queue)
            waiting = channel.queue_declare(dead, passive=True).method.message_count
            for _ in range(min(waiting, MOST_DRAINED)):
                method, properties, body = channel.basic_get(dead)
                if method is None:
                    break
                store(queue, body, topology.reason_of_death(properties.headers))
                channel.basic_ack(method.delivery_tag)
                count += 1
    return count
