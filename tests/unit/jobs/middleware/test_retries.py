"""Failed jobs: retried with growing delays, alone after a failed batch, and dead-lettered with their error."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from dramatiq.middleware import Shutdown, TimeLimitExceeded
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.exc import OperationalError

from aura.jobs.attempt import Permanent
from aura.jobs.middleware import heartbeat, retries
from aura.jobs.middleware.retries import FIRST_PAUSE, LONGEST_PAUSE, LONGEST_RETRY_AFTER, failure, one_line, pause
from aura.notifications import ChannelError
from db import jobs
from db.jobs import NewJob
from db.models import Job
from tests.embedded import Hand, all_jobs, attempts, enqueue, letters, move, one_job, seconds_until_due

Declare = Callable[..., Any]


class RateLimited(Exception):
    """An error that names the time, as a provider's 429 does."""

    def __init__(self, retry_after: Any) -> None:
        super().__init__("too many requests")
        self.retry_after = retry_after


# -- the pause --------------------------------------------------------------------------------------------------------


@given(st.integers(1, 10_000))
def test_the_pause_doubles_with_jitter_up_to_ten_minutes(attempt: int):
    full = min(FIRST_PAUSE * 2 ** min(attempt - 1, 60), LONGEST_PAUSE)

    assert full / 2 <= pause(attempt, RuntimeError()) <= full


def test_the_pauses_of_many_jobs_spread_out():
    assert len({pause(3, RuntimeError()) for _ in range(100)}) > 90


@pytest.mark.parametrize(
    ("named", "obeyed"),
    [(0, 0.0), (7, 7.0), (0.5, 0.5), (10**9, LONGEST_RETRY_AFTER), (float("inf"), LONGEST_RETRY_AFTER)],
)
def test_a_retry_after_is_obeyed_and_capped(named: float, obeyed: float):
    assert pause(5, RateLimited(named)) == obeyed


@pytest.mark.parametrize("named", [None, "soon", -5, float("nan")])
def test_an_invalid_retry_after_is_ignored(named: Any):
    assert FIRST_PAUSE / 2 <= pause(1, RateLimited(named)) <= FIRST_PAUSE


def test_the_same_error_at_the_same_place_has_the_same_fingerprint():
    def fail(word: str, kind: type[Exception]) -> Exception:
        try:
            raise kind(word)
        except Exception as error:
            return error

    a, b, c = fail("one", RuntimeError), fail("two", RuntimeError), fail("one", ValueError)

    assert failure("classify", a).fingerprint == failure("classify", b).fingerprint
    assert failure("classify", a).fingerprint != failure("classify", c).fingerprint
    assert failure("classify", a).fingerprint != failure("notify", a).fingerprint


def test_an_error_without_a_message_is_named_by_its_type():
    assert one_line(RuntimeError()) == "RuntimeError"
    assert one_line(RuntimeError("first\nsecond")) == "RuntimeError: first"
    assert failure("classify", RuntimeError()).error == "RuntimeError"


# -- through a worker -------------------------------------------------------------------------------------------------


class Failing:
    """An actor's function that raises what it is given, one error an attempt, and then works."""

    def __init__(self, *errors: BaseException) -> None:
        self.errors = list(errors)
        self.batches: list[list[str]] = []

    def actor(self, declare: Declare, **options: Any) -> Any:
        def fail(items: list[Any]) -> list[str]:
            self.batches.append([item.key for item in items])
            if self.errors:
                raise self.errors.pop(0)
            return ["done" for _ in items]

        return declare(fail, **options)


