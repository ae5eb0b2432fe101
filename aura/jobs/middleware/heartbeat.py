"""Heartbeat of a worker: a row in `workers` for each boot of a process; its leases are valid while the row is fresh.

The same thread releases leases that no attempt of this process works under any more, as after an attempt that ended
while the database was away; interrupts an attempt whose every job was cancelled; and ends a worker that is asked to drain.
"""

from __future__ import annotations

import time

import structlog
from dramatiq import Broker, Middleware, Worker
from sqlalchemy.exc import SQLAlchemyError

from aura.jobs import heartbeat, process_state
from aura.jobs.attempt import Cancelled
from aura.jobs.middleware.shutdown import stop_command
from aura.settings import first_line
from db import transaction, workers
from db.database import one_statement

logger = structlog.get_logger("aura.heartbeat")

#: Seconds between two heartbeats, and while the worker has nothing to do; AURA_WORKER_DEAD_AFTER must leave room for several.
EVERY, IDLE_EVERY = 1.0, 3.0


class Heartbeat(Middleware):
    """Keeps the worker's row fresh from its boot to its shutdown."""

    def __init__(self) -> None:
        self._thread: heartbeat.HeartbeatThread | None = None
        self._draining = False
        self._was_busy, self._beaten_at = True, float("-inf")

    def before_worker_boot(self, broker: Broker, worker: Worker) -> None:
        # before the first claim, or the lease of an unknown worker would count as a dead one's; once a worker has booted,
        # its threads and the relay run already
        self._draining, self._was_busy = False, True  # it beats at once, also where a worker ended just before
        self._thread = heartbeat.HeartbeatThread(self.beat, EVERY, "heartbeat")
        self._thread.start()

    def after_worker_shutdown(self, broker: Broker, worker: Worker) -> None:
        if self._thread is not None:
            self._thread.stop()
        try:
            with transaction() as session:
                workers.leave(session, process_state.WORKER_ID)
        except SQLAlchemyError as error:
            logger.warning("jobs not released: they are due again when the heartbeat expires", error=first_line(error))

    def beat(self) -> None:
        """Beat, and stop the command when the worker is asked to drain; the row stays fresh until it has ended.

        A worker that had nothing to do since the last beat has no lease to renew, release or lose, and beats less often.
        """
        busy = bool(process_state.attempts)
        idle = not busy and not self._was_busy
        if idle and time.monotonic() - self._beaten_at < IDLE_EVERY - EVERY / 2:
            return
        self._was_busy, self._beaten_at = busy, time.monotonic()
        if beat() and not self._draining:
            self._draining = True
            logger.warning("worker draining: it completes its jobs and claims no more")
            stop_command()


def beat() -> bool:
    """Update the worker's row, release leases without an attempt, and interrupt cancelled attempts.

    Returns whether the worker is asked to drain.
    """
    # before the leases are read: an attempt that begins in between must not count as cancelled
    in_function = [each for each in list(process_state.attempts.values()) if each is not None and each.in_function]
    problem = "; ".join(list(process_state.problems.values())[:2])
    with one_statement() as session:
        drains, held = heartbeat.beat(session, process_state.WORKER_ID, "worker", problem and f"worker: {problem}")
    if held.difference(process_state.attempts):
        with transaction() as session:
            count = workers.release(session, process_state.WORKER_ID, lambda: set(process_state.attempts), held)
        if count:
            logger.warning("jobs released", jobs=count)
    cancelled = [each for each in in_function if each.lease not in held]
    if count := sum(each.interrupt(Cancelled, only_in_function=True) for each in cancelled):
        logger.warning("cancelled attempts interrupted", attempts=count)
    return drains
