"""Slots: bound how many asynchronous jobs a process has claimed, and let a consumer read no hint for which none is free.

Actors that are declared with the same `concurrency` share their slots; one with `bulkhead=1/4` gets at most that share of them.
A slot is held from before the claim until the job is settled, so a process claims just as many jobs as it may start.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable
from fractions import Fraction
from threading import Condition

from dramatiq.broker import MessageProxy


class Slots:
    """The slots of the actors that share a `concurrency`, which may change at any time."""

    def __init__(self, capacity: Callable[[], int]) -> None:
        self._capacity = capacity
        self._changed = Condition()
        #: The slots by holder: of each, the access and the number. A holder is a message, a local lease or a running job.
        self._held: dict[str, tuple[SlotAccess, int]] = {}
        self._used: Counter[SlotAccess] = Counter()
        self._waiting = 0

    def access(self, share: Fraction | None = None) -> SlotAccess:
        """Return the access of one actor to the slots; `share` is the most that it gets of them."""
        return SlotAccess(self, share)

    def try_acquire(self, access: SlotAccess, holder: str, number: int) -> bool:
        """Take slots at once, unless there are too few or a consumer waits for some."""
        with self._changed:
            return not self._waiting and self._take(access, holder, number)

    def acquire(self, access: SlotAccess, holder: str, number: int, timeout: float) -> bool:
        """Wait for slots; False when there are too few within so many seconds."""
        with self._changed:
            self._waiting += 1
            try:
                # also woken by time alone: the capacity may have grown meanwhile
                until = time.monotonic() + timeout
                while not self._take(access, holder, number):
                    if (left := until - time.monotonic()) <= 0:
                        return False
                    self._changed.wait(min(left, 0.1))
                return True
            finally:
                self._waiting -= 1

    def hold(self, access: SlotAccess, holders: Iterable[str]) -> None:
        """Take one slot for each of these running jobs, whose hint has made room for them."""
        with self._changed:
            for each in holders:
                self._hold(access, each, 1)

    def release(self, *holders: str) -> None:
        """Free the slots of these holders; one that holds none is no error."""
        with self._changed:
            for each in holders:
                self._release(each)
            self._changed.notify_all()

    def capacity(self, access: SlotAccess) -> int:
        """Return how many slots the access has, free or not, 1 at least."""
        capacity = self._capacity()
        return max(1, capacity if access.share is None else int(capacity * access.share))

    def _free(self, access: SlotAccess) -> int:
        return min(max(1, self._capacity()) - self._used.total(), self.capacity(access) - self._used[access])

    def _take(self, access: SlotAccess, holder: str, number: int) -> bool:
        # a hint of more jobs than there are slots at all is read when the access is idle; the rest of its jobs is released
        if number > self._free(access) and (self._used[access] or self._free(access) < 1):
            return False
        self._hold(access, holder, number)
        return True

    def _hold(self, access: SlotAccess, holder: str, number: int) -> None:
        self._release(holder)
        self._held[holder] = access, number
        self._used[access] += number

    def _release(self, holder: str) -> None:
        access, number = self._held.pop(holder, (None, 0))
        if access is not None:
            self._used[access] -= number


class SlotAccess:
    """The slots as one actor sees them."""

    def __init__(self, slots: Slots, share: Fraction | None) -> None:
        self.slots, self.share = slots, share


class SlotEntry:
    """The entry of one consumer: a hint for which no slots are free waits here, as at a `BulkheadSlot`."""

    def __init__(self, access_of: Callable[[str], SlotAccess | None], closed: Callable[[], bool]) -> None:
        #: Returns the access of an actor by its name; None for an actor whose jobs run in threads.
        self._access_of, self._closed = access_of, closed
        self._waiting: MessageProxy | None = None

    def read(self, read: Callable[[], MessageProxy | None], timeout: float) -> MessageProxy | None:
        """Return the waiting message, or the next one; None when there is none, or no slots in so many seconds."""
        if self._closed():
            time.sleep(min(timeout, 0.1))  # the worker stops: RabbitMQ delivers the hints to another one
            return None
        message = self._waiting or read()
        self._waiting = None
        access = self._access_of(message.actor_name) if message is not None else None
        if message is None or access is None:
            return message
        jobs = max(len(message.args[0]), 1)
        if not access.slots.acquire(access, message.message_id, jobs, timeout):
            self._waiting, message = message, None
        return message

    def release(self, message: MessageProxy) -> None:
        """Note that the message is done; its jobs hold slots of their own."""
        if (access := self._access_of(message.actor_name)) is not None:
            access.slots.release(message.message_id)
