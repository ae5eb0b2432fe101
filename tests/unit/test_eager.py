"""Eager steps: the worker that promises the next step takes it at once, and whatever it may not take is due."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from dramatiq import Worker

import actors
from actors import attempt as current_attempt
from actors.attempt import WORKER_ID
from actors.eager import Eager, Taker
from actors.middleware import heartbeat
from db import controls, jobs, tickets, transaction
from db.jobs import Promise
from db.tickets import Submission
from pipelines.pipeline import Pipeline
from pipelines.triage import triage
from tests.conftest import wait_until
from tests.embedded import CrashBeforeCommit, Hand, all_jobs, attempts, letters, promise

pytestmark = pytest.mark.usefixtures("database")

Declare = Callable[..., Any]


@contextmanager
def a_worker(queues: set[str] | None = None, threads: int = 2) -> Iterator[Worker]:
    """Dramatiq's own worker on the broker of this process; its relay is stopped, so hints are given by hand."""
    worker = Worker(actors.broker, queues=queues, worker_threads=threads, worker_timeout=50)
    worker.start()
    try:
        yield worker
    finally:
        worker.stop(timeout=10_000)


def pause(queue: str) -> None:
    with transaction() as session:
        controls.pause(session, queue)


@pytest.fixture(autouse=True)
def no_relay(monkeypatch: pytest.MonkeyPatch) -> None:
    """The relay thread of an embedded worker does nothing: what the worker does not take by itself stays due."""
    monkeypatch.setattr("actors.relay.Relay.run", lambda *_: None)


def accept(*titles: str) -> list[int]:
    with transaction() as session:
        submissions = [(Submission(title=title, requester=f"{title}@example.com"), {}) for title in titles]
        ids = tickets.accept(session, "test", submissions)
        triage.send_many(ids)
    return ids


def kept() -> list[str]:
    return [attempt.actor for attempt in attempts("kept")]


def test_one_hint_takes_a_ticket_through_all_steps(hand: Hand):
    accept("Printer jams")
    with a_worker():
        assert hand.relay() == 1
        wait_until(lambda: not all_jobs(), message="every step is done")

    assert kept()[:3] == ["intake", "classify", "notify"]
    assert set(kept()[3:]) == {"email"}
    assert letters() == []
    assert current_attempt.running() == frozenset()


def test_without_a_worker_that_takes_it_the_next_step_is_due(hand: Hand):
    accept("Printer jams")
    hand.relay()
    hand.work()

    (job,) = all_jobs()
    assert (job.actor, job.lease, job.hinted_at, job.attempts) == ("classify", None, None, 0)


@pytest.mark.parametrize("held_back", ["paused", "limited", "not listened to"])
def test_a_queue_that_is_held_back_is_left_to_the_relay(hand: Hand, held_back: str):
    accept("Printer jams")
    with transaction() as session:
        if held_back == "paused":
            controls.pause(session, "ai.classify")
        if held_back == "limited":
            controls.limit(session, "ai.classify", 1)
    with a_worker({"tickets.intake"} if held_back == "not listened to" else None):
        hand.relay()
        wait_until(lambda: kept() == ["intake"], message="the first step is done")

        (job,) = all_jobs()
        assert (job.actor, job.lease, job.hinted_at) == ("classify", None, None)


def test_a_worker_takes_two_batches_at_most_and_the_rest_is_due(hand: Hand, declare: Declare):
    gate = threading.Event()

    def second(items: list[Any]) -> list[str]:
        assert gate.wait(20)
        return ["done" for _ in items]

    first = declare(lambda items: ["done" for _ in items], actor_name="first")
    after = declare(second, batch=2)
    pipeline = Pipeline("two", first, after)
    with a_worker(threads=1):
        pipeline.send_many(range(7))
        hand.relay()
        wait_until(lambda: len(attempts("kept")) == 7, message="the first step is done for all")
        taken = [job for job in all_jobs() if job.lease]
        due = [job for job in all_jobs() if not job.lease]
        assert (len(taken), len({job.lease for job in taken}), len(due)) == (4, 2, 3)
        gate.set()
        wait_until(lambda: len(all_jobs()) == 3, message="what was taken is done")
        hand.relay()
        wait_until(lambda: not all_jobs(), message="the rest came by hints")


def taken_by(*promises: Promise) -> list[Any]:
    with a_worker({"none"}) as worker:
        worker.consumers["ai.classify"] = Shelf()  # type: ignore[assignment]
        with Taker(actors.broker) as taker, transaction() as session:
            taker.watch(session)
            jobs.promise(session, promises)
        return Shelf.messages


class Shelf:
    """Stands for a consumer thread that is given messages."""

    messages: list[Any] = []  # noqa: RUF012  # emptied for each test

    def __init__(self) -> None:
        Shelf.messages = []

    def handle_message(self, message: Any) -> None:
        self.messages.append(message)

    def __getattr__(self, _name: str) -> Callable[..., None]:
        return lambda *_, **__: None


