"""Names of queues: those that are declared, and those that are paused or limited."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any

from sqlalchemy.orm import Session

import actors
from aura.errors import NotFound
from db import queue_controls


class UnknownQueue(NotFound):
    """No queue has this name; the message suggests similar names, or lists all."""


def listing(session: Session) -> list[dict[str, Any]]:
    """Return the number of jobs of each queue by state, with its pause or limit."""
    broker = actors.broker
    queue_of = {name: broker.get_actor(name).queue_name for name in broker.get_declared_actors()}
    return queue_controls.listing(session, queue_of)


def actor_names() -> list[str]:
    """Return the names of the declared actors."""
    return sorted(actors.broker.get_declared_actors())


def check(session: Session, queue: str) -> None:
    """Raise UnknownQueue for an unknown name; a paused or limited queue may not be declared any more."""
    names = sorted({*actors.broker.get_declared_queues(), *queue_controls.current(session)})
    if queue not in names:
        close = get_close_matches(queue, names, cutoff=0.7) or [name for name in names if queue in name]
        hint = f"did you mean {' or '.join(close)}?" if close else f"the queues are {', '.join(names)}"
        raise UnknownQueue(f"queue {queue!r} does not exist: {hint}")
