"""Bulkhead: jobs that call external services use at most a share of a worker's threads.

A mail server that hangs for a minute would otherwise hold every thread of every worker, and with them all other work. An
actor declared with `bulkhead=1/4` gets that share of the threads: fewer messages at a time from its queue (a message counts
until it is acked), and no local dispatch, which would go beyond it. All such actors share TOGETHER of the threads, so that
several services that hang leave room too. An actor declared with `background=True`, whose jobs are not urgent, gets one.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from threading import Condition
from typing import Any, Protocol

from dramatiq import Broker
from dramatiq.broker import MessageProxy

from aura.jobs import process_state
from aura.jobs.slots import SlotAccess, SlotEntry

#: Dramatiq prefetches twice as many messages as there are threads.
PREFETCH_PER_THREAD = 2
#: Messages of a queue of asynchronous jobs: they wait for slots here, while another process may have free ones.
ASYNC_PREFETCH = 2
#: The share of a worker's threads for everything behind the bulkhead.
TOGETHER = Fraction(3, 4)


class Slot(Protocol):
    """What a consumer asks before it returns a message."""

    def read(self, read: Callable[[], MessageProxy | None], timeout: float) -> MessageProxy | None:
        """Return a message for which there is room; None when there is none in so many seconds."""

    def release(self, message: MessageProxy) -> None:
        """Note that the message is done."""


class Bulkhead:
    """Counts the messages behind the bulkhead that this process holds."""

    def __init__(self) -> None:
        self._released = Condition()
        self._held: set[str] = set()
        self._most = 1

    def acquire(self, message: MessageProxy, timeout: float) -> bool:
        """Wait until there is room for the message; False when there is none within so many seconds."""
        with self._released:
            free = self._released.wait_for(lambda: len(self._held) < self._most, timeout)
            if free:
                self._held.add(message.message_id)
            return free

    def release(self, message: MessageProxy) -> None:
        """Make room for another message."""
        with self._released:
            self._held.discard(message.message_id)
            self._released.notify()

    def slot(self, broker: Broker, queue: str, prefetch: int) -> tuple[int, Slot | None]:
        """Return the most messages of the queue that a worker may hold, and the slot that its consumer must use, if any.

        `prefetch` is the number for a queue without a bulkhead.
        """
        actors: list[Any] = [actor for actor in broker.actors.values() if actor.queue_name == queue]
        if any(actor.slot_access() is not None for actor in actors):
            return ASYNC_PREFETCH, SlotEntry(
                lambda name: access_of(broker, name), lambda: process_state.runner.stopping
            )
        if any(actor.option("background") for actor in actors):
            return 1, None
        share = min((share for actor in actors if (share := actor.option("bulkhead"))), default=None)
        if share is None:
            return prefetch, None
        threads = prefetch // PREFETCH_PER_THREAD
        self._most = max(1, int(threads * TOGETHER))
        return max(1, int(threads * share)), BulkheadSlot(self)


class BulkheadSlot:
    """The entry of one consumer to the bulkhead; a message for which there is no room waits here."""

    def __init__(self, bulkhead: Bulkhead) -> None:
        self._bulkhead = bulkhead
        self._waiting: MessageProxy | None = None

    def read(self, read: Callable[[], MessageProxy | None], timeout: float) -> MessageProxy | None:
        """Return the waiting message, or the next one; None when there is none or no room in so many seconds."""
        message = self._waiting or read()
        self._waiting = None
        if message is not None and not self._bulkhead.acquire(message, timeout):
            self._waiting, message = message, None
        return message

    def release(self, message: MessageProxy) -> None:
        """Note that the message is done."""
        self._bulkhead.release(message)


def access_of(broker: Broker, actor: str) -> SlotAccess | None:
    """Return the access of an actor; None while its jobs run in threads."""
    found: Any = broker.actors.get(actor)
    access: SlotAccess | None = found.slot_access() if found is not None else None
    return access
