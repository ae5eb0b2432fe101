"""The life of a job, statement by statement, on both databases; and what each protection protects from."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from sqlalchemy import select, text, true, update
from sqlalchemy.orm import Session

import actors
from actors.classify import classify
from actors.intake import intake
from aura.jobs.pipeline import Pipeline
from aura.jobs.process_state import WORKER_ID
from db import hints, jobs, reading, transaction, workers
from db.database import engine
from db.jobs import Failure, NewJob
from db.models import Job, Worker
from db.time import from_now
from pipelines.triage import triage
from tests.embedded import (
    all_jobs,
    attempts,
    claim,
    count,
    crash_before_commit,
    enqueue,
    letters,
    mark_hinted,
    move,
    one_job,
    seconds_until_due,
    take_due,
)

pytestmark = pytest.mark.usefixtures("database")

FAILURE = Failure("Trouble", "it did not work", "Traceback ...", "fingerprint0")


# -- enqueue ----------------------------------------------------------------------------------------------------------


def test_an_enqueued_job_is_part_of_the_callers_transaction():
    with crash_before_commit() as session:
        jobs.enqueue(session, [NewJob("classify", "1")])

    assert all_jobs() == []


def a_crash_before_the_commit_enqueues_nothing() -> None:
    with crash_before_commit():
        triage.send(17)
    assert all_jobs() == []


def test_a_send_inside_a_transaction_commits_and_rolls_back_with_it():
    a_crash_before_the_commit_enqueues_nothing()


def test_a_send_past_the_outbox_would_survive_the_crash(monkeypatch: pytest.MonkeyPatch):
    # Mutant: the job is committed at once, as plain Dramatiq publishes at once
    @contextmanager
    def committed_at_once() -> Iterator[Session]:
        with transaction() as session:
            yield session
            session.commit()

    monkeypatch.setattr("aura.jobs.actor.transaction", committed_at_once)

    with pytest.raises(AssertionError):
        a_crash_before_the_commit_enqueues_nothing()


def test_a_send_outside_a_transaction_is_its_own_and_needs_no_broker():
    message = triage.send(17)

    job = one_job()
    assert (job.actor, job.key, job.pipeline, job.next_steps) == ("intake", "17", "triage", ["classify", "notify"])
    assert (job.priority, job.args, job.hinted_at, job.lease) == (0, [], None, None)
    assert message.actor_name == "intake"
    assert all(queue.qsize() == 0 for queue in actors.broker.local.queues.values())


def test_a_send_wakes_the_relay_after_the_commit_and_not_after_a_rollback(monkeypatch: pytest.MonkeyPatch):
    woken: list[int] = []

    def wake() -> None:
        with engine().connect() as another:
            woken.append(another.scalar(text("SELECT count(*) FROM jobs")))

    monkeypatch.setattr(jobs, "on_enqueue", [wake])

    with crash_before_commit():
        triage.send(1)
    assert woken == []

    with transaction():
        triage.send(1)
        triage.send(2)
        assert woken == []
    assert woken == [2], "woken once, when both jobs were there to see"


def test_a_second_enqueue_takes_the_higher_priority_and_the_earlier_time():
    enqueue(NewJob("classify", "1", priority=2, delay=60))
    enqueue(NewJob("classify", "1", priority=7, delay=600))
    enqueue(NewJob("classify", "1", priority=1, delay=10))

    assert one_job().priority == 7
    assert seconds_until_due() == [pytest.approx(10, abs=5)]
    assert not one_job().rerun


def test_two_jobs_of_one_call_merge_like_two_calls():
    enqueue(NewJob("classify", "1", priority=9, delay=60), NewJob("classify", "1", priority=1))

    assert one_job().priority == 9
    assert seconds_until_due()[0] <= 0


def test_the_same_work_in_another_pipeline_is_another_job():
    enqueue(NewJob("classify", "1"), NewJob("classify", "1", pipeline="triage"), NewJob("intake", "1"))

    assert len(all_jobs()) == 3


def test_many_jobs_with_duplicates_are_stored_once_each():
    enqueue(*[NewJob("classify", str(number % 700)) for number in range(1400)])

    assert len(all_jobs()) == 700


def test_enqueueing_no_job_is_no_error():
    enqueue()
    triage.send_many([])

    assert all_jobs() == []


def test_a_job_enqueued_while_running_runs_once_more():
    # Given a job that runs
    enqueue(NewJob("classify", "1"))
    claimed = claim("classify", one_job().id)
    # When it is enqueued twice meanwhile, and then completed
    enqueue(NewJob("classify", "1"))
    enqueue(NewJob("classify", "1", priority=4))
    with transaction() as session:
        jobs.complete(session, "lease", claimed, "w", 0.0)
    # Then it is due once more, as new
    job = one_job()
    assert (job.lease, job.worker, job.hinted_at, job.rerun, job.attempts, job.crashes) == (
        None,
        None,
        None,
        False,
        0,
        0,
    )
    assert job.priority == 4
    assert len(claim("classify", job.id)) == 1
    with transaction() as session:
        jobs.complete(session, "lease", claimed, "w", 0.0)
    assert all_jobs() == []


def test_a_later_run_that_was_enqueued_meanwhile_is_not_early():
    enqueue(NewJob("classify", "1"))
    claimed = claim("classify", one_job().id)

    enqueue(NewJob("classify", "1", delay=3600))
    enqueue(NewJob("classify", "1", delay=60))
    with transaction() as session:
        jobs.complete(session, "lease", claimed, "w", 0.0)

    assert seconds_until_due() == [pytest.approx(60, abs=5)]


# -- the ways to send -------------------------------------------------------------------------------------------------


def test_delays_are_milliseconds_or_a_timedelta():
    classify.send_with_options(args=(1,), delay=90_000)
    classify.send_with_options(args=(2,), delay=timedelta(minutes=2))
    triage.send_with_options(args=(3,), delay=timedelta(seconds=30), priority=8)
    classify.send_with_options(args=(4,), delay=timedelta(seconds=-30))

    assert seconds_until_due() == [pytest.approx(seconds, abs=5) for seconds in (90, 120, 30, 0)]
    assert [job.priority for job in all_jobs()] == [0, 0, 8, 0]


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"args": (1,), "priority": 10}, ValueError, "priority must be 0 to 9, not 10"),
        ({"args": (1,), "priority": -1}, ValueError, "priority must be 0 to 9, not -1"),
        ({"args": (1,), "priority": "high"}, TypeError, "priority is an int"),
        ({"args": (1,), "delay": "1 hour"}, TypeError, "delay a timedelta or an int of milliseconds"),
        ({"args": ()}, ValueError, "classify.send needs the key of the job"),
        ({"args": (1,), "eta": 5}, TypeError, "classify takes args, delay and priority, not eta"),
        ({"args": (1,), "kwargs": {"ticket": 1}}, TypeError, "not ticket"),
    ],
)
def test_a_wrong_option_is_named_and_enqueues_nothing(options: dict, error: type[Exception], words: str):
    with pytest.raises(error, match=words):
        classify.send_with_options(**options)

    assert all_jobs() == []


def test_further_arguments_ride_in_the_job():
    classify.send(1, "again", {"why": "umlauts äöü"})

    assert one_job().args == ["again", {"why": "umlauts äöü"}]


def test_a_pipeline_has_at_least_one_step_and_says_its_order():
    with pytest.raises(ValueError, match="at least one step"):
        Pipeline("empty")

    assert repr(triage) == "Pipeline('triage': intake -> classify -> notify)"


def test_a_pipeline_of_one_step_enqueues_nothing_after_it():
    Pipeline("short", intake).send(3)

    assert one_job().next_steps == []


# -- due and hinted ---------------------------------------------------------------------------------------------------


def due(actor: str = "classify", limit: int = 100) -> list[str]:
    found = take_due(actor, limit)
    keys = {job.id: job.key for job in all_jobs()}
    return [keys[job_id] for job_id in found]


def test_the_most_urgent_is_due_first_and_then_the_oldest():
    enqueue(NewJob("classify", "late", priority=3))
    enqueue(NewJob("classify", "low"))
    enqueue(NewJob("classify", "early", priority=3))
    enqueue(NewJob("classify", "urgent", priority=9))
    move(Job, due_at=-60)
    with transaction() as session:
        session.execute(update(Job).where(Job.key == "early").values(due_at=from_now(-90)))

    assert due(limit=2) == ["urgent", "early"]
    assert due() == ["late", "low"]
    assert due() == []


def test_what_is_not_due_or_hinted_or_leased_or_anothers_is_not_due():
    enqueue(NewJob("classify", "later", delay=60), NewJob("intake", "other"))
    enqueue(NewJob("classify", "hinted"), NewJob("classify", "leased"), NewJob("classify", "due"))
    ids = {job.key: job.id for job in all_jobs()}
    mark_hinted(ids["hinted"])
    claim("classify", ids["leased"])

    with reading() as session:
        assert hints.due_buckets(session, ["classify", "intake", "notify"]) == [("classify", 0), ("intake", 0)]
        assert hints.in_flight(session) == {"classify": 1}
    assert due() == ["due"]


def test_lost_hints_are_forgotten_by_actor_and_age():
    enqueue(NewJob("classify", "1"), NewJob("intake", "1"))
    mark_hinted()

    def forget(**which) -> int:
        with transaction() as session:
            return hints.redispatch_lost(session, **which)

    assert forget(older_than=15) == 0
    move(Job, hinted_at=-20)
    assert forget(actor="classify", older_than=15) == 1
    assert forget(actor="classify") == 0
    assert forget() == 1


# -- claim ------------------------------------------------------------------------------------------------------------


def test_a_claim_leases_the_jobs_and_counts_the_attempt():
    enqueue(NewJob("classify", "b", ["x"], "triage", ("notify",), 4), NewJob("classify", "a"))
    ids = [job.id for job in all_jobs()]

    claimed = claim("classify", *reversed(ids), lease="mine")

    assert [job.id for job in claimed] == sorted(ids)
    first = next(job for job in claimed if job.key == "b")
    assert (first.actor, first.args, first.pipeline, first.next_steps, first.priority, first.attempts) == (
        "classify",
        ["x"],
        "triage",
        ("notify",),
        4,
        1,
    )
    assert {(job.lease, job.attempts, job.crashes) for job in all_jobs()} == {("mine", 1, 1)}


def test_a_duplicate_hint_gets_nothing():
    enqueue(NewJob("classify", "1"))
    job = one_job().id

    assert len(claim("classify", job, job, lease="first")) == 1
    assert claim("classify", job, lease="second") == []
    assert one_job().lease == "first"


def test_a_forged_hint_gets_nothing():
    enqueue(NewJob("classify", "1"), NewJob("intake", "2", delay=60))
    ids = [job.id for job in all_jobs()]

    assert claim("notify", *ids) == []
    assert claim("intake", *ids) == [], "classify's job is not intake's, and its own is not due"
    assert claim("classify", 10**15) == []
    assert claim("classify") == []


# -- keep -------------------------------------------------------------------------------------------------------------


def a_lost_lease_changes_nothing() -> None:
    enqueue(NewJob("classify", "1"))
    lost = claim("classify", one_job().id, lease="slow")
    # another worker has it now
    with transaction() as session:
        workers.release(session, WORKER_ID, running=set)
    claim("classify", one_job().id, lease="fast")
    with transaction() as session:
        jobs.complete(session, "slow", lost, "w", 0.0)
    assert [job.lease for job in all_jobs()] == ["fast"]


def test_a_worker_that_lost_its_lease_keeps_nothing():
    a_lost_lease_changes_nothing()


def test_without_the_lease_check_it_would_take_the_other_workers_job(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(jobs, "held_by", lambda _lease: true())

    with pytest.raises(AssertionError):
        a_lost_lease_changes_nothing()


# -- fail -------------------------------------------------------------------------------------------------------------


def test_a_retry_is_due_later_and_keeps_its_attempts_and_its_error():
    enqueue(NewJob("classify", "1"))
    (job,) = claim("classify", one_job().id)

    with transaction() as session:
        jobs.retry(session, [(job, FAILURE, 30.0)])

    row = one_job()
    assert (row.lease, row.worker, row.hinted_at, row.attempts, row.crashes) == (None, None, None, 1, 0)
    assert row.last_error == "Trouble: it did not work"
    assert seconds_until_due() == [pytest.approx(30, abs=5)]


def test_a_dead_letter_stores_everything_a_replay_needs():
    enqueue(NewJob("classify", "1", ["x"], "triage", ("notify",), 4))
    (job,) = claim("classify", one_job().id)

    with transaction() as session:
        jobs.dead_letter(session, [(job, FAILURE)])

    (letter,) = letters()
    assert all_jobs() == []
    assert (
        letter.actor,
        letter.key,
        letter.args,
        letter.pipeline,
        letter.next_steps,
        letter.priority,
        letter.attempts,
    ) == (
        "classify",
        "1",
        ["x"],
        "triage",
        ["notify"],
        4,
        1,
    )
    assert (letter.error_type, letter.error, letter.traceback, letter.fingerprint, letter.state) == (
        "Trouble",
        "it did not work",
        "Traceback ...",
        "fingerprint0",
        "dead",
    )


# -- recover ----------------------------------------------------------------------------------------------------------


def recover() -> tuple[int, int]:
    with transaction() as session:
        return workers.recover(session, dead_after=10)


def beat(worker: str) -> None:
    with transaction() as session:
        workers.beat(session, worker, f"host:{worker}")


def a_living_workers_job_is_left_alone() -> None:
    beat("living")
    enqueue(NewJob("classify", "1"))
    claim("classify", one_job().id, worker="living")
    assert recover() == (0, 0)
    assert one_job().worker == "living"


def test_a_living_workers_job_is_not_due_again():
    a_living_workers_job_is_left_alone()


def test_without_the_heartbeat_a_living_workers_job_would_be_taken(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(workers, "beat", lambda *_: None)

    with pytest.raises(AssertionError):
        a_living_workers_job_is_left_alone()


def test_a_dead_workers_job_is_due_again_at_once():
    beat("dead")
    enqueue(NewJob("classify", "1"))
    claim("classify", one_job().id, worker="dead")
    move(Worker, heartbeat_at=-11)

    assert recover() == (1, 0)

    row = one_job()
    assert (row.lease, row.worker, row.hinted_at, row.attempts, row.crashes) == (None, None, None, 1, 1)
    assert row.last_error == "the worker died"
    assert due() == ["1"]
    (attempt,) = attempts()
    assert (attempt.outcome, attempt.worker, attempt.number, attempt.error) == ("crashed", "dead", 1, "the worker died")
    assert recover() == (0, 0)


def test_the_job_of_a_worker_nobody_knows_is_due_again():
    enqueue(NewJob("classify", "1"))
    claim("classify", one_job().id, worker="unknown")

    assert recover() == (1, 0)


def test_a_job_that_crashed_three_workers_is_quarantined():
    enqueue(NewJob("classify", "1", pipeline="triage", next_steps=("notify",)))
    for number in range(3):
        mark_hinted()
        assert len(claim("classify", one_job().id, worker=f"victim {number}")) == 1
        assert recover() == ((0, 1) if number == 2 else (1, 0))

    (letter,) = letters()
    assert all_jobs() == []
    assert (letter.error_type, letter.attempts, letter.next_steps) == ("Quarantined", 3, ["notify"])
    assert letter.error == "its worker died 3 times while running it"
    assert [attempt.outcome for attempt in attempts()] == ["crashed", "crashed", "dead"]


def test_an_orderly_failure_between_crashes_is_forgiven():
    enqueue(NewJob("classify", "1"))
    for _ in range(5):
        (job,) = claim("classify", one_job().id, worker="victim")
        recover()
        (job,) = claim("classify", one_job().id)
        with transaction() as session:
            jobs.retry(session, [(job, FAILURE, 0.0)])

    assert letters() == []


def test_a_returned_job_counts_no_attempt_and_no_crash():
    enqueue(NewJob("classify", "1"), NewJob("classify", "2"), NewJob("classify", "3"))
    ids = [job.id for job in all_jobs()]
    claim("classify", ids[0], lease="running", worker="me")
    claim("classify", ids[1], lease="abandoned", worker="me")
    claim("classify", ids[2], lease="theirs", worker="other")

    with transaction() as session:
        assert workers.release(session, "me", running=lambda: {"running"}) == 1

    assert [(job.lease, job.attempts, job.crashes) for job in all_jobs()] == [
        ("running", 1, 1),
        (None, 0, 0),
        ("theirs", 1, 1),
    ]


def test_a_job_claimed_meanwhile_is_not_returned():
    enqueue(NewJob("classify", "1"))

    with transaction() as session:

        def claim_meanwhile() -> set[str]:
            jobs.claim(session, "classify", [one_job().id], "new", "me")
            return set()

        assert workers.release(session, "me", claim_meanwhile) == 0

    assert one_job().lease == "new"


def test_leaving_hands_everything_back_and_signs_off():
    beat("me")
    enqueue(NewJob("classify", "1"))
    claim("classify", one_job().id, worker="me")

    with transaction() as session:
        workers.leave(session, "me")

    assert due() == ["1"]
    assert one_job().attempts == 0
    assert count(Worker) == 0


def test_a_worker_that_is_long_dead_is_forgotten():
    beat("old")
    beat("new")
    with transaction() as session:
        session.execute(update(Worker).where(Worker.id == "old").values(heartbeat_at=from_now(-601)))

    recover()

    with reading() as session:
        assert session.scalars(select(Worker.id)).all() == ["new"]