def test_work_for_later_is_not_taken():
    assert taken_by(Promise("classify", "1", delay=60)) == []


def test_work_that_is_promised_already_is_not_taken_twice():
    promise(Promise("classify", "1"))

    assert taken_by(Promise("classify", "1", priority=7), Promise("classify", "2")) != []

    first, second = all_jobs()
    assert (first.lease, first.priority) == (None, 7)
    # the worker that took the other one has stopped in order: it was handed back, and spent no attempt
    assert (second.lease, second.attempts, second.crashes) == (None, 0, 0)


def test_a_rollback_leaves_no_lease_behind():
    with a_worker({"none"}) as worker:
        worker.consumers["ai.classify"] = Shelf()  # type: ignore[assignment]
        before = current_attempt.running()
        with suppress(CrashBeforeCommit), Taker(actors.broker) as taker, transaction() as session:
            taker.watch(session)
            jobs.promise(session, [Promise("classify", "1")])
            assert len(current_attempt.running() - before) == 1
            raise CrashBeforeCommit

        assert current_attempt.running() == before
        assert (Shelf.messages, all_jobs()) == ([], [])


def test_what_was_committed_without_being_handed_over_is_handed_back():
    with a_worker({"none"}) as worker:
        worker.consumers["ai.classify"] = Shelf()  # type: ignore[assignment]
        taker = Taker(actors.broker)
        with transaction() as session:
            taker.watch(session)
            jobs.promise(session, [Promise("classify", "1")])
        # the connection broke at the commit, and nobody knows whether it happened
        taker.__exit__(RuntimeError, RuntimeError("connection lost"), None)
        assert all_jobs()[0].lease is not None
        heartbeat.beat()

        (job,) = all_jobs()
        assert (job.lease, job.attempts, job.crashes) == (None, 0, 0)


def test_a_worker_that_stops_hands_back_what_it_took_and_did_not_start(hand: Hand, declare: Declare):
    started, gate = threading.Event(), threading.Event()

    def second(items: list[Any]) -> list[str]:
        started.set()
        assert gate.wait(20)
        return ["done" for _ in items]

    first = declare(lambda items: ["done" for _ in items], actor_name="first")
    after = declare(second, batch=1)
    with a_worker(threads=1):
        Pipeline("two", first, after).send_many([1, 2])
        hand.relay()
        assert started.wait(10)
        # both were taken, one runs in the only thread, and the other waits in the worker's queue
        assert [job.worker for job in all_jobs()] == [WORKER_ID, WORKER_ID]
        threading.Timer(0.2, gate.set).start()

    (job,) = all_jobs()
    assert (job.lease, job.attempts, job.crashes) == (None, 0, 0)
    assert Eager.worker is None


# -- control, as a worker obeys it ------------------------------------------------------------------------------------


def test_a_hint_from_before_the_pause_is_given_back(hand: Hand):
    promise(Promise("classify", "1"))
    hand.relay()
    pause("ai.classify")
    hand.work()

    (job,) = all_jobs()
    assert (job.lease, job.hinted_at, job.attempts) == (None, None, 0)
    assert hand.relay() == 0


def test_cancelling_interrupts_what_runs_and_the_thread_goes_on(hand: Hand, declare: Declare):
    running = threading.Event()
    ran: list[str] = []

    def slow(items: list[Any]) -> list[str]:
        ran.extend(item.key for item in items)
        running.set()
        for _ in range(2000 if items[0].key == "cancel me" else 0):
            threading.Event().wait(0.01)  # an interrupt comes between two lines, not within a call
        return ["done" for _ in items]

    actor = declare(slow, batch=1, max_attempts=1)
    with a_worker(threads=1) as worker:
        actor.send("cancel me")
        hand.relay()
        assert running.wait(10)
        with transaction() as session:
            controls.cancel(session, all_jobs()[0].id, "asked for by mistake")
        actor.send("next")
        hand.relay()
        wait_until(lambda: kept() == ["slow"], timeout=15, message="the only thread does the next job")
        assert all(thread.is_alive() for thread in worker.workers)

    assert ran == ["cancel me", "next"]
    assert [(letter.state, letter.key) for letter in letters()] == [("discarded", "cancel me")]


def test_cancelling_one_of_a_batch_leaves_the_others(hand: Hand, declare: Declare):
    def cancels_one(items: list[Any]) -> list[str]:
        with transaction() as session:
            controls.cancel(session, items[0].id, "not this one")
        return ["done" for _ in items]

    actor = declare(cancels_one)
    with transaction():
        for key in ("a", "b", "c"):
            actor.send(key)
    hand.relay()
    hand.work()

    assert all_jobs() == []
    assert sorted(attempt.key for attempt in attempts("kept")) == ["b", "c"]
    assert [letter.key for letter in letters()] == ["a"]
