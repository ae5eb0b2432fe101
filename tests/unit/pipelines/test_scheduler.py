"""The scheduler: each run starts once, however many schedulers are running."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from db import leader_election, reading, schedule_runs, transaction
from db.jobs import NewJob
from db.models import Job, LeaderLease, ScheduleRun
from pipelines import scheduler as scheduler_module
from pipelines.schedule import ScheduledJob
from pipelines.scheduled_jobs import schedule
from pipelines.scheduler import LEASE, Scheduler
from tests.conftest import wait_until
from tests.embedded import count, enqueue, move

NOON = datetime(2026, 6, 1, 12, 0, 30, tzinfo=UTC)


# -- daylight saving time ---------------------------------------------------------------------------------------------

ZONE = "Europe/Berlin"


@pytest.mark.usefixtures("sqlite")
def test_a_job_in_the_hour_that_occurs_twice_runs_once():
    autumn = datetime(2026, 10, 24, 12, tzinfo=UTC)
    ran: list[int] = []
    scheduler = Scheduler([ScheduledJob("nightly", "30 2 * * *", lambda: len(ran.append(1) or []), ZONE)])
    scheduler.tick(autumn)

    for minutes in range(0, 24 * 60, 10):
        scheduler.tick(autumn + timedelta(minutes=minutes, seconds=5))

    assert ran == [1]


@pytest.mark.usefixtures("sqlite")
@pytest.mark.parametrize(
    ("stopped", "started", "nightly", "hourly"),
    [
        # 01:30 to 05:30 local time, three hours: 02:30 does not exist, and its run an hour later was missed
        ("2026-03-29T00:30:30+00:00", "2026-03-29T03:30:30+00:00", ["2026-03-29T01:30:00+00:00"], 3),
        # 02:15 to 04:15 local time, three hours: the first 02:30 was missed, the second is no run
        ("2026-10-25T00:15:30+00:00", "2026-10-25T03:15:30+00:00", ["2026-10-25T00:30:00+00:00"], 3),
    ],
    ids=["forward", "back"],
)
def test_a_stop_of_three_hours_at_a_change_of_daylight_saving_time(
    stopped: str, started: str, nightly: list[str], hourly: int
):
    before, after = datetime.fromisoformat(stopped), datetime.fromisoformat(started)
    jobs = [
        ScheduledJob("nightly", "30 2 * * *", lambda: 1, ZONE),
        ScheduledJob("hourly", "20 * * * *", lambda: 1, ZONE),
    ]
    # Given a scheduler that started every run of the day before
    scheduler = Scheduler(jobs)
    scheduler.tick(before - timedelta(days=1))
    scheduler.tick(before)
    scheduler.stop()
    known = {run.id for run in runs()}
    # When it is stopped for three hours and another one starts
    later = Scheduler(jobs)
    later.tick(after)
    later.tick(after + timedelta(seconds=1))
    # Then the latest run of each job starts, and the earlier ones are stored as missed
    new = [run for run in runs() if run.id not in known]
    assert [run.scheduled_at.isoformat() for run in new if run.job == "nightly"] == nightly
    hourly_runs = [run.scheduled_at for run in new if run.job == "hourly"]
    assert len(set(hourly_runs)) == len(hourly_runs) == hourly
    assert sum(run.note == schedule_runs.MISSED for run in new if run.job == "hourly") == hourly - 1
    assert max(
        new, key=lambda run: (run.job == "hourly", run.note != schedule_runs.MISSED, run.scheduled_at)
    ).note.startswith("1 done")


# -- leading ----------------------------------------------------------------------------------------------------------


def runs() -> list[ScheduleRun]:
    with reading() as session:
        return list(session.scalars(select(ScheduleRun).order_by(ScheduleRun.id)))


def counting(name: str = "count", when: str = "* * * * *") -> tuple[ScheduledJob, list[int]]:
    """Return a job that counts its runs in the database, as jobs, and in a list."""
    ran: list[int] = []

    def run() -> int:
        enqueue(NewJob("classify", str(count(Job) + 1)))
        ran.append(1)
        return 1

    return ScheduledJob(name, when, run), ran


def expire_lease() -> None:
    """Let the leader lease expire, as if the leader were suspended."""
    move(LeaderLease, expires_at=-1)


@pytest.mark.usefixtures("database")
class TestLeading:
    def test_two_schedulers_start_a_run_once(self):
        job, ran = counting()
        first, second = Scheduler([job]), Scheduler([job])

        for seconds in range(0, 150, 15):
            second.tick(NOON + timedelta(seconds=seconds))
            first.tick(NOON + timedelta(seconds=seconds))

        assert len(ran) == 2
        assert [run.scheduled_at.minute for run in runs()] == [1, 2]
        assert all(run.note == "1 done" and run.finished_at for run in runs())
        assert (first.term, second.term) == (None, 1)

    def test_another_scheduler_leads_at_once_after_a_stop(self):
        job, _ = counting()
        first, second = Scheduler([job]), Scheduler([job])
        first.tick(NOON)
        assert second.tick(NOON) == []

        first.stop()
        second.tick(NOON)

        assert second.term == 2

    def test_the_next_leader_repeats_no_run_and_starts_missed_ones(self):
        job, ran = counting()
        first, second = Scheduler([job]), Scheduler([job])
        first.tick(NOON)
        assert first.tick(NOON + timedelta(minutes=1)) == ["count"]

        first.stop()
        assert second.tick(NOON + timedelta(minutes=1)) == []
        first = Scheduler([job])
        second.stop()
        assert first.tick(NOON + timedelta(minutes=2)) == ["count"]
        assert len(ran) == 2

    def a_suspended_leader_writes_nothing(self) -> None:
        # Given a leader before a run
        job, _ = counting()
        suspended, other = Scheduler([job]), Scheduler([job])
        suspended.tick(NOON)
        # When it is suspended past its lease and another one leads
        expire_lease()
        other.tick(NOON)
        assert other.term == 2
        # Then it changes nothing when it continues its tick
        assert not suspended._run(job, NOON + timedelta(minutes=1))
        assert (runs(), count(Job)) == ([], 0)
        # and the new leader starts the run
        assert other.tick(NOON + timedelta(minutes=1)) == ["count"]

    def test_a_suspended_leader_writes_nothing(self):
        self.a_suspended_leader_writes_nothing()

    def test_without_the_fence_a_suspended_leader_writes(self, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr(schedule_runs, "start_run", lambda *_: True)

        with pytest.raises(AssertionError):
            self.a_suspended_leader_writes_nothing()

    def test_a_leader_with_an_expired_lease_leads_again_in_a_new_term(self):
        job, _ = counting()
        scheduler = Scheduler([job])
        scheduler.tick(NOON)
        expire_lease()

        assert not scheduler._run(job, NOON + timedelta(minutes=1))
        scheduler.tick(NOON)
        assert scheduler.term == 2

    def test_a_job_that_outlasts_the_lease_keeps_it(self):
        def takes_long() -> int:
            expire_lease()
            return 1

        job, _ = counting()
        scheduler = Scheduler([ScheduledJob("slow", "* * * * *", takes_long), job])
        scheduler.tick(NOON)

        assert scheduler.tick(NOON + timedelta(minutes=1)) == ["slow", "count"]
        assert scheduler.tick(NOON + timedelta(minutes=1, seconds=1)) == []
        assert scheduler.term == 1

    def test_a_started_run_never_starts_again(self):
        job, ran = counting()
        scheduler = Scheduler([job])
        scheduler.tick(NOON)
        scheduler.tick(NOON + timedelta(minutes=1))
        scheduler._next["count"] = runs()[0].scheduled_at

        assert scheduler.tick(NOON + timedelta(minutes=1)) == []
        assert ran == [1]


@pytest.mark.usefixtures("database")
class TestRuns:
    def test_a_new_job_waits_for_its_first_run(self):
        job, ran = counting()

        assert Scheduler([job]).tick(NOON) == []
        assert ran == []

    def test_the_latest_missed_run_starts_once(self):
        job, ran = counting()
        scheduler = Scheduler([job])
        scheduler.tick(NOON)
        scheduler.tick(NOON + timedelta(minutes=1))
        scheduler.stop()

        later = Scheduler([job])
        assert later.tick(NOON + timedelta(minutes=30)) == ["count"]
        assert later.tick(NOON + timedelta(minutes=30, seconds=20)) == []

        assert len(ran) == 2
        assert [(run.scheduled_at.minute, run.note) for run in runs() if run.note != schedule_runs.MISSED] == [
            (1, "1 done"),
            (30, "1 done, 28 missed"),
        ]
        assert sum(run.note == schedule_runs.MISSED for run in runs()) == 28

    def test_a_failed_job_stores_its_error_only_and_others_run(self):
        def fail() -> int:
            enqueue(NewJob("classify", "half done"))
            raise RuntimeError("the job is broken")

        job, ran = counting()
        scheduler = Scheduler([ScheduledJob("broken", "* * * * *", fail), job])
        scheduler.tick(NOON)

        assert scheduler.tick(NOON + timedelta(minutes=1)) == ["count"]
        assert scheduler.tick(NOON + timedelta(minutes=2)) == ["count"]

        assert len(ran) == 2
        assert {run.note for run in runs() if run.job == "broken"} == {"failed: the job is broken"}
        assert [run.note for run in runs() if run.job == "count"] == ["1 done", "1 done"]
        assert count(Job) == 2

    def test_the_jobs_of_a_run_and_its_row_are_one_transaction(self, monkeypatch: pytest.MonkeyPatch):
        job, _ = counting()
        scheduler = Scheduler([job])
        scheduler.tick(NOON)

        def away(*_: Any) -> None:
            raise OperationalError("UPDATE schedule_runs", {}, Exception("gone"))

        monkeypatch.setattr(schedule_runs, "finish_run", away)

        assert scheduler.tick(NOON + timedelta(minutes=1)) == []
        assert (runs(), count(Job)) == ([], 0)

    def test_a_scheduler_survives_an_unavailable_database(self, monkeypatch: pytest.MonkeyPatch):
        job, _ = counting()
        scheduler = Scheduler([job])

        def away(*_: Any) -> None:
            raise OperationalError("UPDATE leader_leases", {}, Exception("gone"))

        with monkeypatch.context() as broken:
            broken.setattr(leader_election, "acquire", away)
            broken.setattr(leader_election, "release", away)
            assert scheduler.tick(NOON) == []
            scheduler.stop()
        scheduler.tick(NOON)
        assert scheduler.tick(NOON + timedelta(minutes=1)) == ["count"]

    def test_the_schedule_runs_on_an_empty_database(self):
        scheduler = Scheduler(schedule())
        scheduler.tick(NOON)

        assert scheduler.tick(NOON + timedelta(days=1)) == [job.name for job in schedule()]

    def test_a_started_scheduler_ticks_until_it_is_stopped(self):
        scheduler = Scheduler([counting()[0]])
        scheduler.start()
        try:
            wait_until(lambda: scheduler.term, 60, "the scheduler does not lead")
        finally:
            scheduler.stop()  # or it would lead in the next tests

        with transaction() as session:
            assert leader_election.acquire(session, LEASE, "another", 15) == 2


@pytest.mark.usefixtures("database")
def test_runs_of_a_paused_job_are_skipped():
    job, ran = counting("recovery")
    scheduler = Scheduler([job])
    scheduler.tick(NOON)
    with transaction() as session:
        schedule_runs.pause(session, "recovery", True)
    assert scheduler.tick(NOON + timedelta(minutes=10)) == []

    with transaction() as session:
        schedule_runs.pause(session, "recovery", False)
    assert scheduler.tick(NOON + timedelta(minutes=10, seconds=20)) == []
    assert scheduler.tick(NOON + timedelta(minutes=11)) == ["recovery"]
    assert len(ran) == 1
    assert [row.note for row in runs()] == ["1 done"]


# -- ticks that are due -----------------------------------------------------------------------------------------------


def ticks(scheduler: Scheduler, monkeypatch: pytest.MonkeyPatch, seconds: int) -> list[int]:
    """Return the seconds in which the scheduler ticks."""
    found: list[int] = []
    tick, clock = scheduler.tick, [time.monotonic()]
    for second in range(seconds):
        with monkeypatch.context() as patched:
            patched.setattr(scheduler_module.time, "monotonic", lambda: clock[0])
            patched.setattr(scheduler, "tick", lambda: found.append(second) or tick())  # noqa: B023
            scheduler.tick_if_due()
        clock[0] += 1
    return found


@pytest.mark.usefixtures("sqlite")
def test_a_leader_without_a_due_run_renews_its_lease_after_a_third_of_it(monkeypatch: pytest.MonkeyPatch):
    assert scheduler_module.LEASE_SECONDS == 15
    leader, other = (Scheduler([ScheduledJob("yearly", "0 0 1 1 *", lambda: 1)]) for _ in range(2))

    assert ticks(leader, monkeypatch, 12) == [0, 5, 10]
    assert ticks(other, monkeypatch, 3) == [0, 1, 2], "a scheduler that does not lead"


@pytest.mark.usefixtures("sqlite")
def test_a_leader_ticks_in_the_second_in_which_a_run_is_due(monkeypatch: pytest.MonkeyPatch):
    leader = Scheduler([ScheduledJob("yearly", "0 0 1 1 *", lambda: 1)])
    leader.tick()
    assert leader._last is not None
    leader._next["yearly"] = leader._last + timedelta(seconds=2.5)

    assert ticks(leader, monkeypatch, 5)[0] == 3
