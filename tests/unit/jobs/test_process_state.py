"""State of a process: what a reset forgets, and what stays."""

from __future__ import annotations

from typing import Any

from aura.jobs import process_state
from aura.jobs.pipeline import Pipeline


def test_a_reset_forgets_attempts_and_callbacks_and_keeps_the_worker_id_and_the_pipelines(monkeypatch: Any):
    step: Any = type("Step", (), {"actor_name": "step"})()
    monkeypatch.setattr(process_state, "pipelines", {})
    pipeline = Pipeline("steps", step)
    worker_id = process_state.WORKER_ID
    process_state.worker = step
    process_state.attempts["lease"] = None
    process_state.local_jobs["lease"] = []
    process_state.on_enqueue.append(print)

    process_state.reset()

    assert (process_state.worker, process_state.attempts, process_state.local_jobs) == (None, {}, {})
    assert process_state.on_enqueue == []
    assert (process_state.WORKER_ID, process_state.pipelines) == (worker_id, {"steps": pipeline})
