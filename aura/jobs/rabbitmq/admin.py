"""Administration of RabbitMQ by the relay: declares the topology, counts messages, drains dead-letter queues.

The calls share one connection, which stays open: RabbitMQ's guides call a connection for each call connection churn. The
relay serves it between its rounds, for its heartbeats. A queue that fails, such as one on a node that is down, is passed over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import structlog
from pika.exceptions import ChannelClosedByBroker

from aura.jobs.rabbitmq import large_messages, topology
from aura.jobs.rabbitmq.connection import AWAY, RPC_SECONDS, bounded, describe, open_blocking
from aura.jobs.rabbitmq.topology import Topology
from aura.jobs.transport import PublishFailed, StoreDeadLetter
from aura.settings import Settings

logger = structlog.get_logger("aura.rabbitmq")

#: Most messages of a dead-letter queue that one call drains: hints wait meanwhile.
MOST_DRAINED = 1000


class Away(PublishFailed):
    """RabbitMQ does not answer."""


class Admin:
    """One connection for administration, for one thread; opens at the first use, and again after an error."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._connection: Any = None
        self._channel: Any = None
        #: Queues that did not answer the last time, so that each is logged once.
        self._missing: set[str] = set()

    def declare(self, queues: Iterable[str], shape: Topology) -> dict[str, str]:
        """Declare the queues with their bindings, and the exchanges. Returns the failures, by object. Raises Away."""
        with self._connected() as connection:
            wanted = topology.everything(queues, shape, quorum=self._settings.quorum_queues)
            return topology.attempt(connection, wanted)

    def depths(self, queues: Sequence[str]) -> dict[str, int]:
        """Return the number of ready messages in each queue that answers. Raises Away."""
        return dict(self._each(queues, self._depth))

    def drain(self, queues: Sequence[str], store: StoreDeadLetter) -> int:
        """Pass each message of the queues' dead-letter queues to `store` with its reason, and ack it when that returns.

        Returns the number of messages, at most MOST_DRAINED of a queue. Raises Away, and whatever `store` raises.
        """
        return sum(count for _, count in self._each(queues, lambda channel, queue: _drain(channel, queue, store)))

    def serve(self) -> None:
        """Answer heartbeats; a connection that broke is forgotten."""
        if self._connection is not None:
            try:
                self._connection.process_data_events(time_limit=0)
            except AWAY:
                self.close()

    def close(self) -> None:
        """Close the connection; the next call opens another one."""
        connection, self._connection, self._channel = self._connection, None, None
        if connection is not None:
            with suppress(*AWAY):
                connection.close()

    @staticmethod
    def _depth(channel: Any, queue: str) -> int:
        return int(channel.queue_declare(queue, passive=True).method.message_count)

    def _each(self, queues: Sequence[str], call: Callable[[Any, str], int]) -> Iterator[tuple[str, int]]:
        for queue in queues:
            with self._connected() as connection:
                if self._channel is None or not self._channel.is_open:
                    self._channel = connection.channel()
                    large_messages.bound(self._channel)
                try:
                    answer = call(self._channel, queue)
                except ChannelClosedByBroker as error:
                    if queue not in self._missing:
                        logger.warning("queue not available", queue=queue, error=describe(error))
                    self._missing.add(queue)
                    continue
                self._missing.discard(queue)
                yield queue, answer

    @contextmanager
    def _connected(self) -> Iterator[Any]:
        try:
            if self._connection is None or not self._connection.is_open:
                self._connection = open_blocking(self._settings)
                self._channel = None
            with bounded(self._connection, RPC_SECONDS):
                yield self._connection
        except AWAY as error:
            self.close()
            raise Away(describe(error)) from None


def _drain(channel: Any, queue: str, store: StoreDeadLetter) -> int:
    dead, count = topology.dead_letter_queue(queue), 0
    waiting = channel.queue_declare(dead, passive=True).method.message_count
    for _ in range(min(waiting, MOST_DRAINED)):
        method, properties, body = channel.basic_get(dead)
        if method is None:
            break
        try:
            store(queue, body, topology.reason_of_death(properties.headers))
        except BaseException:
            channel.close()  # the message goes back into the queue
            raise
        channel.basic_ack(method.delivery_tag)
        count += 1
    return count
