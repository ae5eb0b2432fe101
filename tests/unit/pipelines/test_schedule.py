"""Next runs of scheduled jobs, also when daylight saving time begins and ends."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from aura.settings import SettingsError
from pipelines.schedule import ScheduledJob, with_overrides
from pipelines.scheduled_jobs import SCHEDULE


def runs(when: str, start: datetime, hours: float) -> list[datetime]:
    """Return the runs in Berlin within so many hours of the start; each must be later than the one before."""
    job = ScheduledJob("test", when, lambda: 0, "Europe/Berlin")
    found, at = [], start
    while (run := job.next_run(at)) <= start + timedelta(hours=hours):
        assert run > at, f"{when} does not advance after {run}"
        found.append(run)
        at = run
    return found


SPRING = datetime(2026, 3, 28, 12, tzinfo=UTC)  # at 02:00 on the 29th local time becomes 03:00
AUTUMN = datetime(2026, 10, 24, 12, tzinfo=UTC)  # at 03:00 on the 25th local time becomes 02:00


class TestDaylightSavingTime:
    def test_a_time_that_occurs_twice_runs_at_its_first_occurrence(self):
        assert runs("30 2 * * *", AUTUMN, 48) == [
            datetime(2026, 10, 25, 0, 30, tzinfo=UTC),
            datetime(2026, 10, 26, 1, 30, tzinfo=UTC),
        ]

    def test_a_time_that_does_not_exist_runs_an_hour_later(self):
        assert runs("30 2 * * *", SPRING, 48) == [
            datetime(2026, 3, 29, 1, 30, tzinfo=UTC),
            datetime(2026, 3, 30, 0, 30, tzinfo=UTC),
        ]

    @pytest.mark.parametrize("day", [SPRING, AUTUMN])
    def test_an_hourly_job_and_a_job_of_every_minute_run_in_each(self, day: datetime):
        assert len(runs("* * * * *", day, 24)) == 24 * 60
        assert len(runs("15 * * * *", day, 24)) == 24

    @pytest.mark.parametrize("job", SCHEDULE, ids=lambda job: job.name)
    @pytest.mark.parametrize("day", [SPRING, AUTUMN])
    def test_every_scheduled_job_has_a_next_run(self, day: datetime, job: ScheduledJob):
        assert runs(job.when, day, 36)

    def test_a_time_outside_the_change_is_not_shifted(self):
        assert runs("0 3 * * *", AUTUMN, 24) == [datetime(2026, 10, 25, 2, 0, tzinfo=UTC)]
        assert runs("*/30 2 * * *", AUTUMN, 24) == [datetime(2026, 10, 25, 0, minute, tzinfo=UTC) for minute in (0, 30)]


# -- overrides --------------------------------------------------------------------------------------------------------

JOBS = [ScheduledJob("reanalysis", "0 2 * * *", lambda: 0), ScheduledJob("recovery", "* * * * *", lambda: 0)]


def test_overrides_change_time_and_zone_and_turn_jobs_off():
    other = {"when": "30 1 * * mon-fri", "zone": "America/New_York"}

    reanalysis, recovery = with_overrides(JOBS, {"reanalysis": other, "recovery": False}, "test")

    assert reanalysis.next_run(SPRING) == datetime(2026, 3, 30, 5, 30, tzinfo=UTC)
    assert recovery.off
    assert with_overrides(JOBS, {}, "test") == JOBS


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"lunch": {"when": "0 12 * * *"}}, "there is no job 'lunch'; there are reanalysis, recovery"),
        (
            {"reanalysis": {"when": "0 25 * * *"}},
            "reanalysis: '0 25 * * *' is not a crontab expression, or never occurs; use five fields",
        ),
        (
            {"reanalysis": {"when": "0 0 30 2 *"}},
            "reanalysis: '0 0 30 2 *' is not a crontab expression, or never occurs",
        ),
        ({"reanalysis": {"when": 5}}, "reanalysis: 5 is not a crontab expression, or never occurs"),
        ({"reanalysis": {"zone": "Europe/Atlantis"}}, "reanalysis: there is no time zone 'Europe/Atlantis'; use one"),
        ({"reanalysis": {"zone": "../../etc/passwd"}}, "reanalysis: "),
        ({"reanalysis": {"zone": 5}}, "reanalysis: "),
        ({"reanalysis": {"at": "noon"}}, "reanalysis: must be off, or such as {when:"),
        ({"reanalysis": True}, "reanalysis: must be off, or such as {when:"),
    ],
)
def test_an_invalid_override_names_the_job_and_the_fix(overrides: dict[str, object], message: str):
    with pytest.raises(SettingsError) as caught:
        with_overrides(JOBS, overrides, "times.yaml")
    assert str(caught.value).startswith(f"times.yaml: {message}")
