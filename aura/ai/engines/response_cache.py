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


def answer_key(key: str) -> str:
    """Return the key of an answer in the shared state."""
    return f"answer:{key}"


def flight_key(key: str) -> str:
    """Return the key of the claim of a running call in the shared state."""
    return f"flight:{key}"


class ResponseCache:
    """Stores answers for some seconds; 0 seconds store nothing. Every method may raise SharedStateUnavailable."""

    def __init__(self, shared_state: SharedState, seconds: float, longest_call: float) -> None:
        self._shared_state, self.seconds, self.longest_call = shared_state, seconds, longest_call

    def get(self, key: str) -> str | None:
        """Return the answer of the key, None without one."""
        return self._shared_state.get(answer_key(key)) if self.seconds else None

    def put(self, key: str, answer: str) -> None:
        """Store the answer of the key."""
        if self.seconds:
            self._shared_state.put(answer_key(key), answer, self.seconds)

    @contextmanager
    def single_flight(self, key: str) -> Iterator[str | None]:
        """Yield the answer of a running call with the same key, once it has one; None if the caller has to call."""
        if not self.seconds:
            yield None
            return
        flight, until = flight_key(key), time.monotonic() + self.longest_call
        while not (claimed := self._shared_state.claim(flight, self.longest_call)) and time.monotonic() < until:
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
