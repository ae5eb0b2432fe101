"""Prometheus counters and histograms of workers and the relay; gauges of the database are in `aura.web.metrics`.

Processes share their figures through the files of PROMETHEUS_MULTIPROC_DIR, which must be set before Python starts. With
AURA_METRICS_PORT the worker command serves them on that port, for workers on other machines than the web process.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Collection
from pathlib import Path

if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
    # prometheus_client opens files there, and reads the variable at its import
    Path(os.environ["PROMETHEUS_MULTIPROC_DIR"]).mkdir(parents=True, exist_ok=True)

from dramatiq import Broker, Middleware
from prometheus_client import CollectorRegistry, Counter, Histogram, start_http_server
from prometheus_client.multiprocess import MultiProcessCollector

from aura.settings import CHANNELS, Settings, get_settings

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
VERDICTS = Counter(
    "aura_verdicts_total", "Verdicts by engine and source (answered, cached, fallback).", ["engine", "how"]
)
TOKENS = Counter("aura_ai_tokens_total", "Tokens of remote engines, by model and direction.", ["model", "direction"])
COST = Counter("aura_ai_cost_dollars_total", "US dollars spent on remote engines, by model.", ["model"])
NOTIFICATIONS = Counter(
    "aura_notifications_total",
    "Notifications by channel and outcome (sent, in_doubt, settled); failures are in aura_attempts_total.",
    ["channel", "outcome"],
)


#: The values of each label, so that a series exists as 0 before its first event: a rate needs the step from 0 to 1.
OUTCOMES = ("completed", "retried", "dead")
HOW = ("answered", "cached", "fallback")
SENT = ("sent", "in_doubt", "settled")


def begin(actors: Collection[str], settings: Settings) -> None:
    """Create every series that workers and the relay may count, as 0."""
    for actor in actors:
        for outcome in OUTCOMES:
            ATTEMPTS.labels(actor, outcome)
        for each in (SECONDS, WAITED, HINTED, HINT_WAIT, DUPLICATES, LOST_HINTS):
            each.labels(actor)
    for outcome in ("freed", "quarantined"):
        RECOVERED.labels(outcome)
    for engine in ("local", *(["openai"] if settings.openai_api_key else [])):
        for how in HOW:
            VERDICTS.labels(engine, how)
    for direction in ("input", "output"):
        TOKENS.labels(settings.ai_model, direction)
    COST.labels(settings.ai_model)
    for channel in CHANNELS:
        for outcome in SENT:
            NOTIFICATIONS.labels(channel, outcome)


class Metrics(Middleware):
    """Creates the series of a process, and serves those of a worker command on AURA_METRICS_PORT, in a fork."""

    def after_process_boot(self, broker: Broker) -> None:
        begin(broker.get_declared_actors(), get_settings())

    @property
    def forks(self) -> list[Callable[[], int]]:
        return [serve] if get_settings().metrics_port and os.environ.get("PROMETHEUS_MULTIPROC_DIR") else []


def serve() -> int:
    """Serve the figures of every process that shares the folder, until this fork is stopped."""
    registry = CollectorRegistry()
    MultiProcessCollector(registry)
    start_http_server(get_settings().metrics_port or 0, registry=registry)
    threading.Event().wait()
    return 0
