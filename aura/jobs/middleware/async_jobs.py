"""Asynchronous jobs at a shutdown: no hint is read any more, the jobs in flight are completed, and the rest is released."""

from __future__ import annotations

import time

from dramatiq import Broker, Middleware, Worker
from dramatiq.middleware.threading import Interrupt

from aura.jobs import process_state
from aura.jobs.async_runner import seconds_left

#: Seconds for the jobs in flight at a shutdown, from its beginning; as much as `--worker-shutdown-timeout` gives the threads.
GRACE = 20.0


class Stopped(Interrupt):
    """The worker stops. The job is released, and uses up no attempt."""


class AsyncJobs(Middleware):
    """Drains the event loop when the worker stops."""

    def __init__(self) -> None:
        self._began = 0.0

    @property
    def actor_options(self) -> set[str]:
        return {"concurrency"}

    def before_worker_boot(self, broker: Broker, worker: Worker) -> None:
        process_state.runner.reset()

    def before_worker_shutdown(self, broker: Broker, worker: Worker) -> None:
        self._began, process_state.runner.stopping = time.monotonic(), True

    def after_worker_shutdown(self, broker: Broker, worker: Worker) -> None:
        # the threads have ended, so no job is submitted any more
        process_state.runner.stop(seconds_left(self._began, GRACE), lambda attempt: attempt.interrupt(Stopped))
