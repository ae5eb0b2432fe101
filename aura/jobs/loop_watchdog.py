"""Watchdog of the event loop: names the asynchronous job that blocks it, and enforces the job's time limit.

A coroutine that calls something synchronous stops all jobs in flight. The watchdog asks the loop to call it back. When the loop
does not within a second, the watchdog logs the actor and the stack. asyncio cannot deliver a cancellation meanwhile: if the
blocking job is interrupted (time limit, cancel, shutdown), the exception is raised in the loop's thread, as in a worker's
thread. As there, it takes effect when a call into C returns.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
import traceback
from typing import TYPE_CHECKING, Any

import structlog
from dramatiq.middleware.threading import raise_thread_exception

if TYPE_CHECKING:
    from aura.jobs.async_actor import AsyncAttempt

logger = structlog.get_logger("aura.async")

#: Seconds without an answer after which the event loop counts as blocked, and between two looks at it from then on.
BLOCKED_AFTER, LOOK_EVERY = 1.0, 0.1
#: Most frames of the stack in a log line, the innermost ones.
FRAMES = 5


class JobTask(asyncio.Task[Any]):
    """A task that knows its job, so that the watchdog finds the job of the running task from another thread."""

    attempt: AsyncAttempt | None = None


def create_task(loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> JobTask:
    """Create a task, the task factory of the loop; a task that a job's task creates belongs to the same job."""
    task, parent = JobTask(coroutine, loop=loop, **options), asyncio.current_task(loop)
    if isinstance(parent, JobTask):
        task.attempt = parent.attempt
    return task


class LoopWatchdog:
    """Checks one event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, thread: threading.Thread) -> None:
        """`thread` runs the loop."""
        self.loop, self._thread = loop, thread

    def check(self) -> bool:
        """Wait for an answer of the loop, and report if it is late. Returns False when the loop is closed."""
        answered, since = threading.Event(), time.monotonic()
        try:
            self.loop.call_soon_threadsafe(answered.set)
        except RuntimeError:
            return False
        if answered.wait(BLOCKED_AFTER):
            return True
        actor = self._report()
        raised: set[AsyncAttempt] = set()
        while not answered.wait(LOOK_EVERY):
            if not self._thread.is_alive():
                return False
            self._interrupt(raised)
        logger.warning("event loop unblocked", actor=actor, seconds=round(time.monotonic() - since, 1))
        return True

    def _blocking(self) -> AsyncAttempt | None:
        """Return the attempt whose code runs now."""
        task = asyncio.current_task(self.loop)
        return task.attempt if isinstance(task, JobTask) else None

    def _report(self) -> str | None:
        attempt = self._blocking()
        actor = None if attempt is None else attempt.async_actor.actor_name
        frame = sys._current_frames().get(self._thread.ident or 0)
        frames = traceback.extract_stack(frame)[-FRAMES:]
        stack = "\n".join(f"{each.filename}:{each.lineno} {each.name}" for each in frames)
        keys = [job.key for job in attempt.jobs] if attempt is not None else []
        logger.error("event loop blocked by a synchronous call", actor=actor, keys=keys, stack=stack)
        return actor

    def _interrupt(self, raised: set[AsyncAttempt]) -> None:
        """Raise the interruption of the blocking attempt in the loop's thread, once for each attempt."""
        attempt = self._blocking()
        if attempt is None or attempt in raised or not attempt.in_function or attempt.interruption is None:
            return
        raised.add(attempt)
        raise_thread_exception(self._thread.ident or 0, type(attempt.interruption))
