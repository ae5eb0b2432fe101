"""The scheduled jobs: their schedule from the settings, retention, and runs that a person starts."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from aura.settings import SettingsError
from db import transaction
from pipelines.schedule import ScheduledJob
from pipelines.scheduled_jobs import SCHEDULE, backfill, run_now, schedule
from pipelines.scheduler import Scheduler
from tests.unit.pipelines.test_scheduler import NOON, counting

# -- AURA_SCHEDULES ---------------------------------------------------------------------------------------------------


def written(configure: Callable[..., Any], tmp_path: Path, text: str) -> list[ScheduledJob]:
    (tmp_path / "times.yaml").write_text(text)
    configure(AURA_SCHEDULES=str(tmp_path / "times.yaml"), AURA_TIMEZONE="Europe/Berlin")
    return schedule()


def test_a_file_changes_times_and_zones_and_turns_jobs_off(configure: Callable[..., Any], tmp_path: Path):
    text = "reanalysis: {when: '30 1 * * mon-fri', zone: America/New_York}\nincidents: off\nrecovery: {zone: UTC}\n"

    jobs = {job.name: job for job in written(configure, tmp_path, text)}

    assert list(jobs) == [job.name for job in SCHEDULE]
    assert (jobs["reanalysis"].when, jobs["reanalysis"].zone) == ("30 1 * * mon-fri", "America/New_York")
    assert (jobs["recovery"].when, jobs["recovery"].zone) == ("* * * * *", "UTC")
    assert jobs["retention"].zone == "Europe/Berlin"
    assert [job.name for job in Scheduler(list(jobs.values())).jobs] == [name for name in jobs if name != "incidents"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lunch: {when: '0 12 * * *'}", "there is no job 'lunch'"),
        ("- reanalysis", "must hold lines such as"),
        ("reanalysis: {", "cannot be read"),
    ],
)
def test_an_invalid_file_is_named_in_the_error(configure: Callable[..., Any], tmp_path: Path, text: str, message: str):
    with pytest.raises(SettingsError) as caught:
        written(configure, tmp_path, text)
    assert str(caught.value).startswith(f"AURA_SCHEDULES: {tmp_path}/times.yaml")
    assert message in str(caught.value)


# -- runs that a person starts ----------------------------------------------------------------------------------------


@pytest.mark.usefixtures("database")
def test_a_missed_run_is_backfilled_once(monkeypatch: pytest.MonkeyPatch):
    job, ran = counting("recovery")
    first = Scheduler([job])
    first.tick(NOON)
    first.tick(NOON + timedelta(minutes=1))
    first.stop()
    later = Scheduler([job])
    later.tick(NOON + timedelta(minutes=5))
    later.stop()

    done = []
    for limit in (2, 100, 100):
        with transaction() as session:
            done.append(backfill(session, job, limit))

    assert done == [2, 1, 0]
    assert len(ran) == 5
    assert Scheduler([job]).tick(NOON + timedelta(minutes=5)) == []


@pytest.mark.usefixtures("database")
def test_a_run_by_hand_does_not_replace_the_next_scheduled_run():
    job, ran = counting("recovery")
    scheduler = Scheduler([job])
    scheduler.tick(NOON)

    with transaction() as session:
        assert run_now(session, job) == 1

    assert scheduler.tick(NOON + timedelta(minutes=1)) == ["recovery"]
    assert len(ran) == 2
