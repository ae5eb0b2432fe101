"""What surrounds the work just now, as every page needs it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from sqlalchemy.orm import Session

import actors
from aura.jobs.actor import DurableActor
from aura.settings import get_settings
from db import diagnosis
from db.diagnosis import Snapshot


@lru_cache(maxsize=1)
def queue_of() -> Mapping[str, str]:
    """Return the queue of each durable actor."""
    declared = actors.broker.actors.items()
    return {name: actor.queue_name for name, actor in declared if isinstance(actor, DurableActor)}


def look(session: Session) -> Snapshot:
    """Return what decides whether anything runs."""
    settings = get_settings()
    return diagnosis.snapshot(session, queue_of(), settings.worker_dead_after, settings.max_in_flight)
