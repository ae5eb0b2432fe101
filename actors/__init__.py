"""Importing this package sets the broker, its middleware and every actor; `dramatiq actors` is the worker command.

It opens no connection, and loads neither openai nor fastapi nor scikit-learn.
"""

import dramatiq

from aura.jobs.broker import make_broker
from aura.settings import get_settings

broker = make_broker(get_settings())
dramatiq.set_broker(broker)

# an actor is declared on the broker that is set
from actors import (  # noqa: E402
    batch_analysis,
    classify,
    deliver,
    digest,
    intake,
    notify,
    reanalyze,
    retention,
    sla_checks,
)

__all__ = [
    "batch_analysis",
    "broker",
    "classify",
    "deliver",
    "digest",
    "intake",
    "notify",
    "reanalyze",
    "retention",
    "sla_checks",
]
