"""The service desk's actors on their broker; `dramatiq actors` is the worker command.

Importing this package reads no setting, opens no connection, and loads neither openai nor fastapi nor scikit-learn.
"""

from collections.abc import Sequence
from typing import Any

import dramatiq
from sqlalchemy.orm import Session

from actors.events import enqueue_dead_letter_events
from actors.metrics import create_series
from actors.plain_messages import read_plain
from actors.topology import TOPOLOGY
from aura.jobs.broker import JobBroker
from aura.jobs.program import Program
from db import tickets
from db.jobs import Claimed


def _on_dead(session: Session, dead: Sequence[tuple[Claimed, str]]) -> None:
    enqueue_dead_letter_events(session, broker, dead)


def _key_label(actor: dramatiq.Actor[Any, Any]) -> str:
    return "tickets" if getattr(actor, "load", None) is tickets.load else "keys"


broker = JobBroker(
    Program(
        topology=TOPOLOGY,
        read_plain=read_plain,
        on_dead=_on_dead,
        key_label=_key_label,
        create_series=create_series,
        modules=["pipelines"],
    )
)
dramatiq.set_broker(broker)

# an actor is declared on the broker that is set
from actors import (  # noqa: E402
    attachments,
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
    "TOPOLOGY",
    "attachments",
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
