"""Workers in the database: heartbeats, the jobs of dead workers, quarantine, and jobs that a worker returns."""

from __future__ import annotations

import pytest
from sqlalchemy import select, update

from db import jobs, reading, transaction, workers
from db.jobs import NewJob
from db.models import Worker
from db.time import from_now
from tests.embedded import (
    all_jobs,
    attempts,
    claim,
    count,
    enqueue,
    letters,
    mark_hinted,
    move,
    one_job,
)
from tests.unit.db.failures import FAILURE, due

pytestmark = pytest.mark.usefixtures("database")


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


def test_the_job_of_an_unknown_worker_is_due_again():
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


def test_a_worker_that_leaves_releases_its_jobs_and_deletes_its_row():
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


def test_any_dead_sees_the_jobs_and_the_old_rows_of_dead_workers():
    def any_dead(dead_after: float) -> bool:
        with reading() as session:
            return workers.any_dead(session, dead_after)

    beat("living")
    assert not any_dead(10)
    assert any_dead(-0.001), "an old row"
    enqueue(NewJob("classify", "1"))
    claim("classify", one_job().id, worker="dead")
    assert any_dead(10)
