"""Local dispatch: a worker starts the next step itself where possible; jobs that it does not start are not lost."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from dramatiq import Worker

from aura.jobs import local_dispatch, process_state
from aura.jobs.broker import JobBroker
from aura.jobs.in_process import LocalQueues
from aura.jobs.middleware import heartbeat
from aura.jobs.middleware.relay import RelayMiddleware
from aura.jobs.pipeline import Pipeline
from aura.jobs.process_state import WORKER_ID
from aura.jobs.relay import Relay
from aura.jobs.transport import Outgoing
from aura.settings import get_settings
from db import jobs, queue_controls, transaction
from db.jobs import NewJob
from db.models import Job
from tests.conftest import wait_until
from tests.embedded import all_jobs, attempts, cache_no_controls, enqueue, fresh_broker, letters, move, one_job

Declare = Callable[..., Any]


@pytest.fixture(autouse=True)
def broker(database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[JobBroker]:
    """The broker of embedded mode without its relay: the test relays by hand, so it knows who takes what."""
    cache_no_controls(monkeypatch)
    with fresh_broker(get_settings()) as broker:
        assert isinstance(broker, JobBroker)
        broker.middleware[:] = [each for each in broker.middleware if not isinstance(each, RelayMiddleware)]
        yield broker


@contextmanager
def working(broker: JobBroker, *, threads: int = 2, queues: set[str] | None = None) -> Iterator[Worker]:
    """Run one of Dramatiq's workers while the block runs."""
    worker = Worker(broker, queues=queues, worker_timeout=20, worker_threads=threads)
    worker.start()
    try:
        yield worker
    finally:
        worker.stop(timeout=10_000)


class Counting:
    """A transport that counts the hints of each actor on their way to the broker."""

    def __init__(self, broker: JobBroker) -> None:
        self._queues: LocalQueues = broker.local
        self.hints: Counter[str] = Counter()

    def open(self) -> None: ...
    def publish(self, batch: Sequence[Outgoing]) -> None:
        self.hints.update(json.loads(message.body)["actor_name"] for message in batch)
        self._queues.publish(batch)


def relay(broker: JobBroker) -> Counter[str]:
    """Relay once. Returns how many hints each actor got."""
    transport = Counting(broker)
    Relay(broker, transport, get_settings()).round()  # type: ignore[arg-type]
    return transport.hints


def done(items: list[Any]) -> list[str]:
    return ["done" for _ in items]


def steps(declare: Declare, *names: str, **options: Any) -> list[Any]:
    """Declare a durable actor for each name, on a queue of its own."""

    def named(name: str) -> Any:
        def step(items: list[Any]) -> list[str]:
            return done(items)

        return declare(step, actor_name=name, queue_name=f"tests.{name}", **options)

    return [named(name) for name in names]


def kept() -> list[str]:
    return [attempt.actor for attempt in attempts("completed")]


def nothing_is_held() -> bool:
    return not process_state.attempts and not process_state.local_jobs


# -- taken ------------------------------------------------------------------------------------------------------------


def test_one_ticket_passes_every_step_with_one_hint(broker: JobBroker, declare: Declare):
    Pipeline("four", *steps(declare, "a", "b", "c", "d")).send(1)

    with working(broker):
        assert relay(broker) == {"a": 1}
        wait_until(lambda: not all_jobs(), message="every step is done, though nobody relays any more")
        assert kept() == ["a", "b", "c", "d"]
        assert [attempt.number for attempt in attempts()] == [1, 1, 1, 1]
        wait_until(nothing_is_held, message="every lease is released")


def test_a_batch_is_dispatched_locally_as_a_batch(broker: JobBroker, declare: Declare):
    sizes: list[int] = []

    def second(items: list[Any]) -> list[str]:
        sizes.append(len(items))
        return done(items)

    (first,) = steps(declare, "first")
    pipeline = Pipeline("two", first, declare(second, queue_name="tests.second"))
    with transaction():
        for number in range(40):
            pipeline.send(number)

    with working(broker):
        relay(broker)
        wait_until(lambda: not all_jobs(), message="both steps are done")
    assert sizes == [40]


