"""Everything in one process with real threads: the embedded mode, and a time limit that really strikes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select

from aura.jobs.process_state import WORKER_ID
from db import reading, tickets, transaction
from db.models import Job, Ticket, Worker
from db.new_tickets import NewTicket
from db.process_stats import count_live
from pipelines.embedded import running
from pipelines.triage import triage
from tests.conftest import wait_until
from tests.embedded import all_jobs, attempts, count, letters, move

pytestmark = pytest.mark.usefixtures("embedded")


def accept(number: int) -> None:
    with transaction() as session:
        submission = NewTicket(title=f"Laptop {number} does not start", requester=f"user{number}@example.com")
        triage.send_many(tickets.create(session, "test", [(submission, {})]))


def all_notified(number: int) -> bool:
    with reading() as session:
        stages = session.scalars(select(Ticket.stage)).all()
    return stages == ["notified"] * number and not all_jobs()


def test_tickets_pass_every_step_while_others_come_in():
    with running():
        for number in range(40):
            accept(number)
        wait_until(lambda: all_notified(40), timeout=120, message="every ticket is notified")
        with reading() as session:
            assert [count_live(session, kind, 10) for kind in ("worker", "relay")] == [1, 1]

    assert letters() == []
    assert {attempt.worker for attempt in attempts()} == {WORKER_ID}
    assert count(Worker) == 0, "they signed off"


def test_jobs_left_by_a_stop_are_completed_after_the_next_start():
    with running(scheduler=False, threads=1):
        for number in range(60):
            accept(number)
    assert {job.lease for job in all_jobs()} <= {None}

    with running(scheduler=False):
        wait_until(lambda: all_notified(60), timeout=120, message="every ticket is notified")

    assert {attempt.outcome for attempt in attempts()} == {"completed"}


def test_an_attempt_that_takes_too_long_is_interrupted_and_tried_again(declare: Callable[..., Any]):
    runs: list[int] = []

    def endless(items: list[Any]) -> list[str]:
        runs.append(1)
        while len(runs) < 2:
            sum(range(1000))
        return ["done" for _ in items]

    actor = declare(endless, time_limit=50)
    with running(scheduler=False):
        actor.send(1)
        [retried] = wait_until(lambda: attempts("retried"), timeout=60, message="the limit strikes")
        assert retried.error == "TimeLimitExceeded"
        actor.options["time_limit"] = 60_000
        move(Job, due_at=-1)
        wait_until(lambda: not all_jobs(), timeout=60, message="it is tried again")

    assert [attempt.outcome for attempt in attempts()] == ["retried", "completed"]
    assert letters() == []
