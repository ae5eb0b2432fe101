"""`aura jobs`."""

from __future__ import annotations

import pytest
from sqlalchemy import update

from db import transaction
from db.jobs import NewJob
from db.models import Job
from db.time import from_now
from tests.commands import Run
from tests.embedded import all_jobs, claim, enqueue, letters, one_job, seconds_until_due

pytestmark = pytest.mark.usefixtures("sqlite")


def test_jobs_are_listed_with_their_states(run: Run):
    enqueue(NewJob("intake", "1"))
    enqueue(NewJob("classify", "1", delay=60))
    claim("intake", all_jobs()[0].id)

    rows = run("jobs", "list", "--format", "json").json()
    assert [(row["actor"], row["state"]) for row in rows] == [("intake", "running"), ("classify", "scheduled")]
    running = run("jobs", "list", "--state", "running", "--format", "json").json()
    assert [row["actor"] for row in running] == ["intake"]
    assert run("jobs", "list", "--actor", "notify").err == "No such jobs.\n"
    assert "intake" in run("jobs", "list").out


def test_an_empty_list_is_a_note_on_stderr(run: Run):
    assert run("jobs", "list").err == "No jobs: all are completed.\n"


def test_a_cancelled_job_can_be_replayed_with_force(run: Run):
    enqueue(NewJob("classify", "17"))

    cancelled = run("jobs", "cancel", one_job().id, "--reason", "a test")

    letter = letters()[0].id
    assert cancelled.out == (
        f"job 1 (classify 17) cancelled; `aura dead-letters replay {letter} --force` enqueues it again\n"
    )
    assert all_jobs() == []
    assert "a test" in run("dead-letters", "list", "--state", "discarded").out
    assert run("dead-letters", "replay", letter).code == 1
    assert run("dead-letters", "replay", letter, "--force").out == "classify 17 enqueued\n"


def test_all_jobs_of_a_ticket_are_cancelled_also_running_ones(run: Run):
    enqueue(NewJob("classify", "17"), NewJob("notify", "17"), NewJob("notify", "18"))
    claim("notify", *[job.id for job in all_jobs()])
    enqueue(NewJob("intake", "18"))

    text = run("jobs", "cancel", "--ticket", 17, "--reason", "a test").out
    rows = run("jobs", "cancel", "--ticket", 18, "--reason", "a test", "--format", "json").json()

    assert [line.partition("; ")[0] for line in text.splitlines()] == [
        "job 1 (classify 17) cancelled",
        "job 2 (notify 17) cancelled",
    ]
    assert "; the result of its running attempt is not stored; " in text.splitlines()[1]
    assert [(row["actor"], row["key"], row["was_running"]) for row in rows] == [
        ("notify", "18", True),
        ("intake", "18", False),
    ]
    assert all_jobs() == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "name one of ID, --ticket and --actor"),
        (["1", "--ticket", "1"], "name one of ID, --ticket and --actor"),
        (["99"], "there is no job 99"),
        (["--ticket", "99"], "ticket 99"),
    ],
)
def test_a_cancel_without_a_job_is_refused(run: Run, arguments: list[str], message: str):
    result = run("jobs", "cancel", *arguments, "--reason", "x")

    assert (result.code, result.out) == (1, "")
    assert message in result.err


# -- retry now --------------------------------------------------------------------------------------------------------


def wait_for_backoff(*new_jobs: NewJob) -> None:
    """Enqueue jobs that failed, and wait ten minutes for their next attempts."""
    enqueue(*new_jobs)
    with transaction() as session:
        session.execute(update(Job).values(due_at=from_now(600), attempts=3, last_error="SmtpError: refused"))


def test_a_job_that_waits_after_a_failed_attempt_is_retried_now(run: Run):
    wait_for_backoff(NewJob("email", "a"), NewJob("webhook", "b"))

    assert run("jobs", "retry", all_jobs()[0].id).out == "job 1 (email a) is due now\n"

    first, second = seconds_until_due()
    assert first <= 0
    assert second > 500
    assert [job.attempts for job in all_jobs()] == [3, 3]


def test_the_jobs_of_an_actor_or_a_ticket_are_retried_now(run: Run):
    wait_for_backoff(NewJob("email", "a"), NewJob("email", "b"), NewJob("classify", "17"))

    assert [row["key"] for row in run("jobs", "retry", "--actor", "email", "--format", "json").json()] == ["a", "b"]
    assert run("jobs", "retry", "--actor", "email").out == "No job waits after a failed attempt.\n"
    assert run("jobs", "retry", "--ticket", 17).out == "job 1 (classify 17) is due now\n"
    assert all(seconds <= 0 for seconds in seconds_until_due())


def test_a_retry_of_a_job_in_another_state_is_refused(run: Run):
    enqueue(NewJob("classify", "17", delay=60))
    claim("intake", 1)

    assert "job 1 is scheduled: only a job that waits" in run("jobs", "retry", 1).err
    assert "there is no job 99" in run("jobs", "retry", 99).err
    assert "name one of ID, --ticket and --actor" in run("jobs", "retry").err
    assert seconds_until_due()[0] > 50


def test_the_jobs_of_an_actor_are_cancelled(run: Run):
    enqueue(*[NewJob("email", each) for each in "abc"], NewJob("classify", "17"))

    assert len(run("jobs", "cancel", "--actor", "email", "--limit", 2, "--reason", "x", "--format", "json").json()) == 2
    assert len(run("jobs", "cancel", "--actor", "email", "--reason", "x").out.splitlines()) == 1
    assert "actor email has no jobs" in run("jobs", "cancel", "--actor", "email", "--reason", "x").err
    assert [job.actor for job in all_jobs()] == ["classify"]
