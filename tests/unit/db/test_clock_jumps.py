"""Times from before the database's clock went back, and the beat that detects it on SQLite."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from db import clock_jumps, fence, jobs, reading, transaction, workers
from db.jobs import Failure, NewJob
from db.models import Attempt, AuditEntry, DatabaseFence, Job, Worker
from db.time import elapsed
from tests.embedded import claim, enqueue, move

pytestmark = pytest.mark.usefixtures("database")


def seconds_until_due() -> dict[str, int]:
    with reading() as session:
        return {row.key: round(-row.due) for row in session.execute(select(Job.key, elapsed(Job.due_at).label("due")))}


def correct() -> int:
    with transaction() as session:
        return clock_jumps.correct(session, 600.0)


def beat() -> float:
    with transaction() as session:
        return fence.beat(session)


def fail(key: str, delay: float) -> None:
    """Enqueue a job, and make an attempt that fails."""
    enqueue(NewJob("intake", key))
    with reading() as session:
        number = jobs.number_of(session, "intake", key, "")
    [job] = claim("intake", number)
    with transaction() as session:
        jobs.retry(session, [(job, Failure("Timeout", "no answer", "", ""), delay)])
        jobs.record_attempts(session, "w", "retried", 0.1, [(job, "no answer")])


def test_a_job_that_was_enqueued_later_than_now_is_due_after_its_own_delay():
    enqueue(NewJob("intake", "due"), NewJob("intake", "in a minute", delay=60))
    move(Job, created_at=600, due_at=600)  # due_at counts from now: both are due in ten minutes
    with transaction() as session:
        session.execute(jobs.update(Job).where(Job.key == "in a minute").values(due_at=jobs.from_now(660)))
    enqueue(NewJob("intake", "after the jump"), NewJob("intake", "planned", delay=300))

    with reading() as session:
        assert clock_jumps.future_jobs(session) == 2
    assert correct() == 2

    found = seconds_until_due()
    assert found.pop("in a minute") in range(55, 61)
    assert found.pop("planned") in range(290, 301)
    assert all(due <= 0 for due in found.values())
    assert len(found) == 2
    with reading() as session:
        assert clock_jumps.future_jobs(session) == 0
    assert correct() == 0


def test_a_hint_and_a_heartbeat_later_than_now_are_of_now():
    enqueue(NewJob("intake", "1"))
    move(Job, hinted_at=600)
    with transaction() as session:
        workers.beat(session, "w", "host:1")
    move(Worker, heartbeat_at=600)

    correct()

    with reading() as session:
        ages = [session.scalar(select(elapsed(each))) for each in (Job.hinted_at, Worker.heartbeat_at)]
    assert all(age is not None and 0 <= age < 10 for age in ages)


def test_a_job_that_waits_for_its_next_attempt_keeps_its_delay_at_each_jump():
    fail("before the jump", 60)
    move(Job, due_at=660)  # enqueued and tried in the future
    move(Attempt, created_at=600)
    fail("after the jump", 300)

    assert correct() == 1
    found = seconds_until_due()
    assert found["before the jump"] in range(30, 61)
    assert found["after the jump"] in range(270, 301)
    assert correct() == 0, "the same jump is corrected once"
    assert seconds_until_due()["before the jump"] in range(30, 61)


def test_a_job_that_failed_since_the_jump_keeps_its_delay_though_it_was_enqueued_before():
    fail("1", 60)
    move(Job, created_at=-3600)
    move(Attempt, created_at=-10)

    assert correct() == 0
    assert seconds_until_due()["1"] in range(30, 61)


def test_a_beat_detects_a_clock_that_went_back_once_and_the_correction_is_in_the_audit_log():
    assert beat() == 0
    assert beat() == 0
    move(DatabaseFence, beaten_at=600)

    assert round(beat()) in range(590, 601)
    assert beat() == 0

    correct()
    with reading() as session:
        assert session.execute(select(AuditEntry.action, AuditEntry.details)).all() == [
            (fence.CLOCK_BACK, {"seconds": 600.0})
        ]
