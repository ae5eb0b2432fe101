"""Jobs in the database: enqueued, claimed, completed, retried and dead-lettered, with and without each protection."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import text, true, update
from sqlalchemy.orm import Session

import actors
from aura.jobs.process_state import WORKER_ID
from db import hints, jobs, reading, transaction, workers
from db.database import engine
from db.jobs import NewJob
from db.models import Job
from db.time import from_now
from pipelines.triage import triage
from tests.embedded import (
    all_jobs,
    claim,
    crash_before_commit,
    enqueue,
    letters,
    mark_hinted,
    move,
    one_job,
    seconds_until_due,
)
from tests.unit.db.failures import FAILURE, due

pytestmark = pytest.mark.usefixtures("database")


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


# -- due and hinted ---------------------------------------------------------------------------------------------------


def test_the_most_urgent_job_is_due_first_and_then_the_oldest():
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


def test_a_delayed_hinted_or_leased_job_or_one_of_another_actor_is_not_due():
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


def test_a_worker_that_lost_its_lease_completes_nothing():
    a_lost_lease_changes_nothing()


def test_without_the_lease_check_a_late_worker_completes_the_job_of_another(monkeypatch: pytest.MonkeyPatch):
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