@pytest.mark.usefixtures("database")
class TestThroughAWorker:
    def test_a_failed_job_is_due_again_after_the_pause_with_its_error(self, hand: Hand, declare: Declare):
        failing = Failing(RuntimeError("the engine is away"))
        failing.actor(declare).send(1)

        hand.run()

        row = one_job()
        assert (row.attempts, row.crashes, row.lease, row.hinted_at) == (1, 0, None, None)
        assert row.last_error == "RuntimeError: the engine is away"
        assert retries.FIRST_PAUSE / 2 - 10 <= seconds_until_due()[0] <= retries.FIRST_PAUSE
        assert [(a.outcome, a.number, a.error) for a in attempts()] == [
            ("retried", 1, "RuntimeError: the engine is away")
        ]
        # and done, when its time has come
        move(Job, due_at=-1)
        hand.run()
        assert all_jobs() == []
        assert [(a.outcome, a.number) for a in attempts()] == [("retried", 1), ("completed", 2)]

    def test_the_retry_after_of_an_error_is_stored_with_the_job(self, hand: Hand, declare: Declare):
        Failing(RateLimited(120)).actor(declare).send(1)

        hand.run()

        assert seconds_until_due() == [pytest.approx(120, abs=5)]

    @pytest.mark.parametrize("error", [Permanent("no such place"), ChannelError("refused", permanent=True)])
    def test_a_permanent_error_is_a_dead_letter_at_once(self, hand: Hand, declare: Declare, error: Exception):
        Failing(error).actor(declare).send(1)

        hand.run()

        assert all_jobs() == []
        assert [(letter.attempts, letter.error_type) for letter in letters()] == [(1, type(error).__name__)]
        assert [a.outcome for a in attempts()] == ["dead"]

    def test_a_job_whose_attempts_are_used_up_is_a_dead_letter_with_its_error(self, hand: Hand, declare: Declare):
        actor = Failing(*[RuntimeError("boom")] * 3).actor(declare, max_attempts=3)
        actor.send_with_options(args=(1, "x"), priority=4)

        for _ in range(3):
            hand.run()
            move(Job, due_at=-1)

        (letter,) = letters()
        assert all_jobs() == []
        assert (letter.actor, letter.key, letter.args, letter.priority, letter.attempts) == ("fail", "1", ["x"], 4, 3)
        assert (letter.error_type, letter.error) == ("RuntimeError", "boom")
        assert letter.traceback.startswith("Traceback (most recent call last)")
        assert "test_retries.py" in letter.traceback
        assert len(letter.fingerprint) == 12
        assert [a.outcome for a in attempts()] == ["retried", "retried", "dead"]

    def test_the_setting_limits_the_attempts_of_an_actor_without_a_limit(self, hand: Hand, declare: Declare):
        Failing(*[RuntimeError("boom")] * 9).actor(declare).send(1)

        for _ in range(9):
            hand.run()
            move(Job, due_at=-1)

        assert [letter.attempts for letter in letters()] == [8]

    def test_a_poison_job_fails_no_other_job_of_its_batch(self, hand: Hand, declare: Declare):
        batches: list[int] = []

        def work(items: list[Any]) -> list[str]:
            batches.append(len(items))
            if any(item.key == "poison" for item in items):
                raise RuntimeError("poison")
            return ["done" for _ in items]

        declare(work, max_attempts=3)
        enqueue(*[NewJob("work", str(number)) for number in range(9)], NewJob("work", "poison"))
        hand.run()
        assert len(attempts("completed")) == 9, "the other jobs of the batch need not wait"
        for _ in range(2):
            move(Job, due_at=-1)
            hand.run()

        assert sorted(batches) == [1] * 11 + [10], "once together, and then each alone"
        assert [letter.key for letter in letters()] == ["poison"]
        assert len(attempts("completed")) == 9
        assert all_jobs() == []

    def test_a_result_that_is_an_error_fails_its_own_job_only(self, hand: Hand, declare: Declare):
        def work(items: list[Any]) -> list[Any]:
            odd = {"later": RuntimeError("later"), "never": Permanent("never")}
            return [odd.get(item.key, "done") for item in items]

        declare(work)
        enqueue(*[NewJob("work", key) for key in ("a", "later", "b", "never", "c")])
        hand.run()

        assert [job.key for job in all_jobs()] == ["later"]
        assert [letter.key for letter in letters()] == ["never"]
        assert {a.key for a in attempts("completed")} == {"a", "b", "c"}

    def test_an_attempt_that_took_too_long_is_a_failure_like_any_other(self, hand: Hand, declare: Declare):
        Failing(TimeLimitExceeded("too long")).actor(declare).send(1)

        hand.run()

        assert one_job().last_error == "TimeLimitExceeded: too long"
        assert (one_job().attempts, one_job().lease) == (1, None)
        assert [a.outcome for a in attempts()] == ["retried"]

    @pytest.mark.parametrize(
        "error", [OperationalError("UPDATE jobs", {}, Exception("server closed the connection")), Shutdown("deploy")]
    )
    def test_a_database_that_is_away_and_a_shutdown_count_no_attempt(
        self, hand: Hand, declare: Declare, error: BaseException
    ):
        failing = Failing(error)
        failing.actor(declare, max_attempts=1).send(1)
        hand.relay()
        hand.work()
        # the row still says that we work on it
        assert (one_job().lease is not None, one_job().attempts) == (True, 1)

        heartbeat.beat()

        assert (one_job().lease, one_job().attempts, one_job().crashes) == (None, 0, 0)
        assert attempts() == []
        hand.run()
        assert [a.outcome for a in attempts()] == ["completed"]

    def test_a_job_whose_failure_cannot_be_written_is_returned(
        self, hand: Hand, declare: Declare, monkeypatch: pytest.MonkeyPatch
    ):
        def away(*_: Any) -> None:
            raise OperationalError("UPDATE jobs", {}, Exception("server closed the connection"))

        Failing(RuntimeError("boom")).actor(declare).send(1)
        hand.relay()
        with monkeypatch.context() as broken:
            broken.setattr(jobs, "retry", away)
            hand.work()
        heartbeat.beat()

        assert (one_job().lease, one_job().attempts) == (None, 0)

    @pytest.mark.parametrize("words", ["a \0 in it", "a \ud800 in it", "long " * 1000, ""])
    def test_the_text_of_an_error_is_stored_without_unstorable_characters(
        self, hand: Hand, declare: Declare, words: str
    ):
        Failing(RuntimeError(words), RuntimeError(words)).actor(declare, max_attempts=2).send(1)

        hand.run()
        assert one_job().last_error is not None
        move(Job, due_at=-1)
        hand.run()

        (letter,) = letters()
        assert letter.error == (words.replace("\0", "").replace("\ud800", "")[:2000] or "RuntimeError")
