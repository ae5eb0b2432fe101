"""One by one: of a hint's jobs one is in hand at a time, and what keeps it claims the next."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from dramatiq.middleware import Shutdown, TimeLimitExceeded
from sqlalchemy import event

from aura.jobs import attempt, one_by_one, process_state
from aura.jobs.one_by_one import OneByOne
from db import database as sessions
from db import jobs
from db.jobs import NewJob
from tests.embedded import Hand, all_jobs, attempts, claim, enqueue, letters

Declare = Callable[..., Any]


@pytest.fixture(autouse=True)
def _database(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(one_by_one, "LONGEST", 60.0)  # a busy machine ends no hint here
    enqueue(*(NewJob("post", str(number)) for number in range(5)))


def in_hand() -> tuple[list[str], list[str]]:
    """Return the keys of the jobs that are leased, and of those that are free."""
    every = all_jobs()
    return [job.key for job in every if job.lease], [job.key for job in every if not job.lease]


def test_each_job_is_completed_before_the_next_is_claimed_in_one_transaction(hand: Hand, declare: Declare):
    seen: list[tuple[list[str], list[str]]] = []
    commits: list[object] = []

    def note(connection: object) -> None:
        commits.append(connection)

    def post(batch: list[jobs.Claimed]) -> list[None]:
        seen.append(in_hand())
        return [None]

    declare(post, kind=OneByOne, batch=10)
    hand.relay()
    event.listen(sessions.engine(), "commit", note)
    try:
        assert hand.work() == 1, "one hint"
    finally:
        event.remove(sessions.engine(), "commit", note)
    # A worker that dies leaves one that may have been sent, whichever it is, and the others free
    assert seen == [([str(n)], [str(each) for each in range(n + 1, 5)]) for n in range(5)]
    assert all_jobs() == []
    assert [each.outcome for each in attempts()] == ["completed"] * 5
    assert len(commits) == 6


@pytest.mark.parametrize("permanent", [False, True])
def test_a_failed_job_ends_the_hint_and_costs_the_others_no_attempt(permanent: bool, hand: Hand, declare: Declare):
    class Refused(Exception):
        pass

    Refused.permanent = permanent  # type: ignore[attr-defined]

    def post(batch: list[jobs.Claimed]) -> list[Any]:
        return [Refused("no") if batch[0].key == "1" else None]

    declare(post, kind=OneByOne, batch=10)
    hand.relay()
    hand.work()
    assert [job.key for job in all_jobs() if job.key != "1"] == ["2", "3", "4"]
    assert {(job.attempts, job.crashes, job.hinted_at) for job in all_jobs() if job.key != "1"} == {(0, 0, None)}
    # And they are done with the next hint
    hand.run()
    assert (len(letters()), len(all_jobs())) == ((1, 0) if permanent else (0, 1))


@pytest.mark.parametrize("error", [RuntimeError, TimeLimitExceeded, Shutdown, attempt.Cancelled])
def test_an_interrupt_of_the_function_is_a_failure_of_its_job_alone(error: type, hand: Hand, declare: Declare):
    def post(batch: list[jobs.Claimed]) -> list[None]:
        if batch[0].key == "0":
            raise error("in the middle")
        return [None]

    declare(post, kind=OneByOne, batch=10)
    hand.relay()
    hand.work()
    # Then the others are due at once, and need not be missed first
    assert {(job.attempts, job.hinted_at) for job in all_jobs() if job.key != "0"} == {(0, None)}
    hand.run()
    assert [(job.key, job.attempts) for job in all_jobs()] == [("0", 1)]


@pytest.mark.parametrize(("took", "hints"), [(0.19, 1), (0.21, 5)])
def test_a_job_of_more_than_a_fifth_of_a_second_ends_the_hint(
    took: float, hints: int, hand: Hand, declare: Declare, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.undo()
    begun = time.perf_counter()
    monkeypatch.setattr(one_by_one, "time", SimpleNamespace(perf_counter=lambda: begun))  # it stands still

    def post(batch: list[jobs.Claimed]) -> list[None]:
        [running] = process_state.attempts.values()
        assert running is not None
        running.started = begun - took
        return [None]

    declare(post, kind=OneByOne, batch=10)
    hand.relay()
    assert hand.work() == 1
    assert {job.hinted_at for job in all_jobs()} <= {None}
    assert 1 + hand.run() == hints
    assert all_jobs() == []


def post(batch: list[jobs.Claimed]) -> list[None]:
    return [None]


def test_jobs_that_others_completed_or_hold_are_skipped(hand: Hand, declare: Declare):
    actor = declare(post, kind=OneByOne, batch=10)
    ids = [job.id for job in all_jobs()]
    claim("post", ids[1], ids[3], worker="somebody")
    hand.relay()
    actor(ids)
    assert [job.key for job in all_jobs()] == ["1", "3"]
    hand.work()
    assert len(attempts("completed")) == 3
