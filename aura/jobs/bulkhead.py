"""The bulkhead: what waits for neighbours' answers never takes all of a worker's threads.

A mail server that hangs for a minute would otherwise hold every thread of every worker, and with them all other work. An
actor declared with `bulkhead=1/4` gets so much of the threads: fewer messages at a time from its queue (a message counts
until it is acked), and is never taken eagerly, which would go past that. All such actors together get TOGETHER of them, so
that several neighbours that hang leave room too. One declared with `background=True`, whose work can wait, gets one.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from threading import Condition
from typing import Any

from dramatiq import Broker, Middleware
from dramatiq.broker import MessageProxy

from aura.jobs.batches import option
from aura.settings import get_settings

#: Dramatiq prefetches twice as many messages as there are threads.
PREFETCH_PER_THREAD = 2
#: The part of a worker's threads for all that stands behind the bulkhead.
TOGETHER = Fraction(3, 4)


class Bulkhead(Middleware):
    """Declares the options, and counts the messages behind the bulkhead that this process has in hand."""

    def __init__(self) -> None:
        self._left = Condition()
        self._inside: set[str] = set()
        self._most = 1

    @property
    def actor_options(self) -> set[str]:
        return {"bulkhead", "background"}

    def enter(self, message: MessageProxy, timeout: float) -> bool:
        """Wait until there is room for the message; False when there is none within so many seconds."""
        with self._left:
            free = self._left.wait_for(lambda: len(self._inside) < self._most, timeout)
            if free:
                self._inside.add(message.message_id)
            return free

    def after_process_message(
        self, broker: Broker, message: MessageProxy, *, result: Any = None, exception: BaseException | None = None
    ) -> None:
        with self._left:
            if message.message_id in self._inside:
                self._inside.remove(message.message_id)
                self._left.notify()

    def after_skip_message(self, broker: Broker, message: MessageProxy) -> None:
        self.after_process_message(broker, message)

    def share(self, broker: Broker, queue: str, prefetch: int) -> tuple[int, BulkheadSlot]:
        """Return how many messages of the queue a worker may hold at once, of those that it would prefetch, and the door
        that they come through."""
        sharing = [actor for actor in broker.actors.values() if actor.queue_name == queue]
        if any(actor.options.get("background") for actor in sharing):
            return 1, BulkheadSlot()
        part = min(filter(None, (option(actor, "bulkhead", get_settings()) for actor in sharing)), default=None)
        if part is None:
            return prefetch, BulkheadSlot()
        threads = prefetch // PREFETCH_PER_THREAD
        self._most = max(1, int(threads * TOGETHER))
        return max(1, int(threads * part)), BulkheadSlot(self)


class BulkheadSlot:
    """Where the messages of one consumer come in; one for which there is no room behind the bulkhead waits here."""

    def __init__(self, bulkhead: Bulkhead | None = None) -> None:
        self._bulkhead = bulkhead
        self._waiting: MessageProxy | None = None

    def take(self, read: Callable[[], MessageProxy | None], timeout: float) -> MessageProxy | None:
        """Return the message that waits, or else the next one; None when there is none or no room in so many seconds."""
        message = self._waiting or read()
        self._waiting = None
        if message is not None and self._bulkhead is not None and not self._bulkhead.enter(message, timeout):
            self._waiting, message = message, None
        return message


def of(broker: Broker) -> Bulkhead:
    """Return the bulkhead of a broker."""
    return next(each for each in broker.middleware if isinstance(each, Bulkhead))
