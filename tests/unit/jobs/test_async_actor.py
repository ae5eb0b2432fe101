"""Asynchronous actors: jobs on the event loop, each claimed, completed, retried and interrupted by itself."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from dramatiq.middleware import TimeLimitExceeded
from sqlalchemy.orm import Session

import actors
from aura.jobs import process_state
from aura.jobs.actor import JobResult
from aura.jobs.async_actor import AsyncActor
from aura.jobs.attempt import Cancelled, Permanent
from aura.jobs.middleware import heartbeat, time_limit
from aura.jobs.middleware.async_jobs import Stopped
from aura.jobs.pipeline import Pipeline
from db import jobs, queue_controls, transaction, workers
from db.jobs import NewJob
from tests.embedded import Hand, all_jobs, attempts, claim, letters

Declare = Callable[..., Any]

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture(autouse=True)
def no_slot_is_left() -> Iterator[None]:
    """Fail the test if a slot is still held at its end."""
    actors.broker._slots.clear()
    yield
    assert process_state.runner.wait(timeout=60)
    assert [slots._held for slots in actors.broker._slots.values() if slots._held] == []


async def upper(job: Any) -> str:
    return str(job.key.upper())


def outcomes() -> list[tuple[str, str]]:
    return sorted((each.key, each.outcome) for each in attempts())


def one_hint(actor: AsyncActor, *keys: str) -> list[int]:
    """Enqueue a job for each key; return their ids, as a hint names them."""
    for key in keys:
        actor.send(key)
    return sorted(job.id for job in all_jobs())


# -- claim, run, complete ---------------------------------------------------------------------------------------------


def test_jobs_of_a_hint_are_awaited_side_by_side_and_completed(hand: Hand, declare: Declare) -> None:
    saved: list[tuple[str, str]] = []
    here: list[str] = []
    all_here = asyncio.Event()

    async def work(job: Any) -> str:
        here.append(job.key)
        if len(here) == 3:
            all_here.set()
        await all_here.wait()
        return str(job.key.upper())

    def save(_session: Session, done: list[JobResult]) -> None:
        saved.extend((each.job.key, each.result) for each in done)

    actor = declare(work, concurrency=3, batch=3, save=save)
    assert isinstance(actor, AsyncActor)
    for key in "abc":
        actor.send(key)
    hand.run()

    assert sorted(saved) == [("a", "A"), ("b", "B"), ("c", "C")]
    assert all_jobs() == []
    assert outcomes() == [(key, "completed") for key in "abc"]
    assert process_state.attempts == {}


def test_each_job_has_a_lease_of_its_own_that_counts_as_running(hand: Hand, declare: Declare) -> None:
    leases: dict[str, str] = {}
    looked = asyncio.Event()

    async def work(job: Any) -> None:
        if job.key == "b":
            leases.update({each.key: str(each.lease) for each in await asyncio.to_thread(all_jobs)})
            assert set(leases.values()) <= process_state.attempts.keys()
            await asyncio.to_thread(heartbeat.beat)
            looked.set()
        await looked.wait()

    actor = declare(work, concurrency=2, batch=2)
    actor(one_hint(actor, *"ab"))

    assert len(set(leases.values())) == 2 and max(map(len, leases.values())) <= 32
    assert outcomes() == [("a", "completed"), ("b", "completed")]


def test_prepare_and_finish_work_on_batches(hand: Hand, declare: Declare) -> None:
    batches: list[list[str]] = []
    saved: list[str] = []

    def prepare(items: list[Any]) -> list[str]:
        batches.append([item.key for item in items])
        return [f"{item.key}?" for item in items]

    async def work(question: str) -> str:
        return question.replace("?", "!")

    def finish(items: list[Any], results: list[str]) -> list[Any]:
        return [
            ValueError("no") if item.key == "b" else f"{item.key}={result}"
            for item, result in zip(items, results, strict=True)
        ]

    actor = declare(
        work,
        concurrency=9,
        batch=3,
        prepare=prepare,
        finish=finish,
        save=lambda _session, done: saved.extend(each.result for each in done),
    )
    actor(one_hint(actor, *"abc"))

    assert batches == [["a", "b", "c"]]
    assert sorted(saved) == ["a=a!", "c=c!"]
    assert outcomes() == [("a", "completed"), ("b", "retried"), ("c", "completed")]


def test_the_next_step_is_enqueued_in_the_same_transaction(hand: Hand, declare: Declare) -> None:
    first = declare(upper, concurrency=2, batch=2)
    seen: list[str] = []

    def second(batch: list[Any]) -> list[None]:
        seen.extend(job.key for job in batch)
        return [None for _ in batch]

    line = Pipeline("async-line", first, declare(second, queue_name="tests.next"))
    line.send("a")
    line.send("b")
    hand.run()

    assert sorted(seen) == ["a", "b"]


def test_without_concurrency_the_batch_runs_in_the_thread(hand: Hand, declare: Declare) -> None:
    together: list[list[str]] = []

    def in_batches(batch: list[Any]) -> list[str]:
        together.append([job.key for job in batch])
        return ["done" for _ in batch]

    actor = declare(upper, concurrency=lambda _settings: 0, in_batches=in_batches, batch=5)
    for key in "abc":
        actor.send(key)
    hand.run()

    assert together == [["a", "b", "c"]]
    assert outcomes() == [(key, "completed") for key in "abc"]


def test_options_of_an_async_function_are_refused_for_another(declare: Declare) -> None:
    with pytest.raises(TypeError, match="no async def function"):
        declare(lambda batch: batch, concurrency=3)


def test_no_more_jobs_are_claimed_than_may_start(hand: Hand, declare: Declare) -> None:
    leased: list[int] = []
    looked = asyncio.Event()

    async def work(job: Any) -> None:
        if job.key in "bd":
            leased.append(sum(each.lease is not None for each in await asyncio.to_thread(all_jobs)))
            looked.set()
        await looked.wait()

    actor = declare(work, concurrency=2, batch=10)
    actor(one_hint(actor, *"abcde"))

    assert leased == [2]
    assert len(attempts()) == 2
    assert [(job.lease, job.hinted_at, job.attempts) for job in all_jobs()] == [(None, None, 0)] * 3
    hand.run()
    assert all_jobs() == [] and max(leased) == 2


# -- failures -----------------------------------------------------------------------------------------------------------


def test_a_failed_job_is_retried_and_a_permanent_failure_is_a_dead_letter(hand: Hand, declare: Declare) -> None:
    async def work(job: Any) -> str:
        if job.key == "b":
            raise ValueError("not now")
        if job.key == "c":
            raise Permanent("never")
        return "done"

    actor = declare(work, concurrency=9, batch=3)
    actor(one_hint(actor, *"abc"))

    assert outcomes() == [("a", "completed"), ("b", "retried"), ("c", "dead")]
    assert [(job.key, job.crashes, job.lease) for job in all_jobs()] == [("b", 0, None)]
    assert [(each.key, each.error_type) for each in letters()] == [("c", "Permanent")]


def test_a_job_without_an_item_is_a_dead_letter(hand: Hand, declare: Declare) -> None:
    actor = declare(upper, concurrency=9, batch=2, load=lambda _s, keys: {"a": NewJob("", "a")})
    actor(one_hint(actor, *"ab"))

    assert outcomes() == [("a", "completed"), ("b", "dead")]


def test_an_error_of_prepare_concerns_the_whole_claim(hand: Hand, declare: Declare) -> None:
    def broken(_items: list[Any]) -> list[Any]:
        raise ValueError("no model")

    actor = declare(upper, concurrency=9, batch=2, prepare=broken)
    actor(one_hint(actor, *"ab"))

    assert outcomes() == [("a", "retried"), ("b", "retried")]
    assert process_state.attempts == {}


def test_a_result_that_cannot_be_saved_fails_alone_and_the_function_is_not_repeated(
    hand: Hand, declare: Declare
) -> None:
    called: Counter[str] = Counter()

    async def work(job: Any) -> str:
        called[job.key] += 1
        return str(job.key)

    def save(_session: Session, done: list[JobResult]) -> None:
        if any(each.result == "b" for each in done):
            raise ValueError("cannot be stored")

    actor = declare(work, concurrency=9, batch=3, save=save)
    actor(one_hint(actor, *"abc"))

    assert outcomes() == [("a", "completed"), ("b", "retried"), ("c", "completed")]
    assert called == {"a": 1, "b": 1, "c": 1}


def test_an_exit_in_a_function_does_not_end_the_event_loop(hand: Hand, declare: Declare) -> None:
    async def work(job: Any) -> str:
        if job.key == "a":
            raise SystemExit(1)
        return "done"

    actor = declare(work, concurrency=9, batch=1)
    for job in one_hint(actor, *"ab"):
        actor([job])

    assert outcomes() == [("a", "retried"), ("b", "completed")]


# -- interruptions ------------------------------------------------------------------------------------------------------


def test_a_cancelled_job_is_interrupted_by_the_next_heartbeat_and_no_other(hand: Hand, declare: Declare) -> None:
    cleaned_up: list[str] = []

    async def work(job: Any) -> str:
        if job.key == "b":
            return "done"
        try:
            await asyncio.to_thread(cancel, job.id)
            await asyncio.to_thread(heartbeat.beat)
            await asyncio.Event().wait()
        finally:
            cleaned_up.append(job.key)
        return "never"

    def cancel(job: int) -> None:
        with transaction() as session:
            queue_controls.cancel(session, job, "a person asked for it")

    actor = declare(work, concurrency=9, batch=2)
    actor(one_hint(actor, *"ab"))

    assert cleaned_up == ["a"]
    assert outcomes().count(("b", "completed")) == 1 and ("a", "completed") not in outcomes()
    assert all_jobs() == []


def test_a_late_job_is_interrupted_and_retried(hand: Hand, declare: Declare) -> None:
    async def work(job: Any) -> str:
        if job.key == "a":
            while True:
                await asyncio.to_thread(time_limit.interrupt_late)
        return "done"

    actor = declare(work, concurrency=9, batch=2, time_limit=1)
    for job in one_hint(actor, *"ab"):
        actor([job])

    assert ("a", "retried") in outcomes()
    [late] = [each for each in attempts() if each.outcome == "retried"]
    assert late.error is not None and TimeLimitExceeded.__name__ in late.error


def test_an_attempt_is_interrupted_once_and_only_while_its_function_runs(hand: Hand, declare: Declare) -> None:
    interrupted: list[bool] = []
    kept: list[Any] = []

    async def work(_job: Any) -> str:
        [attempt] = [each for each in process_state.attempts.values() if each is not None]
        kept.append(attempt)
        interrupted.append(attempt.interrupt(Cancelled, only_in_function=True))
        interrupted.append(attempt.interrupt(Cancelled))
        await asyncio.Event().wait()
        return "never"

    actor = declare(work, concurrency=1)
    actor(one_hint(actor, "a"))

    assert interrupted == [True, False]
    assert isinstance(kept[0].error, Cancelled)
    assert kept[0].interrupt(Cancelled) is False


def test_a_job_that_lost_its_lease_changes_nothing(hand: Hand, declare: Declare) -> None:
    saved: list[str] = []

    async def work(job: Any) -> str:
        if job.key == "a":
            await asyncio.to_thread(take_away, job.id)
        return str(job.key)

    def take_away(job: int) -> None:
        with transaction() as session:
            workers.release(session, process_state.WORKER_ID, lambda: leases() - {lease_of(job)})
        claim("work", job, lease="another", worker="w" * 32)

    def leases() -> set[str]:
        return {str(each.lease) for each in all_jobs()}

    def lease_of(job: int) -> str:
        return str(next(each.lease for each in all_jobs() if each.id == job))

    actor = declare(work, concurrency=9, batch=2, save=lambda _s, done: saved.extend(each.result for each in done))
    actor(one_hint(actor, *"ab"))

    assert saved == ["b"]
    assert [(job.key, job.lease) for job in all_jobs()] == [("a", "another")]


def test_a_job_that_was_enqueued_again_meanwhile_runs_once_more(hand: Hand, declare: Declare) -> None:
    runs: list[str] = []

    async def work(job: Any) -> None:
        runs.append(job.key)
        if len(runs) == 1:
            await asyncio.to_thread(actor.send, "a")

    actor = declare(work, concurrency=9, batch=2)
    actor.send("a")
    hand.run()

    assert runs == ["a", "a"]
    assert all_jobs() == []


def test_a_stop_waits_for_the_jobs_and_releases_those_that_take_longer(hand: Hand, declare: Declare) -> None:
    begun = asyncio.Event()

    async def work(job: Any) -> str:
        if job.key == "quick":
            await begun.wait()
            return "done"
        begun.set()
        await asyncio.Event().wait()
        return "never"

    actor = declare(work, concurrency=9, batch=2)
    ids = one_hint(actor, "quick", "slow")
    process_state.worker = object()  # type: ignore[assignment]
    actor(ids)
    process_state.runner.stop(1.0, lambda attempt: attempt.interrupt(Stopped))
    with transaction() as session:
        workers.leave(session, process_state.WORKER_ID)

    assert outcomes() == [("quick", "completed")]
    assert [(job.key, job.lease, job.attempts, job.crashes) for job in all_jobs()] == [("slow", None, 0, 0)]


def test_a_worker_that_dies_leaves_a_crash_for_each_job_in_flight(hand: Hand, declare: Declare) -> None:
    actor = declare(upper, concurrency=9, batch=3)
    ids = one_hint(actor, *"abc")
    # Given a claim of a process that dies
    with transaction() as session:
        claimed = jobs.claim(session, "upper", ids, "dead", "d" * 32, own_leases=True)
    assert {job.lease for job in all_jobs()} == {f"dead-{job.id}" for job in claimed}
    # When its worker counts as dead
    with transaction() as session:
        assert workers.recover(session, 10.0) == (3, 0)
    # Then each has a crash, and goes alone from now on
    assert [(job.lease, job.crashes) for job in all_jobs()] == [(None, 1)] * 3
    actor(ids)
    assert len(all_jobs()) == 3, "a hint of several jobs claims none that crashed"
    hand.run()
    assert all_jobs() == []


def test_a_job_is_dispatched_locally_while_slots_are_free(hand: Hand, declare: Declare) -> None:
    """The transaction that enqueues it leases it, with a lease of its own and a slot."""
    from aura.jobs.local_dispatch import LocalDispatch

    actor = declare(upper, concurrency=2, batch=10)
    passed: list[Any] = []

    class Consumer:
        def handle_message(self, message: Any) -> None:
            passed.append(message)

    class Worker:
        consumers = {actor.queue_name: Consumer()}  # noqa: RUF012

    process_state.worker = Worker()  # type: ignore[assignment]
    with LocalDispatch(actor.broker) as dispatch, transaction() as session:
        dispatch.accept(session)
        jobs.enqueue(session, [NewJob("upper", key) for key in "abc"])
    [message] = passed
    ids, leases = message.args
    assert len(set(leases)) == 2
    assert sorted(str(job.lease) for job in all_jobs() if job.lease) == sorted(leases)
    assert [job.lease for job in all_jobs() if job.id not in ids] == [None]

    process_state.worker = None
    actor(ids, leases)
    assert len(all_jobs()) == 1 and process_state.attempts == {}
    # And a rollback leaves no slot behind
    process_state.worker = Worker()  # type: ignore[assignment]

    def roll_back() -> None:
        with LocalDispatch(actor.broker) as dispatch, transaction() as session:
            dispatch.accept(session)
            jobs.enqueue(session, [NewJob("upper", key) for key in "de"])
            raise ValueError("rolled back")

    with pytest.raises(ValueError, match="rolled back"):
        roll_back()
    assert process_state.attempts == {}
    access = actor.slot_access()
    assert access is not None and access.slots.try_acquire(access, "another", 2)
    access.slots.release("another")


def test_the_seconds_of_an_attempt_are_those_of_its_job(hand: Hand, declare: Declare) -> None:
    async def work(job: Any) -> None:
        if job.key == "slow":
            await asyncio.sleep(0.3)

    actor = declare(work, concurrency=9, batch=2)
    actor(one_hint(actor, "quick", "slow"))

    took = {each.key: each.seconds for each in attempts()}
    assert took["slow"] >= 0.3
