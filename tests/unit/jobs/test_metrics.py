"""Metrics of jobs: every series exists as 0 before its first event."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import prometheus_client

from aura.jobs import metrics


def test_every_series_of_an_actor_exists_before_its_first_job():
    metrics.create_series(["never_run"])

    page = prometheus_client.generate_latest().decode()
    for outcome in ("completed", "retried", "dead"):
        assert f'aura_attempts_total{{actor="never_run",outcome="{outcome}"}} 0.0' in page
    for name in ("hinted_jobs_total", "duplicate_hints_total", "lost_hints_total", "attempt_seconds_count"):
        assert f'aura_{name}{{actor="never_run"}} 0.0' in page
    for name in ("claim_wait_seconds_count", "hint_wait_seconds_count"):
        assert f'aura_{name}{{actor="never_run"}} 0.0' in page
    for outcome in ("freed", "quarantined"):  # these may have been counted meanwhile
        assert f'aura_recovered_jobs_total{{outcome="{outcome}"}} ' in page


def test_the_port_of_the_metrics_is_served_by_a_fork(configure: Callable[..., Any]):
    middleware = metrics.Metrics()
    configure(AURA_METRICS_PORT="9100")
    assert middleware.forks == [metrics.serve]


def test_without_a_port_nothing_is_served():
    assert metrics.Metrics().forks == []
