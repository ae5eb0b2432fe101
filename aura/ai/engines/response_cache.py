"""Response cache with single flight: equal concurrent requests to an AI provider share one call."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager

from aura.ai.engines.shared_state import SharedState

#: Seconds between two checks whether the running call has an answer.
POLL_INTERVAL = 0.05


def cache_key(*parts: str) -> str:
    """Return a key from which the parts cannot be read."""
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()


class ResponseCache:
    """Stores answers for some seconds; 0 seconds store nothing. Every method may raise SharedStateUnavailable."""

    def __init__(self, shared_state: SharedState, seconds: float, longest_call: float) -> None:
        self._shared_state, self._seconds, self._longest_call = shared_state, seconds, longest_call

    def get(self, key: str) -> str | None:
        """Return the answer of the key, None without one."""
        return self._shared_state.get(f"answer:{key}") if self._seconds else None

    def put(self, key: str, answer: str) -> None:
        """Store the answer of the key."""
        if self._seconds:
            self._shared_state.put(f"answer:{key}", answer, self._seconds)

    @contextmanager
    def single_flight(self, key: str) -> Iterator[str | None]:
        """Yield the answer of a running call with the same key, once it has one; None if the caller has to call."""
        if not self._seconds:
            yield None
            return
        flight, until = f"flight:{key}", time.monotonic() + self._longest_call
        while not (claimed := self._shared_state.claim(flight, self._longest_call)) and time.monotonic() < until:
            time.sleep(POLL_INTERVAL)
            if answer := self.get(key):
                yield answer
                return
        try:
            # the call that held the claim may have stored its answer just before
            yield self.get(key)
        finally:
            if claimed:
                self._shared_state.delete(flight)