def test_the_failure_of_a_locally_dispatched_job_is_retried(broker: JobBroker, declare: Declare):
    tries: list[int] = []

    def second(items: list[Any]) -> list[str]:
        tries.append(1)
        if len(tries) == 1:
            raise RuntimeError("once")
        return done(items)

    (first,) = steps(declare, "first")
    Pipeline("two", first, declare(second, queue_name="tests.second")).send(1)

    with working(broker):
        relay(broker)
        wait_until(lambda: attempts("retried"), message="it failed")
        job = one_job()
        assert (job.actor, job.attempts, job.crashes, job.lease, job.hinted_at) == ("second", 1, 0, None, None)
        move(Job, due_at=-1)
        assert relay(broker) == {"second": 1}
        wait_until(lambda: not all_jobs(), message="it is tried again")
    assert [(attempt.actor, attempt.number) for attempt in attempts("completed")] == [("first", 1), ("second", 2)]


# -- not taken, and not lost ------------------------------------------------------------------------------------------


def change(function: Callable[..., None], *arguments: Any) -> None:
    with transaction() as session:
        function(session, *arguments)


@pytest.mark.parametrize(
    ("hold", "free"),
    [
        ((queue_controls.pause, "tests.second"), (queue_controls.resume, "tests.second")),
        ((queue_controls.pause, "tests.second", 600), (queue_controls.resume, "tests.second")),
        ((queue_controls.limit, "tests.second", 1), None),
    ],
    ids=["paused", "paused for a time", "limited"],
)
def test_no_job_of_a_paused_or_limited_queue_is_dispatched_locally(
    broker: JobBroker, declare: Declare, hold: tuple[Any, ...], free: tuple[Any, ...] | None
):
    Pipeline("two", *steps(declare, "first", "second")).send(1)
    change(*hold)

    with working(broker):
        relay(broker)
        wait_until(lambda: kept() == ["first"], message="the first step is done")
        job = one_job()
        assert (job.actor, job.lease, job.attempts) == ("second", None, 0)
        if free:
            assert relay(broker) == {}
            change(*free)
        assert relay(broker) == {"second": 1}
        wait_until(lambda: not all_jobs(), message="the second step is done")


def test_no_job_of_an_unconsumed_queue_is_dispatched_locally(broker: JobBroker, declare: Declare):
    Pipeline("two", *steps(declare, "first", "second")).send(1)

    with working(broker, queues={"tests.first"}):
        relay(broker)
        wait_until(lambda: kept() == ["first"], message="the first step is done")
    job = one_job()
    assert (job.actor, job.lease, job.attempts) == ("second", None, 0)
    with working(broker, queues={"tests.second"}):
        assert relay(broker) == {"second": 1}
        wait_until(lambda: not all_jobs(), message="another worker does the second")


def test_a_worker_dispatches_two_batches_locally_and_leaves_the_rest_to_others(
    broker: JobBroker, declare: Declare, configure: Callable[..., Any]
):
    configure(AURA_JOBS_PER_HINT="2")
    first, *_ = both = steps(declare, "first", "second")
    pipeline = Pipeline("two", *both)
    first.options["batch"] = 10
    with transaction():
        for number in range(7):
            pipeline.send(number)

    with working(broker):
        relay(broker)
        wait_until(lambda: kept().count("second") == 4, message="two batches of two are taken")
        wait_until(nothing_is_held, message="every lease is released")
        left = all_jobs()
        assert [(job.actor, job.lease, job.attempts) for job in left] == [("second", None, 0)] * 3
        assert relay(broker) == {"second": 2}
        wait_until(lambda: not all_jobs(), message="the rest is done")
    assert sorted(attempt.key for attempt in attempts("completed") if attempt.actor == "second") == list("0123456")


def test_a_delayed_job_is_not_dispatched_locally(broker: JobBroker, declare: Declare):
    (later,) = steps(declare, "later")
    first = declare(
        done, actor_name="first", save=lambda session, done: later.send_with_options(args=(1,), delay=60_000)
    )
    first.send(1)

    with working(broker):
        relay(broker)
        wait_until(lambda: kept() == ["first"], message="the first is done")
        job = one_job()
        assert (job.actor, job.lease, job.attempts) == ("later", None, 0)


