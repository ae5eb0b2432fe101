"""Queues of embedded mode, in this process: a source of messages for workers and the transport of the relay.

They hold hints alone, so the process loses nothing with them: every job that is not completed is in the database.
"""

from __future__ import annotations

import heapq
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from itertools import count
from queue import Empty, Queue
from typing import Any

from dramatiq import Message
from dramatiq.broker import Consumer, MessageProxy

from aura.jobs.bulkhead import Slot
from aura.jobs.transport import Outgoing, StoreDeadLetter

#: Seconds after which a consumer without a message lets its thread check whether it should stop.
IDLE = 0.2


class LocalQueue(Queue[Any]):
    """A queue of (priority, body) that gives the highest priority first, and the oldest of equal ones."""

    def _init(self, maxsize: int) -> None:
        self.queue: Any = []
        self._order = count()

    def _put(self, item: tuple[int, bytes]) -> None:
        heapq.heappush(self.queue, (-item[0], next(self._order), item[1]))

    def _get(self) -> bytes:
        body: bytes = heapq.heappop(self.queue)[2]
        return body


class LocalQueues:
    """One queue for each queue name."""

    def __init__(self) -> None:
        self.queues: defaultdict[str, LocalQueue] = defaultdict(LocalQueue)
        #: Set when a job is enqueued in this process.
        self.enqueued = threading.Event()

    def consume(self, queue: str, prefetch: int, timeout: int, slot: Slot | None) -> Consumer:
        """Return a consumer of the queue; `timeout` in milliseconds."""
        return LocalConsumer(self.queues[queue], prefetch, min(timeout / 1000, IDLE), slot)

    @property
    def problems(self) -> dict[str, str]:
        """Nothing: there is no broker on which anything is declared."""
        return {}

    def open(self) -> None:
        """Do nothing: there is no connection."""

    def publish(self, batch: Sequence[Outgoing]) -> None:
        """Put the hints into their queues, which their routing keys name; events have no subscriber here."""
        for message in filter(lambda each: each.mandatory, batch):
            self.queues[message.routing_key].put((message.priority, message.body))

    def wait(self, seconds: float, woken: Callable[[], bool]) -> None:
        """Wait until a job is enqueued in this process, at most so many seconds."""
        if not woken():
            self.enqueued.wait(seconds)
        self.enqueued.clear()

    def depths(self, queues: Sequence[str]) -> dict[str, int]:
        """Return the number of hints in each queue."""
        return {queue: self.queues[queue].qsize() for queue in queues}

    def drain(self, queues: Sequence[str], store: StoreDeadLetter) -> int:
        """Return 0: there are no dead-letter queues here; each dead letter is a row."""
        return 0

    def clear(self) -> None:
        """Drop every hint."""
        self.queues.clear()

    def close(self) -> None:
        """Do nothing: there is no connection."""


class LocalConsumer(Consumer):
    """Reads at most `prefetch` messages at a time from one queue."""

    def __init__(self, queue: LocalQueue, prefetch: int, seconds: float, slot: Slot | None) -> None:
        self._queue, self._seconds, self._slot = queue, seconds, slot
        self._room = threading.Semaphore(prefetch)

    def __next__(self) -> MessageProxy | None:
        return self._read() if self._slot is None else self._slot.read(self._read, self._seconds)

    def _read(self) -> MessageProxy | None:
        until = time.monotonic() + self._seconds
        if not self._room.acquire(timeout=self._seconds):
            return None
        try:
            body = self._queue.get(timeout=max(until - time.monotonic(), 0.0))
        except Empty:
            self._room.release()
            return None
        return LocalHint(Message.decode(body), self)

    def ack(self, message: MessageProxy) -> None:
        """Make room for another message."""
        if isinstance(message, LocalHint):
            message.consumer.done(message)

    def nack(self, message: MessageProxy) -> None:
        """Do the same: the dead letter is a row, and messages kept here would grow without end."""
        self.ack(message)

    def requeue(self, messages: Iterable[MessageProxy]) -> None:
        """Do nothing: the relay finds lost hints when it starts again."""

    def done(self, message: LocalHint) -> None:
        """Count the message as no longer held."""
        self._room.release()
        if self._slot is not None:
            self._slot.release(message)

    def close(self) -> None:
        """Do nothing: there is no connection."""


class LocalHint(MessageProxy):
    """A hint from a queue of this process."""

    def __init__(self, message: Message[Any], consumer: LocalConsumer) -> None:
        super().__init__(message)
        self.consumer = consumer
