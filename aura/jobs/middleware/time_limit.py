"""Time limits: interrupts an attempt that exceeds the `time_limit` of its actor.

Dramatiq's own middleware may raise its error in any line that follows the actor's function, which ends the thread. Here an
attempt is interrupted only where it expects that (`Attempt.interruptible`).
"""

from __future__ import annotations

import threading
import time

import structlog
from dramatiq import Broker, Middleware, Worker
from dramatiq.middleware import TimeLimitExceeded

from aura.jobs import process_state

logger = structlog.get_logger("aura.time_limit")

#: Seconds between two checks.
EVERY = 1.0


class TimeLimit(Middleware):
    """Checks the deadlines of the running attempts."""

    def __init__(self) -> None:
        self._stop = threading.Event()

    @property
    def actor_options(self) -> set[str]:
        return {"time_limit"}

    def before_worker_boot(self, broker: Broker, worker: Worker) -> None:
        self._stop = threading.Event()
        threading.Thread(target=self._run, args=(self._stop,), name="time-limit", daemon=True).start()

    def after_worker_shutdown(self, broker: Broker, worker: Worker) -> None:
        self._stop.set()

    def _run(self, stop: threading.Event) -> None:
        while not stop.wait(EVERY):
            interrupt_late()


def interrupt_late() -> None:
    """Interrupt the attempts whose deadline has passed."""
    for attempt in [each for each in list(process_state.attempts.values()) if each is not None]:
        if time.monotonic() > attempt.deadline and attempt.interrupt(TimeLimitExceeded):
            logger.warning("time limit exceeded", actor=attempt.actor.actor_name)
