"""Concurrency of calls to the AI provider: shrinks when the provider asks for fewer calls, and recovers (AIMD).

Additive increase, multiplicative decrease (Chiu and Jain, 1989), as in TCP: a 429 halves the number of calls in flight, and each
answer adds a fraction of a call, so that it is back at its most after about RECOVERY rounds of answers.
"""

from __future__ import annotations

import threading
import time

#: The factor of a decrease, and the number of rounds, each of as many answers as there are calls in flight, to the most.
DECREASE, RECOVERY = 0.5, 20


class Concurrency:
    """The calls that one process may have in flight."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._limit = float(most)
        self._decreased = float("-inf")
        self._lock = threading.Lock()

    @property
    def limit(self) -> int:
        """The most calls in flight, 1 or more."""
        return max(int(self._limit), 1)

    def answered(self) -> None:
        """Note that the provider took a call."""
        with self._lock:
            self._limit = min(self._limit + self.most / RECOVERY / self._limit, float(self.most))

    def refused(self, began: float) -> None:
        """Note that the provider asked for fewer calls; `began` is when the call began, by the monotonic clock.

        Calls that began before the last decrease say nothing about the present number.
        """
        with self._lock:
            if began > self._decreased:
                self._decreased = time.monotonic()
                self._limit = max(self._limit * DECREASE, 1.0)
