"""Two schedulers on PostgreSQL, one of which is stopped in the middle of a slot and wakes up after its term.

`make test` shortens the lease, and wakes it up soon; `make chaos` takes the lease of production and stops it for a minute.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import pairwise

import pytest
from sqlalchemy import func, select, text

from db import reading
from db.models import LeaderLease, MetricSample, ScheduleRun
from tests.conftest import ROOT, wait_until

#: Seconds that a lease lasts, and that a scheduler is stopped at least.
LEASE = float(os.environ.get("CHAOS_SCHEDULER_LEASE", "6"))
STOPPED = float(os.environ.get("CHAOS_SCHEDULER_STOPPED", "0"))
#: A scheduler whose lease lasts as long as the test says, and whose minutes last one, with work that takes a while in each slot.
PROGRAM = """
import os, time
from datetime import UTC, datetime, timedelta
from sqlalchemy import insert, text
from db import transaction
from db.models import MetricSample
from pipelines import scheduler
from pipelines.schedule import ScheduledJob
scheduler.LEASE_SECONDS = float(os.environ["LEASE"])
start, real = datetime(2026, 6, 1, tzinfo=UTC), float(os.environ["START"])

def work():
    with transaction() as session:
        session.execute(insert(MetricSample).values(name=str(os.getpid()), at=datetime.now(UTC), value=1))
        session.execute(text("SELECT pg_sleep(0.1)"))
        time.sleep(0.2)
    return 1

leader = scheduler.Scheduler([ScheduledJob("work", "* * * * *", work)])
while True:
    leader.tick(start + timedelta(minutes=time.time() - real))
    time.sleep(0.05)
"""


@pytest.fixture
def schedulers(postgres: str) -> Iterator[list[subprocess.Popen[bytes]]]:
    with reading() as session:
        start = session.scalar(text("SELECT extract(epoch FROM clock_timestamp())"))
    env = {**os.environ, "DATABASE_URL": postgres, "START": str(start), "LEASE": str(LEASE), "PYTHONPATH": str(ROOT)}
    started = [subprocess.Popen([sys.executable, "-c", PROGRAM], env=env) for _ in range(2)]
    yield started
    for each in started:
        each.kill()
        each.wait()


def runs() -> list[ScheduleRun]:
    with reading() as session:
        return list(session.scalars(select(ScheduleRun).order_by(ScheduleRun.scheduled_at)))


def in_a_slot() -> bool:
    """Return whether a scheduler is in the middle of a slot, between two statements."""
    with reading() as session:
        sleeping = (
            "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction' AND query LIKE '%pg_sleep%'"
        )
        return bool(session.scalar(text(sleeping)))


def leads() -> LeaderLease | None:
    with reading() as session:
        return session.scalars(select(LeaderLease)).one_or_none()


def test_a_scheduler_that_is_stopped_in_a_run_writes_nothing_when_it_continues(
    schedulers: list[subprocess.Popen[bytes]],
):
    # Given two schedulers, of which one leads
    wait_until(lambda: len(runs()) >= 2, 120, "no slot ran")  # a busy machine starts a process slowly
    with reading() as session:
        leader = int(session.scalars(select(MetricSample.name).limit(1)).one())
    # When it is stopped while a slot of its runs
    wait_until(in_a_slot, 60, "no slot runs")
    os.kill(leader, signal.SIGSTOP)
    stopped = time.monotonic()
    before = len(runs())
    # Then the other one leads in a new term, and runs the slots
    wait_until(
        lambda: (found := leads()) is not None and found.term == 2, 60 + 2 * LEASE, "the other one does not lead"
    )
    wait_until(lambda: sum(run.term == 2 for run in runs()) >= 2, 60, "the other one runs no slot")
    wait_until(lambda: time.monotonic() - stopped >= STOPPED, 1 + STOPPED)
    # And the one that was stopped writes nothing more when it goes on
    with reading() as session:
        mine = select(func.count()).where(MetricSample.name == str(leader))
        written = session.scalar(mine)
    os.kill(leader, signal.SIGCONT)
    more = len(runs()) + 3
    wait_until(lambda: len(runs()) >= more, 60, "no further slot")
    assert [each.poll() for each in schedulers] == [None, None]
    with reading() as session:
        assert session.scalar(mine) == written
    found = runs()
    assert sum(run.term == 1 for run in found) <= before + 1
    assert {run.term for run in found} == {1, 2}
    # And every slot is there once, in the order of the terms; of those that were missed the last one ran
    slots = [run.scheduled_at for run in found]
    assert len(set(slots)) == len(slots)
    assert all((after - earlier).total_seconds() == 60 for earlier, after in pairwise(slots))
    assert [run.term for run in found] == sorted(run.term for run in found)
