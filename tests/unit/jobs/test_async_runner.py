"""The event loop of asynchronous jobs, and the thread that completes them."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from types import SimpleNamespace
from typing import Any

from aura.jobs.async_runner import TOGETHER, AsyncRunner


class Settler:
    """An actor that notes which attempts were settled together."""

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.error: BaseException | None = None

    def settle_all(self, attempts: Any) -> None:
        self.batches.append(len(attempts))
        if self.error is not None:
            error, self.error = self.error, None
            raise error


def attempt(actor: Settler, run: Any = None, **more: Any) -> Any:
    async def at_once() -> None: ...

    values = {
        "error": None,
        "failures": [],
        "task": None,
        "lease": "lease",
        "async_actor": actor,
        "run": run or at_once,
    }

    class Attempt(SimpleNamespace):
        __hash__ = object.__hash__

    return Attempt(**(values | more))


def test_attempts_that_end_together_are_settled_together_and_no_more_than_the_limit() -> None:
    runner, actor = AsyncRunner(), Settler()
    go: list[asyncio.Event] = []

    async def wait() -> None:
        if not go:
            go.append(asyncio.Event())
        await go[0].wait()

    attempts = [attempt(actor, wait) for _ in range(TOGETHER + 50)]

    async def release() -> None:
        go[0].set()

    runner.submit(attempts)
    runner.submit([attempt(actor, release)])
    assert runner.wait(timeout=60)
    assert sum(actor.batches) == len(attempts) + 1
    assert max(actor.batches) <= TOGETHER
    assert len(actor.batches) < len(attempts) / 2
    runner.stop(0.0, lambda _attempt: None)


def test_failed_attempts_are_settled_without_a_run() -> None:
    runner, actor = AsyncRunner(), Settler()
    ran: list[str] = []

    async def run() -> None:
        ran.append("run")

    failed = [attempt(actor, run, error=ValueError()), attempt(actor, run, failures=[("job", ValueError())])]
    runner.submit(failed)
    assert runner.wait(failed, timeout=60)
    assert sum(actor.batches) == 2 and ran == []
    runner.stop(0.0, lambda _attempt: None)


def test_an_error_of_a_completion_stops_none_after_it() -> None:
    runner, actor = AsyncRunner(), Settler()
    actor.error = SystemExit(1)
    first, second = [attempt(actor)], [attempt(actor)]
    runner.submit(first)
    assert runner.wait(first, timeout=60)
    runner.submit(second)
    assert runner.wait(second, timeout=60)
    runner.stop(0.0, lambda _attempt: None)


def test_a_stop_interrupts_running_jobs_and_ends_the_event_loop() -> None:
    runner, actor = AsyncRunner(), Settler()
    started = threading.Event()

    async def forever() -> None:
        started.set()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()

    endless = attempt(actor, forever)
    runner.submit([endless])
    assert started.wait(60)
    interrupted: list[Any] = []

    def interrupt(each: Any) -> None:
        interrupted.append(each)
        each.task.get_loop().call_soon_threadsafe(each.task.cancel)

    assert not runner.wait(timeout=0.01)
    runner.stop(0.01, interrupt)
    assert interrupted == [endless] and actor.batches == [1]
    # And the next job starts an event loop of its own
    again = [attempt(actor)]
    runner.submit(again)
    assert runner.wait(again, timeout=60)
    runner.stop(0.0, lambda _attempt: None)
