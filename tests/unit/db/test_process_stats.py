"""Processes with a heartbeat, the age of the oldest available job, and the agents."""

from __future__ import annotations

import pytest
from sqlalchemy import insert

from db import jobs, process_stats, reading, transaction, workers
from db.jobs import NewJob
from db.models import Agent, Attempt, Job, Worker
from db.time import from_now

pytestmark = pytest.mark.usefixtures("database")


def add_worker(worker: str, kind: str, seconds_ago: float) -> None:
    with transaction() as session:
        session.execute(insert(Worker).values(id=worker, kind=kind, name=worker, heartbeat_at=from_now(-seconds_ago)))


def test_processes_with_a_fresh_heartbeat_are_alive():
    add_worker("w1", "worker", 1)
    add_worker("w2", "worker", 60)
    add_worker("r1", "relay", 1)

    with reading() as session:
        assert [process_stats.count_live(session, kind, 15) for kind in ("worker", "relay", "web")] == [1, 1, 0]
        assert {each["id"]: each["alive"] for each in process_stats.processes(session, 15)} == {
            "w1": True, "w2": False, "r1": True,
        }  # fmt: skip


def test_a_process_is_listed_with_up_to_ten_of_its_running_jobs():
    add_worker("w1", "worker", 1)
    with transaction() as session:
        jobs.enqueue(session, [NewJob("classify", str(number)) for number in range(12)])
        session.execute(Job.__table__.update().values(lease="lease", worker="w1"))

    with reading() as session:
        [process] = process_stats.processes(session, 15)
        assert process_stats.job_count(session) == 12
    assert process["running"] == 12
    ids = [each["id"] for each in process["jobs"]]
    assert len(ids) == 10
    assert ids == sorted(ids)


def test_the_oldest_available_job_is_neither_scheduled_nor_queued():
    with transaction() as session:
        jobs.enqueue(session, [NewJob("classify", "1", delay=3600.0)])
    with reading() as session:
        assert process_stats.oldest_due_seconds(session) == 0.0
    with transaction() as session:
        session.execute(Job.__table__.update().values(due_at=from_now(-60)))
    with reading() as session:
        assert process_stats.oldest_due_seconds(session) == pytest.approx(60, abs=10)


def test_the_problems_of_living_processes_are_named_once():
    with transaction() as session:
        for worker, problem in (("a", "relay: blocked"), ("b", "relay: blocked"), ("c", ""), ("d", "x" * 999)):
            workers.beat(session, worker, worker, "relay", problem)
    add_worker("old", "relay", 60)
    with transaction() as session:
        session.execute(Worker.__table__.update().where(Worker.id == "old").values(problem="long over"))

    with reading() as session:
        assert process_stats.problems(session, 15) == ["relay: blocked", "x" * workers.MOST_PROBLEM]
    with transaction() as session:
        for worker in "abd":
            workers.beat(session, worker, worker, "relay")
    with reading() as session:
        assert process_stats.problems(session, 15) == []


def test_work_is_stalled_when_a_job_waits_and_none_is_processed():
    def stalled() -> float:
        with reading() as session:
            return process_stats.stalled_seconds(session, 60)

    assert stalled() == 0.0
    with transaction() as session:
        jobs.enqueue(session, [NewJob("classify", "1"), NewJob("classify", "2")])
        session.execute(Job.__table__.update().values(due_at=from_now(-600), hinted_at=from_now(-500)))
    assert stalled() == pytest.approx(600, abs=30), "with a hint as well"

    values = {"job_id": 1, "actor": "a", "key": "k", "number": 1, "worker": "w", "outcome": "completed", "seconds": 1.0}
    with transaction() as session:
        session.execute(insert(Attempt).values(**values, created_at=from_now(-100)))
    assert stalled() > 0
    with transaction() as session:
        session.execute(insert(Attempt).values(**values, created_at=from_now(-10)))
    assert stalled() == 0.0, "a backlog is worked off"

    with transaction() as session:
        session.execute(Attempt.__table__.delete())
        session.execute(Job.__table__.update().where(Job.key == "2").values(lease="l", worker="w"))
    assert stalled() == 0.0, "a job runs"


def test_agents_are_listed_by_name():
    with transaction() as session:
        session.add_all([Agent(name="Nora", email="nora@example.com"), Agent(name="Ada", email="ada@example.com")])

    with reading() as session:
        assert [each["name"] for each in process_stats.agents(session)] == ["Ada", "Nora"]
