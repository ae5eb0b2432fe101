"""Asynchronous jobs while everything runs: hundreds in flight, limits, cancelling and a stop, embedded and on RabbitMQ."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from aura.jobs.pipeline import Pipeline
from db import queue_controls, transaction
from pipelines.embedded import running
from tests.conftest import wait_until
from tests.embedded import all_jobs, attempts, cache_no_controls

THREADS, SLOTS, JOBS = 2, 30, 100


class SlowService:
    """Lets each job wait until it is let go; counts those in flight, and those that were interrupted."""

    def __init__(self) -> None:
        self.released = False
        self.waiting: set[str] = set()
        self.most = 0
        self.interrupted: list[str] = []

    async def ask(self, job: Any) -> str:
        self.waiting.add(job.key)
        self.most = max(self.most, len(self.waiting))
        try:
            while not self.released:
                await asyncio.sleep(0.01)
        except asyncio.CancelledError:
            self.interrupted.append(job.key)
            raise
        finally:
            self.waiting.discard(job.key)
        return "answered"


@pytest.fixture
def slow(broker: Any, declare: Callable[..., Any]) -> Iterator[tuple[SlowService, Any]]:
    """A service, and the actor that asks it."""
    service = SlowService()

    async def ask(job: Any) -> str:
        return await service.ask(job)

    actor = declare(ask, queue_name="tests.slow", batch=5, concurrency=SLOTS)
    broker.declare_actor(actor)
    yield service, actor
    service.released = True


def leased() -> int:
    """Return how many asynchronous jobs are claimed; a batch of the step before them needs no slot."""
    return sum(job.lease is not None and job.actor == "ask" for job in all_jobs())


def test_a_worker_has_as_many_jobs_in_flight_as_slots_and_claims_no_more(
    broker: Any, declare: Callable[..., Any], slow: tuple[SlowService, Any]
) -> None:
    service, actor = slow

    def prepare(items: list[Any]) -> list[str]:
        return ["prepared" for _ in items]

    first = declare(prepare, queue_name="tests.first", batch=10)
    broker.declare_actor(first)
    # half of them come as a next step, which the worker dispatches locally
    Pipeline("asking", first, actor).send_many(range(JOBS // 2))
    for number in range(JOBS // 2, JOBS):
        actor.send(number)

    with running(scheduler=False, threads=THREADS):
        # a hint of five jobs waits for five slots
        wait_until(lambda: len(service.waiting) > SLOTS - 5, 90, lambda: f"{service.most} in flight")
        assert leased() <= SLOTS
        service.released = True
        wait_until(lambda: not all_jobs(), 90, "and all are done at last")

    assert service.most <= SLOTS
    assert {(each.actor, each.outcome) for each in attempts()} == {("prepare", "completed"), ("ask", "completed")}
    assert len(attempts()) == JOBS + JOBS // 2


def test_a_cancelled_job_is_interrupted_and_the_others_go_on(broker: Any, slow: tuple[SlowService, Any]) -> None:
    service, actor = slow
    for key in "abc":
        actor.send(key)
    with running(scheduler=False, threads=THREADS):
        wait_until(lambda: len(service.waiting) == 3, 90, "all three are in flight")
        with transaction() as session:
            queue_controls.cancel(
                session, next(job.id for job in all_jobs() if job.key == "b"), "a person asked for it"
            )
        wait_until(lambda: service.interrupted == ["b"], 90, "the cancelled one is interrupted")
        assert service.waiting == {"a", "c"}
        service.released = True
        wait_until(lambda: not all_jobs(), 90, "the others are done")

    assert sorted(each.key for each in attempts("completed")) == ["a", "c"]


def test_a_limit_of_the_queue_holds_for_jobs_in_flight(
    broker: Any, slow: tuple[SlowService, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    cache_no_controls(monkeypatch)
    service, actor = slow
    with transaction() as session:
        queue_controls.limit(session, "tests.slow", 3)
    for number in range(12):
        actor.send(number)
    with running(scheduler=False, threads=THREADS):
        wait_until(lambda: len(service.waiting) == 3, 90, "as many as the limit are in flight")
        service.released = True
        wait_until(lambda: not all_jobs(), 90, "all are done")

    assert service.most == 3


def test_a_stop_completes_the_jobs_in_flight_and_claims_no_more(broker: Any, slow: tuple[SlowService, Any]) -> None:
    service, actor = slow
    for number in range(JOBS):
        actor.send(number)
    with running(scheduler=False, threads=THREADS):
        wait_until(lambda: len(service.waiting) > SLOTS - 5, 90, "the slots are taken")
        service.released = True
    # the stop began while they were in flight
    assert leased() == 0
    assert service.interrupted == []
    assert len(attempts("completed")) >= SLOTS - 5
    assert {(job.attempts, job.crashes) for job in all_jobs()} <= {(0, 0)}
