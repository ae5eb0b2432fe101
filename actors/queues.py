"""The queues by their names: those that are declared, and those that are held back."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any

from sqlalchemy.orm import Session

import actors
from aura.errors import NotFound
from db import queue_controls


class UnknownQueue(NotFound):
    """There is no such queue; the text names those like it, or all there are."""


def listing(session: Session) -> list[dict[str, Any]]:
    """Return how many jobs of each queue are due, hinted, running or due later, and what holds them back."""
    broker = actors.broker
    queue_of = {name: broker.get_actor(name).queue_name for name in broker.get_declared_actors()}
    return queue_controls.listing(session, queue_of)


def check(session: Session, queue: str) -> None:
    """Raise UnknownQueue unless there is such a queue; one that is held back may be none of ours any more."""
    names = sorted({*actors.broker.get_declared_queues(), *queue_controls.current(session)})
    if queue not in names:
        close = get_close_matches(queue, names, cutoff=0.7) or [name for name in names if queue in name]
        hint = f"did you mean {' or '.join(close)}?" if close else f"there are {', '.join(names)}"
        raise UnknownQueue(f"there is no queue {queue!r}: {hint}")
