"""Answers used again: the same text about the same question costs one call, also when it comes ten times at once."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager

from aura.ai.engines.shared_state import SharedState

#: Seconds between two looks whether the one who asks has the answer.
LOOK_EVERY = 0.05


def key_of(*parts: str) -> str:
    """Return the name under which the answer to this is kept; nothing can be read from it."""
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()


class Cache:
    """Keeps answers for a while, and lets one caller ask while the others wait for what it learns."""

    def __init__(self, store: SharedState, seconds: float, longest_call: float) -> None:
        self._store, self._seconds, self._longest = store, seconds, longest_call

    def get(self, key: str) -> str | None:
        """Return the answer, if there is one."""
        return self._store.get(f"answer:{key}") if self._seconds else None

    def put(self, key: str, answer: str) -> None:
        """Keep the answer."""
        if self._seconds:
            self._store.put(f"answer:{key}", answer, self._seconds)

    @contextmanager
    def flight(self, key: str) -> Iterator[str | None]:
        """Wait while somebody else asks the same, and yield their answer; None when it is on us to ask."""
        if not self._seconds:
            yield None
            return
        flight, until = f"flight:{key}", time.monotonic() + self._longest
        while not (ours := self._store.claim(flight, self._longest)) and time.monotonic() < until:
            time.sleep(LOOK_EVERY)
            if answer := self.get(key):
                yield answer
                return
        try:
            # who waited for another's flight may find its answer now
            yield self.get(key)
        finally:
            if ours:
                self._store.drop(flight)
