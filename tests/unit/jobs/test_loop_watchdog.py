"""A synchronous call that blocks the event loop is reported with its actor, and does not exceed the job's time limit."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest
import structlog

from aura.jobs import loop_watchdog, process_state
from aura.jobs.middleware import time_limit
from tests.embedded import Hand, attempts
from tests.services import wait_until

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop_watchdog, "BLOCKED_AFTER", 0.2)


def block(released: threading.Event) -> None:
    """Block the calling thread, in short calls as a loop of Python does."""
    while not released.wait(0.01):
        pass


def run_in_thread(call: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=call)
    thread.start()
    return thread


@pytest.mark.parametrize("nested", [False, True], ids=["in the job's task", "in a task of it"])
def test_the_log_names_the_actor_that_blocks_the_event_loop(
    hand: Hand, declare: Callable[..., Any], nested: bool
) -> None:
    released = threading.Event()

    async def child() -> None:
        block(released)

    async def blocking(_job: Any) -> None:
        await (asyncio.gather(child()) if nested else child())

    declare(blocking, concurrency=2).send("ticket 7")
    with structlog.testing.capture_logs() as logs:
        running = run_in_thread(hand.run)
        wait_until(lambda: any("blocked" in line["event"] for line in logs), 60, lambda: f"{logs}")
        released.set()
        running.join()
        wait_until(lambda: any("unblocked" in line["event"] for line in logs), 60, lambda: f"{logs}")

    [report] = [line for line in logs if line["event"].startswith("event loop blocked")]
    assert report["log_level"] == "error"
    assert (report["actor"], report["keys"]) == ("blocking", ["ticket 7"])
    assert any(line.endswith(" block") for line in report["stack"].splitlines())
    assert [each.outcome for each in attempts()] == ["completed"]


def test_jobs_that_wait_are_no_blocked_event_loop(hand: Hand, declare: Callable[..., Any]) -> None:
    async def waiting(_job: Any) -> None:
        await asyncio.sleep(3 * loop_watchdog.BLOCKED_AFTER)

    declare(waiting, concurrency=2).send("a")
    with structlog.testing.capture_logs() as logs:
        hand.run()
    assert [line for line in logs if line.get("actor") == "waiting" and "blocked" in line["event"]] == []


def test_a_job_that_blocks_the_event_loop_does_not_exceed_its_time_limit(
    hand: Hand, declare: Callable[..., Any]
) -> None:
    released, started = threading.Event(), threading.Event()

    async def work(job: Any) -> str:
        if job.key == "blocks":
            started.set()
            block(released)
        return "done"

    actor = declare(work, concurrency=2, time_limit=1)
    actor.send("blocks")
    running = run_in_thread(hand.run)
    try:
        assert started.wait(60)

        def ended() -> bool:
            time_limit.interrupt_late()
            return [each.key for each in attempts()] == ["blocks"]

        # Then it ends although nobody lets it go
        wait_until(ended, 60, lambda: f"{attempts()}")
    finally:
        released.set()
        running.join()
    [failed] = attempts()
    assert failed.outcome == "retried" and "TimeLimitExceeded" in (failed.error or "")

    # And the event loop runs the next job
    actor.send("next")
    hand.run()
    assert process_state.runner.wait(timeout=60)
    assert sorted(each.key for each in attempts("completed")) == ["next"]
