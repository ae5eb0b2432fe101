"""`aura schedules`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from pipelines import scheduled_jobs
from pipelines.scheduler import Scheduler
from tests.commands import Run
from tests.unit.pipelines.test_scheduler import NOON, counting

pytestmark = pytest.mark.usefixtures("sqlite")


def test_the_list_shows_time_zone_and_the_next_run_of_each_job(run: Run, configure: Callable[..., Any], tmp_path: Path):
    (tmp_path / "times.yaml").write_text("incidents: off\n")
    configure(AURA_SCHEDULES=str(tmp_path / "times.yaml"), AURA_TIMEZONE="Europe/Berlin")

    rows = {row["job"]: row for row in run("schedules", "list", "--format", "json").json()}

    assert list(rows) == [
        *("reanalysis", "reanalyze-changed", "reclassify", "recovery"),
        *("sla", "incidents", "metric-samples", "retention", "footers", "secrets"),
    ]
    assert (rows["retention"]["zone"], rows["retention"]["paused"], rows["retention"]["missed"]) == (
        "Europe/Berlin",
        False,
        0,
    )
    assert rows["retention"]["next"]
    assert (rows["incidents"]["when"], rows["incidents"]["next"]) == ("off", None)


def test_a_missing_schedule_file_is_a_configuration_error(run: Run, configure: Callable[..., Any]):
    configure(AURA_SCHEDULES="nowhere.yaml")
    result = run("schedules", "list")
    assert (result.code, result.out) == (2, "")
    assert "AURA_SCHEDULES: nowhere.yaml cannot be read" in result.err


def test_a_job_is_paused_with_a_reason_and_resumed(run: Run):
    assert run("schedules", "pause", "recovery", "--reason", "maintenance").out == "recovery paused\n"
    assert "maintenance" in run("schedules", "list").out
    assert run("schedules", "resume", "recovery").out == "recovery resumed\n"
    assert "maintenance" not in run("schedules", "list").out


def test_missed_runs_are_counted_and_backfilled(run: Run, monkeypatch: pytest.MonkeyPatch):
    job, _ = counting("recovery")
    monkeypatch.setattr(scheduled_jobs, "SCHEDULE", [job])
    first = Scheduler([job])
    for minutes in (0, 1):
        first.tick(NOON + timedelta(minutes=minutes))
    first.stop()
    second = Scheduler([job])
    second.tick(NOON + timedelta(minutes=5))
    second.stop()
    assert run("schedules", "list", "--format", "json").json()[0]["missed"] == 3

    assert run("schedules", "backfill", "recovery", "--limit", "2", "--format", "json").json()["runs"] == 2
    assert run("schedules", "backfill", "recovery").out == "recovery: 1 missed runs completed\n"


def test_a_job_is_run_now(run: Run, monkeypatch: pytest.MonkeyPatch):
    job, ran = counting("recovery")
    monkeypatch.setattr(scheduled_jobs, "SCHEDULE", [job])

    assert run("schedules", "run", "recovery").out == "recovery: 1 done\n"

    assert ran == [1]
    [row] = run("schedules", "list", "--format", "json").json()
    assert row["last"]


@pytest.mark.parametrize("command", ["run", "pause", "resume", "backfill"])
def test_an_unknown_job_is_answered_with_the_names(run: Run, command: str):
    result = run("schedules", command, "lunch")
    assert result.code == 1
    assert "there are reanalysis, reanalyze-changed, reclassify, recovery" in result.err
