"""Asynchronous jobs of one process: an event loop in a thread runs them, and a second thread completes those that are done.

1. A worker thread claims the jobs of a hint and hands them over (`submit`); the hint is acked, the worker's heartbeat renews
   their leases.
2. The event loop runs a task for each. Its time limit and its cancellation interrupt that task alone.
3. The second thread takes whatever has ended meanwhile, and completes it in one transaction for each actor.

asyncio, not anyio: the tasks have no common scope, each outlives the call that started it and ends by itself, which is
`loop.create_task` in asyncio and one task group held open for ever in anyio. All threads start with the first job; the third
watches the event loop (`aura.jobs.loop_watchdog`).
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

import structlog
from dramatiq.middleware.threading import Interrupt

from aura.jobs.loop_watchdog import LoopWatchdog, create_task

if TYPE_CHECKING:
    from aura.jobs.async_actor import AsyncActor, AsyncAttempt

logger = structlog.get_logger("aura.async")

#: Most jobs of one completion.
TOGETHER = 100
#: Seconds that interrupted jobs have to end, when a process stops.
INTERRUPTED_WITHIN = 2.0
#: Seconds between two checks of an event loop that has jobs.
CHECK_EVERY = 1.0


class AsyncRunner:
    """The event loop, its jobs, and the thread that completes them."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._jobs: set[AsyncAttempt] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ended: SimpleQueue[AsyncAttempt | None] = SimpleQueue()
        #: Whether the process stops: no hint is read any more.
        self.stopping = False

    def reset(self) -> None:
        """Accept jobs again, for tests."""
        self.stopping = False

    def submit(self, attempts: Sequence[AsyncAttempt]) -> None:
        """Run the attempts on the event loop; those that have failed already are settled only."""
        with self._changed:
            loop = self._started()
            self._jobs.update(attempts)
            self._changed.notify_all()
        for each in attempts:
            if each.error is not None or each.failures:
                self._ended.put(each)
        if ready := [each for each in attempts if each.error is None and not each.failures]:
            loop.call_soon_threadsafe(self._start, ready)

    def wait(self, attempts: Iterable[AsyncAttempt] | None = None, timeout: float | None = None) -> bool:
        """Wait until these attempts are settled, or all; False when some are not within so many seconds."""
        waited = None if attempts is None else set(attempts)
        with self._changed:
            return self._changed.wait_for(lambda: not (self._jobs if waited is None else self._jobs & waited), timeout)

    def stop(self, seconds: float, interrupt: Callable[[AsyncAttempt], object]) -> None:
        """Wait so many seconds for the jobs, and then interrupt those that still run."""
        if not self.wait(timeout=seconds):
            with self._changed:
                left = list(self._jobs)
            logger.warning("asynchronous jobs interrupted: they are released", jobs=len(left))
            for each in left:
                interrupt(each)
            self.wait(timeout=INTERRUPTED_WITHIN)
        with self._changed:
            loop, self._loop = self._loop, None
            self._changed.notify_all()
            if loop is not None:
                self._ended.put(None)
                loop.call_soon_threadsafe(loop.stop)

    # -- the event loop

    def _started(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            loop = asyncio.new_event_loop()
            self._loop, self._ended = loop, SimpleQueue()
            loop.set_task_factory(create_task)
            serving = threading.Thread(target=_serve, args=(loop,), name="async-jobs", daemon=True)
            serving.start()
            threading.Thread(target=self._complete, args=(self._ended,), name="async-completion", daemon=True).start()
            watchdog = LoopWatchdog(loop, serving)
            threading.Thread(target=self._watch, args=(watchdog,), name="async-watchdog", daemon=True).start()
        return self._loop

    def _start(self, attempts: Iterable[AsyncAttempt]) -> None:
        loop = asyncio.get_running_loop()
        for each in attempts:
            # the loop knows its tasks by weak references only; the attempt holds it
            each.task = task = create_task(loop, self._run(each))
            task.attempt = each

    async def _run(self, attempt: AsyncAttempt) -> None:
        try:
            await attempt.run()
        except BaseException as error:  # an interruption that came when the function had ended
            attempt.error = attempt.error or error
        finally:
            self._ended.put(attempt)

    # -- the watchdog

    def _watch(self, watchdog: LoopWatchdog) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._jobs or self._loop is not watchdog.loop)
                if self._loop is not watchdog.loop and not self._jobs:
                    return
            if not watchdog.check():
                return
            with self._changed:
                self._changed.wait_for(lambda: self._loop is not watchdog.loop, CHECK_EVERY)

    # -- completion

    def _complete(self, ended: SimpleQueue[AsyncAttempt | None]) -> None:
        while (first := ended.get()) is not None:
            batch = [first]
            while len(batch) < TOGETHER:
                try:
                    each = ended.get_nowait()
                except Empty:
                    break
                if each is None:
                    ended.put(None)
                    break
                batch.append(each)
            self._settle(batch)

    def _settle(self, batch: Sequence[AsyncAttempt]) -> None:
        by_actor: dict[AsyncActor, list[AsyncAttempt]] = {}
        for each in batch:
            by_actor.setdefault(each.async_actor, []).append(each)
        for actor, attempts in by_actor.items():
            try:
                actor.settle_all(attempts)
            except BaseException:
                # the next jobs must be completed; these are released by the heartbeat
                logger.critical("asynchronous jobs not settled", exc_info=True)
            finally:
                with self._changed:
                    self._jobs.difference_update(attempts)
                    self._changed.notify_all()


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    try:
        while True:
            try:
                loop.run_forever()
                return
            except Interrupt:  # meant for a job that ended at that moment
                continue
    finally:
        loop.close()


def seconds_left(since: float, seconds: float) -> float:
    """Return what is left of so many seconds since a time by the monotonic clock."""
    return max(since + seconds - time.monotonic(), 0.0)
