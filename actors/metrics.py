"""Prometheus counters of the service desk: verdicts, tokens and costs of AI engines, notifications.

The counters of jobs are in `aura.jobs.metrics`, the gauges of the database in `aura.web.metrics`.
"""

from __future__ import annotations

from aura.jobs import metrics_folder

if folder := metrics_folder.choose():
    # prometheus_client opens files there, and reads the variable at its import
    folder.mkdir(parents=True, exist_ok=True)

from prometheus_client import Counter

from aura.settings import CHANNELS, get_settings

VERDICTS = Counter(
    "aura_verdicts_total", "Verdicts by engine and source (answered, cached, fallback).", ["engine", "how"]
)
TOKENS = Counter("aura_ai_tokens_total", "Tokens of remote engines, by model and direction.", ["model", "direction"])
COST = Counter("aura_ai_cost_dollars_total", "Cost of remote engines in US dollars, by model.", ["model"])
NOTIFICATIONS = Counter(
    "aura_notifications_total",
    "Notifications by channel and outcome (sent, in_doubt, settled); failures are in aura_attempts_total.",
    ["channel", "outcome"],
)


def create_series() -> None:
    """Create every series as 0, so that it exists before its first event: a rate needs the step from 0 to 1."""
    settings = get_settings()
    for engine in ("local", *(["openai"] if settings.openai_api_key else [])):
        for how in ("answered", "cached", "fallback"):
            VERDICTS.labels(engine, how)
    for direction in ("input", "output"):
        TOKENS.labels(settings.ai_model, direction)
    COST.labels(settings.ai_model)
    for channel in CHANNELS:
        for outcome in ("sent", "in_doubt", "settled"):
            NOTIFICATIONS.labels(channel, outcome)
