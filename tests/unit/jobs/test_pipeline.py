"""Pipelines: the order of their steps, and the jobs that they enqueue."""

from __future__ import annotations

import pytest

from actors.intake import intake
from aura.jobs.pipeline import Pipeline
from pipelines.triage import triage
from tests.embedded import (
    all_jobs,
    enqueue,
    one_job,
)

pytestmark = pytest.mark.usefixtures("database")


def test_enqueueing_no_job_is_no_error():
    enqueue()
    triage.send_many([])

    assert all_jobs() == []


def test_a_pipeline_has_at_least_one_step_and_says_its_order():
    with pytest.raises(ValueError, match="at least one step"):
        Pipeline("empty")

    assert repr(triage) == "Pipeline('triage': intake -> classify -> notify)"


def test_a_pipeline_of_one_step_enqueues_nothing_after_it():
    Pipeline("short", intake).send(3)

    assert one_job().next_steps == []
