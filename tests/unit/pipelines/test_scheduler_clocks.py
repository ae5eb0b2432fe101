"""The scheduler with wrong clocks, and with a schedule that changes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from sqlalchemy import select
from structlog.testing import capture_logs

from db import reading, schedule_runs, transaction
from db.models import LeaderLease, ScheduleRun
from pipelines.schedule import ScheduledJob
from pipelines.scheduler import Scheduler
from tests.conftest import wait_until
from tests.embedded import move
from tests.unit.pipelines.test_scheduler import NOON, counting, runs

pytestmark = pytest.mark.usefixtures("database")

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


def lead(jobs: list[ScheduledJob], *times: datetime) -> Scheduler:
    """Return a scheduler that ticked at these times, and released its lease."""
    scheduler = Scheduler(jobs)
    for at in times:
        scheduler.tick(at)
    scheduler.stop()
    return scheduler


def ran(job: str = "count") -> list[datetime]:
    return [run.scheduled_at for run in runs() if run.job == job and run.note != schedule_runs.MISSED]


def missed(job: str = "count") -> int:
    with reading() as session:
        rows = select(ScheduleRun.id).where(ScheduleRun.job == job, ScheduleRun.note == schedule_runs.MISSED)
        return len(session.scalars(rows).all())


class TestWrongClock:
    def test_runs_go_by_the_clock_of_the_database(self):
        job, _ = counting()
        with reading() as session:
            before = session.execute(select(schedule_runs.now())).scalar_one()

        with time_machine.travel(before + 3 * DAY):
            scheduler = Scheduler([job])
            scheduler.tick()
            scheduler.stop()

        assert scheduler._next["count"] - before <= 2 * MINUTE

    def test_a_wrong_time_for_a_minute_does_not_stop_the_next_leader(self):
        nightly = ScheduledJob("nightly", "0 2 * * *", lambda: 1)
        job, _ = counting()
        # Given a leader that was three days ahead for a minute
        lead([job, nightly], NOON, NOON + 3 * DAY, NOON + 3 * DAY + MINUTE)
        assert missed() > 900
        # When the next one has the right time
        with capture_logs() as logs:
            scheduler = Scheduler([job, nightly])
            scheduler.tick(NOON + 2 * MINUTE)
        # Then the runs go on, in the first minute and on the first night, and no run was missed
        assert [line["event"] for line in logs if line["log_level"] == "warning"] == [
            "runs deleted that are in the future: a clock was wrong"
        ]
        assert scheduler.tick(NOON + 3 * MINUTE) == ["count"]
        assert missed() == 0
        assert scheduler.tick(datetime(2026, 6, 2, 2, 0, tzinfo=UTC)) == ["count", "nightly"]

    def test_a_database_clock_that_goes_back_does_not_stop_the_leader(self):
        job, _ = counting()
        scheduler = Scheduler([job])
        scheduler.tick(NOON)
        for minutes in range(1, 11):
            scheduler.tick(NOON + minutes * MINUTE)
        with capture_logs() as logs:
            scheduler.tick(NOON)

        assert logs[0]["event"] == "clock of the database went back"
        assert [scheduler.tick(NOON + minutes * MINUTE) for minutes in (1, 2, 3)] == [[], ["count"], ["count"]]

    def test_a_clock_that_goes_back_by_a_second_repeats_no_run(self):
        job, count = counting()
        scheduler = lead([job], NOON, NOON + MINUTE)
        later = Scheduler([job])

        for seconds in (59, 59.5, 60, 60.5, 61):
            later.tick(NOON + timedelta(seconds=seconds) - timedelta(seconds=31))

        assert count == [1]
        assert scheduler.term == 1

    def test_a_lease_from_before_the_clock_went_back_is_expired(self):
        job, _ = counting()
        dead = Scheduler([job])
        dead.tick(NOON)
        move(LeaderLease, expires_at=600)

        later = Scheduler([job])
        later.tick(NOON)

        assert later.term == 2


@pytest.fixture
def started() -> Iterator[Scheduler]:
    scheduler = Scheduler([counting()[0]])
    scheduler.start()
    wait_until(lambda: scheduler.term, message="the scheduler does not lead")
    yield scheduler
    scheduler.stop()


def test_ticks_go_on_when_the_clock_of_the_machine_goes_back(started: Scheduler):
    # Given APScheduler, which waits until the time that the clock had before it went back
    before = started._last
    started._scheduler.get_job("tick").modify(next_run_time=datetime.now(UTC) + 3 * DAY)

    wait_until(lambda: started._last and before and started._last > before + timedelta(seconds=2), 15, "no tick")


class TestChangedSchedule:
    def test_a_change_makes_no_missed_runs(self):
        nightly = ScheduledJob("count", "0 2 * * *", lambda: 1)
        lead([nightly], NOON, NOON + DAY)
        often = ScheduledJob("count", "*/5 * * * *", lambda: 1)

        later = Scheduler([often])
        later.tick(NOON + DAY + 600 * MINUTE)
        later.tick(NOON + DAY + 605 * MINUTE)

        assert missed() == 0
        assert ran() == [datetime(2026, 6, 2, 2, tzinfo=UTC), datetime(2026, 6, 2, 22, 5, tzinfo=UTC)]

    def test_another_zone_is_a_change(self):
        lead([ScheduledJob("count", "0 * * * *", lambda: 1)], NOON, NOON + 60 * MINUTE)

        lead([ScheduledJob("count", "0 * * * *", lambda: 1, "Asia/Tokyo")], NOON + DAY)

        assert (missed(), len(ran())) == (0, 1)

    def test_a_job_that_was_off_missed_no_runs(self):
        job, _ = counting()
        lead([job], NOON, NOON + MINUTE)
        lead([ScheduledJob("count", "off", job.run)], NOON + 2 * MINUTE)

        later = Scheduler([job])
        later.tick(NOON + DAY)
        assert later.tick(NOON + DAY + MINUTE) == ["count"]

        assert missed() == 0

    def test_a_pause_without_a_scheduler_missed_no_runs(self):
        job, _ = counting()
        lead([job], NOON, NOON + MINUTE)
        with transaction() as session:
            schedule_runs.pause(session, "count", True)
            schedule_runs.pause(session, "count", False)
            resumed = session.execute(select(schedule_runs.now())).scalar_one()

        later = Scheduler([job])
        later.tick(resumed + MINUTE / 2)
        later.tick(resumed + 3 * MINUTE)

        assert missed() <= 2

    def test_an_unchanged_schedule_keeps_its_missed_runs(self):
        job, _ = counting()
        lead([job], NOON, NOON + MINUTE)
        lead([job], NOON + 5 * MINUTE)

        assert missed() == 3

    def test_runs_of_a_version_that_stored_no_schedule_are_missed(self):
        job, _ = counting()
        lead([job], NOON, NOON + MINUTE)
        with transaction() as session:
            session.execute(schedule_runs.update(schedule_runs.ScheduleControl).values(schedule=None))

        lead([job], NOON + 5 * MINUTE)

        assert missed() == 3
