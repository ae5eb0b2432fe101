"""Control while everything runs: pauses, limits and cancelling, with real threads, embedded and on RabbitMQ."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest

from aura.jobs import process_state, relay
from aura.jobs.attempt import Cancelled
from aura.jobs.broker import JobBroker
from aura.jobs.middleware import heartbeat
from aura.jobs.pipeline import Pipeline
from aura.jobs.rabbitmq.publisher import Publisher
from aura.jobs.relay import Relay
from aura.settings import get_settings
from db import queue_controls, transaction
from db.jobs import NewJob
from pipelines.embedded import running
from tests.conftest import wait_until
from tests.embedded import all_jobs, attempts, cache_no_controls, enqueue, letters
from tests.integration.test_rabbitmq import accept, all_done

Declare = Callable[..., Any]

embedded = pytest.mark.usefixtures("embedded")
STALE_AT_MOST = process_state.CONTROLS_FRESH


@pytest.fixture(autouse=True)
def each_look_is_fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """Relay and worker share this process, and what it saw of the controls half a second ago."""
    cache_no_controls(monkeypatch)


def do(function: Callable[..., Any], *arguments: Any) -> Any:
    with transaction() as session:
        return function(session, *arguments)


def done(items: list[Any]) -> list[str]:
    return ["done" for _ in items]


def kept(actor: str) -> list[str]:
    return [attempt.key for attempt in attempts("completed") if attempt.actor == actor]


class Endless:
    """A step that runs until it is let go, and notes which thread ran it and what interrupted it."""

    def __init__(self) -> None:
        self.begun: list[list[str]] = []
        self.threads: list[int] = []
        self.interrupted: list[str] = []
        self.let_go = False

    def __call__(self, items: list[Any]) -> list[str]:
        self.begun.append([item.key for item in items])
        self.threads.append(threading.get_ident())
        try:
            # From Python 3.12 on the jump back to a condition of a loop belongs to no `try`, and an interrupt that comes at
            # that moment is not seen by its `except` (python/cpython#130279): so not `while not self.let_go`.
            while True:
                if self.let_go:
                    break
                sum(range(100))  # an interrupt comes between two steps of Python
        except BaseException as error:
            self.interrupted.append(type(error).__name__)
            raise
        return done(items)


def job_id(key: str) -> int:
    return next(job.id for job in all_jobs() if job.key == key)


# -- cancel -----------------------------------------------------------------------------------------------------------


@embedded
def test_cancelling_a_running_job_frees_its_thread_for_the_next(declare: Declare):
    endless, saved = Endless(), list[str]()
    actor = declare(
        lambda items: endless(items),
        actor_name="endless",
        save=lambda session, done: saved.extend(each.job.key for each in done),
    )
    with running(scheduler=False, threads=1):
        actor.send("first")
        wait_until(lambda: endless.begun, timeout=60, message="it runs")
        actor.send("second")

        do(queue_controls.cancel, job_id("first"), "a test")
        wait_until(lambda: endless.interrupted, timeout=60, message="it is interrupted")
        wait_until(lambda: len(endless.begun) == 2, timeout=60, message="the next job begins")
        endless.let_go = True
        wait_until(lambda: not all_jobs(), timeout=60, message="the next job is done")

    assert endless.interrupted == [Cancelled.__name__]
    assert len(set(endless.threads)) == 1, "the same thread"
    assert (saved, kept("endless"), len(attempts())) == (["second"], ["second"], 1)
    assert [(letter.key, letter.state, letter.error_type) for letter in letters()] == [
        ("first", "discarded", "Cancelled")
    ]


@embedded
def test_a_locally_dispatched_step_is_interrupted_too(declare: Declare):
    endless = Endless()
    pipeline = Pipeline(
        "two",
        declare(done, actor_name="first"),
        declare(lambda items: endless(items), actor_name="endless", queue_name="tests.endless"),
    )
    with running(scheduler=False, threads=1):
        pipeline.send("1")
        wait_until(lambda: endless.begun, timeout=60, message="the second step runs")
        do(queue_controls.cancel, job_id("1"), "a test")
        wait_until(
            lambda: endless.interrupted and not process_state.attempts, timeout=60, message="it is interrupted and over"
        )

    assert (kept("first"), kept("endless"), all_jobs()) == (["1"], [], [])


@embedded
def test_cancelling_one_job_of_a_batch_leaves_the_others(declare: Declare):
    endless = Endless()
    actor = declare(lambda items: endless(items), actor_name="endless")
    with running(scheduler=False, threads=1):
        with transaction():
            for key in ("one", "two", "three"):
                actor.send(key)
        wait_until(lambda: endless.begun, timeout=60, message="the batch runs")
        do(queue_controls.cancel, job_id("two"), "a test")
        for _ in range(3):
            heartbeat.beat()
        assert [each.in_function for each in process_state.attempts.values() if each] == [True]
        endless.let_go = True
        wait_until(lambda: not all_jobs(), timeout=60, message="the others are done")

    assert (endless.begun, endless.interrupted) == ([["one", "two", "three"]], [])
    assert sorted(kept("endless")) == ["one", "three"]
    assert [letter.key for letter in letters()] == ["two"]


# -- pause ------------------------------------------------------------------------------------------------------------


def test_a_change_is_obeyed_within_a_second():
    assert STALE_AT_MOST + relay.NAP <= 1


@embedded
def test_a_paused_queue_rests_while_the_others_work(declare: Declare):
    held, free = (declare(done, actor_name=name, queue_name=f"tests.{name}") for name in ("held", "free"))
    with running(scheduler=False):
        held.send("before")
        wait_until(lambda: kept("held") == ["before"], timeout=60, message="it works")
        do(queue_controls.pause, "tests.held")
        # so many other jobs later everybody has heard of it
        for number in range(30):
            held.send("while paused")
            free.send(str(number))
            wait_until(lambda n=number: len(kept("free")) == n + 1, timeout=60, message="the others go on")
        at_pause = len(kept("held"))
        wait_until(
            lambda: all_jobs() and not any(j.hinted_at or j.lease for j in all_jobs()), timeout=60, message="it rests"
        )
        do(queue_controls.resume, "tests.held")
        wait_until(lambda: not all_jobs(), timeout=60, message="it goes on")

    assert len(kept("held")) == at_pause + 1


@embedded
def test_a_pause_for_a_time_ends_by_itself(declare: Declare):
    actor = declare(done, actor_name="held")
    do(queue_controls.pause, "tests.work", 0.7, "429")
    actor.send("1")
    with running(scheduler=False):
        wait_until(lambda: kept("held") == ["1"], timeout=60, message="it goes on, though nobody resumed it")


def test_hints_inside_rabbitmq_are_given_back_when_their_queue_is_paused(service: JobBroker):
    # Given hints that wait in RabbitMQ, and a pause that comes after them
    ids = [accept() for _ in range(120)]
    with closing(Publisher(get_settings(), service.get_declared_queues, service.program.topology)) as publisher:
        Relay(service, publisher, get_settings()).round()
    assert all(job.hinted_at for job in all_jobs())
    do(queue_controls.pause, "tickets.intake")
    with running(scheduler=False, threads=2):
        # When the workers get them
        enqueue(NewJob("classify", "no ticket"))
        wait_until(letters, timeout=90, message="the other queues are served")
        wait_until(lambda: not any(job.hinted_at for job in all_jobs()), timeout=90, message="they are given back")
        # Then nothing of it was tried, and the hints are gone until it goes on
        assert {(job.actor, job.lease, job.attempts) for job in all_jobs()} == {("intake", None, 0)}
        assert publisher.depths(["tickets.intake"]) == {"tickets.intake": 0}
        do(queue_controls.resume, "tickets.intake")
        wait_until(all_done, timeout=60, message="it goes on")
    assert sorted(map(int, kept("intake"))) == ids


# -- limit ------------------------------------------------------------------------------------------------------------


class Crowd:
    """Counts how many jobs are in the step at the same time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.inside = self.most = 0

    def __call__(self, items: list[Any]) -> list[str]:
        with self._lock:
            self.inside += len(items)
            self.most = max(self.most, self.inside)
        sum(range(20_000))
        with self._lock:
            self.inside -= len(items)
        return done(items)


@embedded
@pytest.mark.parametrize("limit", [1, 3])
def test_a_limited_queue_never_runs_more_jobs_at_once(declare: Declare, limit: int):
    crowd = Crowd()
    names = ("one", "other")
    pipelines = [
        Pipeline(
            name,
            declare(done, actor_name=f"{name} first", queue_name="tests.first"),
            declare(lambda items: crowd(items), actor_name=name, queue_name="tests.limited"),
        )
        for name in names
    ]
    do(queue_controls.limit, "tests.limited", limit)
    with transaction():
        for number in range(12):
            for pipeline in pipelines:
                pipeline.send(number)
    with running(scheduler=False, threads=4):
        wait_until(lambda: not all_jobs(), timeout=60, message="everything is done")

    assert crowd.most <= limit
    assert sorted(len(kept(name)) for name in names) == [12, 12]
