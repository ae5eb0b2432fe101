"""Processes with a heartbeat, the age of the oldest available job, and the agents."""

from __future__ import annotations

import pytest
from sqlalchemy import insert

from db import jobs, process_stats, reading, transaction
from db.jobs import NewJob
from db.models import Agent, Job, Worker
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


def test_agents_are_listed_by_name():
    with transaction() as session:
        session.add_all([Agent(name="Nora", email="nora@example.com"), Agent(name="Ada", email="ada@example.com")])

    with reading() as session:
        assert [each["name"] for each in process_stats.agents(session)] == ["Ada", "Nora"]
