"""What operators have set for the queues, as this process saw it at most half a second ago."""

from __future__ import annotations

import time
from typing import ClassVar

from sqlalchemy.orm import Session

from db import queue_controls as controls
from db.queue_controls import Control

#: Seconds that a look at the table is good for.
FRESH = 0.5


class _Seen:
    at = float("-inf")
    bind: object = None
    controls: ClassVar[dict[str, Control]] = {}


def of(session: Session, queue: str) -> Control:
    """Return what holds the queue back."""
    return _look(session).get(queue) or Control(queue)


def blocked(session: Session) -> frozenset[str]:
    """Return the queues that are paused or limited, of which no worker takes jobs on its own."""
    return frozenset(queue for queue, control in _look(session).items() if control.paused or control.limit is not None)


def current(session: Session) -> dict[str, Control]:
    """Return what holds each queue back; a queue that is missing here is free."""
    return _look(session)


def _look(session: Session) -> dict[str, Control]:
    bind = session.get_bind()
    if bind is not _Seen.bind or time.monotonic() - _Seen.at > FRESH:
        _Seen.controls, _Seen.bind = controls.current(session), bind
        _Seen.at = time.monotonic()
    return _Seen.controls