def test_a_job_enqueued_before_is_merged_and_not_dispatched_locally(broker: JobBroker, declare: Declare):
    first, second = steps(declare, "first", "second")
    enqueue(NewJob("second", "1", priority=7, delay=3600, pipeline="two"))
    Pipeline("two", first, second).send(1)

    with working(broker):
        relay(broker)
        wait_until(lambda: kept() == ["first"], message="the first step is done")
        job = one_job()
        assert (job.actor, job.lease, job.rerun, job.priority) == ("second", None, False, 7)
        wait_until(nothing_is_held, message="the lease that was reserved in vain is released")
        assert relay(broker) == {"second": 1}, "it is due now"
        wait_until(lambda: not all_jobs(), message="the second step is done, once")
    assert kept() == ["first", "second"]


def test_a_job_enqueued_twice_in_one_transaction_runs_once(broker: JobBroker, declare: Declare):
    seen: list[list[str]] = []

    def incident(items: list[Any]) -> list[str]:
        seen.append([item.key for item in items])
        return done(items)

    actor = declare(incident, queue_name="tests.incident")
    # every ticket of the batch belongs to the same incident
    first = declare(done, actor_name="first", save=lambda session, done: [actor.send("the same") for _ in done])
    with transaction():
        for number in range(3):
            first.send(number)

    with working(broker):
        relay(broker)
        wait_until(lambda: len(kept()) >= 4 and nothing_is_held(), message="both actors are done")
        while relay(broker):
            wait_until(lambda: not all_jobs(), message="what is left is done")
    assert seen == [["the same"]]


def test_a_rolled_back_job_is_not_dispatched_locally(
    broker: JobBroker, declare: Declare, monkeypatch: pytest.MonkeyPatch
):
    Pipeline("two", *steps(declare, "first", "second")).send(1)
    enqueue_jobs, failures = jobs.enqueue, [RuntimeError("cannot enqueue the next step")]

    def fail_once(*arguments: Any) -> None:
        enqueue_jobs(*arguments)
        if failures:
            raise failures.pop()

    monkeypatch.setattr(jobs, "enqueue", fail_once)

    with working(broker):
        relay(broker)
        wait_until(lambda: attempts("retried") and nothing_is_held(), message="the first step failed")
        assert [(job.actor, job.attempts) for job in all_jobs()] == [("first", 1)]
        move(Job, due_at=-1)
        relay(broker)
        wait_until(lambda: not all_jobs(), message="both steps are done")
    assert kept() == ["first", "second"]
    assert letters() == []


# -- a worker that stops ----------------------------------------------------------------------------------------------


def test_a_worker_that_stops_releases_locally_dispatched_jobs_that_did_not_start(broker: JobBroker, declare: Declare):
    # Given a worker of one thread that took the second step, and is busy with something else
    busy, stop = threading.Event(), threading.Event()

    def blocks(items: list[Any]) -> list[str]:
        busy.set()
        assert stop.wait(30)
        return done(items)

    first, second = steps(declare, "first", "second")
    blocking = declare(blocks, queue_name="tests.blocks", priority=-1)  # before anything else of the worker's own queue
    first.options["max_attempts"] = 1
    first.save = lambda session, done: blocking.send(1)
    Pipeline("two", first, second).send(1)
    worker = Worker(broker, worker_timeout=20, worker_threads=1)
    worker.start()
    relay(broker)
    assert busy.wait(30)
    job = next(job for job in all_jobs() if job.actor == "second")
    assert (job.worker, job.attempts) == (WORKER_ID, 1)
    # When it is stopped, and the heartbeat still beats
    stopping = threading.Thread(target=worker.stop, args=(10_000,))
    stopping.start()
    wait_until(lambda: process_state.worker is None, message="it is stopping")
    heartbeat.beat()
    assert {job.worker for job in all_jobs()} == {WORKER_ID}, "what it took is still its own"
    stop.set()
    stopping.join(30)
    # Then what it had begun is done, and what it had only taken is due again, as if nothing had been
    job = one_job()
    assert (job.actor, job.lease, job.worker, job.attempts, job.crashes, job.hinted_at) == (
        "second",
        None,
        None,
        0,
        0,
        None,
    )
    assert kept() == ["first", "blocks"]
    with working(broker):
        assert relay(broker) == {"second": 1}
        wait_until(lambda: not all_jobs(), message="the next worker does it")


def test_without_a_worker_no_job_is_dispatched_locally(broker: JobBroker, declare: Declare):
    (step,) = steps(declare, "step")
    with local_dispatch.LocalDispatch(broker) as dispatch, transaction() as session:
        dispatch.accept(session)
        step.send(1)

    assert (one_job().lease, nothing_is_held()) == (None, True)
