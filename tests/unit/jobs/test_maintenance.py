"""Maintenance: lost hints, the jobs of dead workers, and the intervals of both."""

from __future__ import annotations

import pytest

from aura import settings
from aura.jobs.maintenance import RECOVER_EVERY, PeriodicTask
from aura.jobs.middleware import heartbeat
from aura.jobs.relay import NAP
from db.jobs import NewJob
from db.models import DatabaseFence, Job
from tests.embedded import all_jobs, attempts, claim, enqueue, mark_hinted, move, one_job, seconds_until_due
from tests.unit.jobs.shelf import Shelf, relay

pytestmark = pytest.mark.usefixtures("database")


def hint(*new_jobs: NewJob) -> None:
    enqueue(*new_jobs)
    mark_hinted()


def is_hinted() -> dict[str, bool]:
    return {job.actor: job.hinted_at is not None for job in all_jobs()}


def test_a_lost_hint_is_dispatched_again_only_when_its_queue_is_empty():
    hint(NewJob("classify", "1"), NewJob("reanalyze", "1"))
    move(Job, hinted_at=-16)

    relay(Shelf(depths={"ai.reanalyze": 1})).maintenance.redispatch_lost_hints()

    assert is_hinted() == {"classify": False, "reanalyze": True}


def test_after_five_minutes_a_hint_is_lost_whatever_its_queue_holds():
    hint(NewJob("classify", "1"))
    shelf = Shelf(depths={"ai.classify": 1000})
    move(Job, hinted_at=-280)
    relay(shelf).maintenance.redispatch_lost_hints()
    assert is_hinted() == {"classify": True}

    move(Job, hinted_at=-301)
    relay(shelf).maintenance.redispatch_lost_hints()

    assert is_hinted() == {"classify": False}


def test_a_young_hint_is_not_lost():
    hint(NewJob("classify", "1"))
    move(Job, hinted_at=-5)

    relay(Shelf()).maintenance.redispatch_lost_hints()

    assert is_hinted() == {"classify": True}


def test_a_job_that_is_claimed_has_no_lost_hint():
    hint(NewJob("classify", "1"))
    move(Job, hinted_at=-16)
    claim("classify", one_job().id)

    relay(Shelf()).maintenance.redispatch_lost_hints()

    assert one_job().hinted_at is not None


def test_the_relay_frees_the_jobs_of_dead_workers():
    enqueue(NewJob("classify", "1"))
    claim("classify", one_job().id, worker="dead")

    relay(Shelf()).maintenance.recover()

    assert one_job().lease is None
    assert [attempt.outcome for attempt in attempts()] == ["crashed"]


def test_the_jobs_of_a_dead_worker_are_due_again_within_fifteen_seconds():
    dead_after = settings.given().worker_dead_after
    assert dead_after + RECOVER_EVERY + NAP <= 15
    assert dead_after >= 5 * heartbeat.EVERY, "one that lives must not look dead"


def test_a_periodic_task_runs_first_at_once_and_then_when_due():
    done: list[int] = []
    task = PeriodicTask(lambda: done.append(1), every=3600)

    task.run_if_due()
    task.run_if_due()

    assert done == [1]


# -- a database clock that goes back ----------------------------------------------------------------------------------


def test_jobs_of_before_the_database_clock_went_back_are_corrected_by_the_next_beat():
    def due() -> bool:
        return seconds_until_due()[0] <= 0

    enqueue(NewJob("classify", "1"))
    move(Job, created_at=600, due_at=600)
    maintenance = relay(Shelf()).maintenance
    maintenance.beat_fence()
    assert not due(), "without a jump, nothing is looked for"

    move(DatabaseFence, beaten_at=600)
    relay(Shelf()).maintenance.beat_fence()  # another one than that of the last beat
    assert due()
