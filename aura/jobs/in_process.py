"""The broker of embedded mode: queues in this process, and at the same time the relay's outlet into them.

Hints are all it holds, so nothing is lost with the process: what was not kept is still promised in the database.
"""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable, Sequence
from itertools import count
from queue import Queue
from typing import Any

from dramatiq.broker import Consumer, MessageProxy
from dramatiq.brokers.stub import StubBroker, _StubConsumer
from dramatiq.errors import QueueNotFound

from aura.jobs import bulkhead
from aura.jobs.bulkhead import BulkheadSlot
from aura.jobs.local_dispatch import LocalMessage
from aura.jobs.transport import Outgoing


class InProcessBroker(StubBroker):
    """Dramatiq's in-memory broker without delay queues and without a memory of what failed."""

    def __init__(self, middleware: list[Any]) -> None:
        super().__init__(middleware)
        self.promised = threading.Event()

    def declare_queue(self, queue_name: str) -> None:
        """Declare a queue; delays live in the database, so there is no delay queue beside it."""
        if queue_name not in self.queues:
            self.emit_before("declare_queue", queue_name)
            self.queues[queue_name] = _PriorityQueue()
            self.emit_after("declare_queue", queue_name)

    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 100) -> Consumer:
        """Return a consumer. Raises QueueNotFound."""
        if queue_name not in self.queues:
            raise QueueNotFound(queue_name)
        most, door = bulkhead.of(self).share(self, queue_name, prefetch)
        return _Consumer(self.queues[queue_name], most, min(timeout, 200), door)

    def publish(self, batch: Sequence[Outgoing]) -> None:
        """Put the hints into their queues; an event has nobody to go to."""
        for message in batch:
            if message.routing_key in self.queues:
                self.queues[message.routing_key].put((message.priority, message.body))

    def wait(self, seconds: float, woken: Callable[[], bool]) -> None:
        """Wait for a promise made in this process, at most so many seconds."""
        if not woken():
            self.promised.wait(seconds)
        self.promised.clear()

    def depths(self, queues: Sequence[str]) -> dict[str, int]:
        """Return how many hints wait in each queue."""
        return {queue: self.queues[queue].qsize() for queue in queues}

    def drain(self, queues: Sequence[str], keep: Callable[[str, bytes, str], None]) -> int:
        """Return 0: there are no dead-letter queues here, the dead letter is a row."""
        return 0


class _PriorityQueue(Queue[Any]):
    """A queue of (priority, body) that gives the highest priority first, and the oldest among equals."""

    def _init(self, maxsize: int) -> None:
        self.queue: Any = []
        self._order = count()

    def _put(self, item: tuple[int, bytes]) -> None:
        heapq.heappush(self.queue, (-item[0], next(self._order), item[1]))

    def _get(self) -> bytes:
        body: bytes = heapq.heappop(self.queue)[2]
        return body


class _Consumer(_StubConsumer):
    def __init__(self, queue: _PriorityQueue, prefetch: int, timeout: int, door: BulkheadSlot) -> None:
        super().__init__(queue, [], prefetch, timeout)
        self._door = door

    def __next__(self) -> MessageProxy | None:
        return self._door.take(super().__next__, self.timeout / 1000)

    def ack(self, message: MessageProxy) -> None:
        if not isinstance(message, LocalMessage):
            super().ack(message)

    def nack(self, message: MessageProxy) -> None:
        self.ack(message)  # the dead letter is a row; keeping messages here would grow for ever
