"""Times from before the database's clock went back."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from db import clock_jumps, jobs, reading, transaction, workers
from db.jobs import NewJob
from db.models import Job, Worker
from db.time import elapsed
from tests.embedded import enqueue, move

pytestmark = pytest.mark.usefixtures("database")


def seconds_until_due() -> dict[str, int]:
    with reading() as session:
        return {row.key: round(-row.due) for row in session.execute(select(Job.key, elapsed(Job.due_at).label("due")))}


def correct() -> int:
    with transaction() as session:
        return clock_jumps.correct(session)


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
