"""Runs of scheduled jobs in the database: started once, missed, run by hand, paused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from db import leader_election, reading, schedule_runs, transaction
from db.schedule_runs import MISSED

pytestmark = pytest.mark.usefixtures("database")

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def start(time: datetime, term: int, holder: str = "a") -> bool:
    with transaction() as session:
        return schedule_runs.start_run(session, "retention", time, "scheduler", holder, term, 60)


def lead(holder: str = "a") -> int:
    with transaction() as session:
        term = leader_election.acquire(session, "scheduler", holder, 60)
    assert term is not None
    return term


def test_a_run_starts_once_and_only_under_the_lease():
    term = lead()

    assert [start(NOON, term), start(NOON, term), start(NOON, term + 1), start(NOON + HOUR, term, "b")] == [
        True,
        False,
        False,
        False,
    ]
    with transaction() as session:
        schedule_runs.finish_run(session, "retention", NOON, "7")
    with reading() as session:
        assert schedule_runs.last_run(session, "retention") == NOON
        assert schedule_runs.history(session)["retention"]["note"] == "7"


def test_missed_runs_are_recorded_once_and_are_no_last_run():
    with transaction() as session:
        schedule_runs.record_missed(session, "retention", [], 1)
        schedule_runs.record_missed(session, "retention", [NOON + HOUR, NOON], 1)
        schedule_runs.record_missed(session, "retention", [NOON], 2)

    with transaction() as session:
        assert schedule_runs.missed_runs(session, "retention", 10) == [NOON, NOON + HOUR]
        assert schedule_runs.missed_runs(session, "retention", 1) == [NOON]
        assert schedule_runs.last_run(session, "retention") is None
        assert schedule_runs.history(session) == {"retention": {"last": None, "note": "", "missed": 2}}


def test_a_manual_run_is_in_the_history_and_is_no_run_of_the_schedule():
    with transaction() as session:
        schedule_runs.record_manual_run(session, "retention", NOON, "3")

    with reading() as session:
        assert schedule_runs.history(session)["retention"]["note"] == "3"
        assert schedule_runs.last_run(session, "retention") is None


def test_a_finished_backfill_is_missed_no_more():
    with transaction() as session:
        schedule_runs.record_missed(session, "retention", [NOON], 1)
        schedule_runs.finish_run(session, "retention", NOON, "done later")
        assert schedule_runs.missed_runs(session, "retention", 10) == []
        assert MISSED not in str(schedule_runs.history(session)["retention"]["note"])


def test_a_pause_has_a_reason_until_the_job_is_resumed():
    with transaction() as session:
        schedule_runs.pause(session, "retention", True, "a move")
        schedule_runs.pause(session, "digest", True)
    with reading() as session:
        assert schedule_runs.paused(session) == {"retention": "a move", "digest": ""}
    with transaction() as session:
        schedule_runs.pause(session, "retention", False, "is ignored")
        assert schedule_runs.paused(session) == {"digest": ""}
