"""Slots: how many searches, exports, uploads, streams and waits run at once in one process, for a caller and in all.

A caller who uses up a kind of slot gets 429 or 503 for that kind; everybody else, and new tickets, go on.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from aura.errors import Overloaded, TooManyRequests


@dataclass(frozen=True, slots=True)
class Slots:
    """The slots of one kind. `what` is its name in errors; `retry_after` in seconds."""

    what: str
    each: int
    total: int
    retry_after: float = 1.0
    _used: Counter[str] = field(default_factory=Counter, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def acquire(self, caller: str) -> None:
        """Acquire a slot. Raises TooManyRequests when the caller has all of theirs, Overloaded when none is left."""
        with self._lock:
            if self._used[caller] >= self.each:
                raise TooManyRequests(
                    f"you have {self.each} {self.what} at work, which is the limit of a caller: wait for one to end",
                    retry_after=self.retry_after,
                )
            if self._used.total() >= self.total:
                detail = f"this process has {self.total} {self.what} at work, which is its limit; try again"
                raise Overloaded(detail, retry_after=self.retry_after)
            self._used[caller] += 1

    def release(self, caller: str) -> None:
        """Release the slot."""
        with self._lock:
            self._used[caller] -= 1
            if self._used[caller] <= 0:
                del self._used[caller]

    @contextmanager
    def holding(self, caller: str) -> Iterator[None]:
        """Run the block with a slot. Raises TooManyRequests, Overloaded."""
        self.acquire(caller)
        try:
            yield
        finally:
            self.release(caller)

    @property
    def used(self) -> int:
        """Number of slots in use."""
        return self._used.total()


REQUESTS = Slots("requests", each=30, total=500)
SEARCHES = Slots("searches", each=2, total=4)
EXPORTS = Slots("exports", each=1, total=2, retry_after=5.0)
BULKS = Slots("bulk requests", each=2, total=8, retry_after=5.0)
UPLOADS = Slots("uploads", each=4, total=16, retry_after=5.0)
STREAMS = Slots("streams of changes", each=10, total=100, retry_after=30.0)
WAITS = Slots("requests with `wait`", each=50, total=500)


class SlotResponse(StreamingResponse):
    """A streamed response that has a slot until its end. Raises TooManyRequests, Overloaded before it begins."""

    def __init__(self, slots: Slots, caller: str, content: Any, **options: Any) -> None:
        slots.acquire(caller)
        self._slots, self._caller = slots, caller
        super().__init__(content, **options)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._slots.release(self._caller)
