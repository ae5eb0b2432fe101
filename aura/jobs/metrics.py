"""Prometheus counters and histograms of jobs, counted by workers and the relay; gauges of the database are in `aura.web.metrics`.

With AURA_METRICS_PORT the worker command serves the figures of all its processes on that port. They share them through the
files of a folder; PROMETHEUS_MULTIPROC_DIR names another one, which the web process on the same machine can read, too.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, cast

from aura.jobs import metrics_folder

if folder := metrics_folder.choose():
    # prometheus_client opens files there, and reads the variable at its import
    folder.mkdir(parents=True, exist_ok=True)

from dramatiq import Broker, Middleware
from prometheus_client import CollectorRegistry, Counter, Histogram, start_http_server
from prometheus_client.multiprocess import MultiProcessCollector

from aura.settings import get_settings

if TYPE_CHECKING:
    from aura.jobs.broker import JobBroker

#: Seconds, from a healthy step to an incident.
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800)

ATTEMPTS = Counter(
    "aura_attempts_total", "Attempts at jobs, by actor and outcome (completed, retried, dead).", ["actor", "outcome"]
)
SECONDS = Histogram(
    "aura_attempt_seconds",
    "Seconds of an attempt at one hint, from claim to completion, by actor.",
    ["actor"],
    buckets=BUCKETS,
)
WAITED = Histogram(
    "aura_claim_wait_seconds",
    "Seconds from a job's due time until its claim, by actor.",
    ["actor"],
    buckets=BUCKETS,
)
HINTED = Counter("aura_hinted_jobs_total", "Jobs that the relay dispatched, by actor.", ["actor"])
HINT_WAIT = Histogram(
    "aura_hint_wait_seconds",
    "Seconds from the due time of the oldest job of a dispatch until the dispatch, by actor.",
    ["actor"],
    buckets=BUCKETS,
)
DUPLICATES = Counter(
    "aura_duplicate_hints_total",
    "Jobs that a hint named and that could not be claimed: completed, leased or not due.",
    ["actor"],
)
LOST_HINTS = Counter("aura_lost_hints_total", "Jobs whose lost hint was dispatched again, by actor.", ["actor"])
RECOVERED = Counter("aura_recovered_jobs_total", "Jobs of dead workers that were freed or quarantined.", ["outcome"])


#: The values of each label, so that a series exists as 0 before its first event: a rate needs the step from 0 to 1.
OUTCOMES = ("completed", "retried", "dead")


def create_series(actors: Collection[str]) -> None:
    """Create every series of these actors' jobs, as 0."""
    for actor in actors:
        for outcome in OUTCOMES:
            ATTEMPTS.labels(actor, outcome)
        for each in (SECONDS, WAITED, HINTED, HINT_WAIT, DUPLICATES, LOST_HINTS):
            each.labels(actor)
    for outcome in ("freed", "quarantined"):
        RECOVERED.labels(outcome)


class Metrics(Middleware):
    """Creates the series of a process, and serves those of a worker command on AURA_METRICS_PORT, in a fork."""

    def after_process_boot(self, broker: Broker) -> None:
        create_series(broker.get_declared_actors())
        cast("JobBroker", broker).program.create_series()

    @property
    def forks(self) -> list[Callable[[], int]]:
        return [serve] if get_settings().metrics_port else []


def serve() -> int:
    """Serve the figures of every process that shares the folder, until this fork is stopped."""
    metrics_folder.delete_abandoned()
    registry = CollectorRegistry()
    MultiProcessCollector(registry)
    start_http_server(get_settings().metrics_port or 0, registry=registry)
    threading.Event().wait()
    return 0
