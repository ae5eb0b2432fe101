"""Heartbeat: a thread that updates the row of a worker or a relay at regular intervals."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from aura.settings import first_line
from db import workers

logger = structlog.get_logger("aura.heartbeat")

#: Seconds that a stop waits for a beat that has begun; one that ends later would insert the row again that the process deletes.
LAST_BEAT_SECONDS = 5.0


def beat(session: Session, process: str, kind: str, problem: str = "") -> workers.Beat:
    """Update the row of a worker or relay."""
    return workers.beat(session, process, f"{socket.gethostname()}:{os.getpid()}", kind, problem)


class HeartbeatThread:
    """Calls a function at once and every so many seconds until it is stopped, whatever the function raises.

    In a thread of its own: a broker or a job that hangs may hold up the others for longer than a heartbeat may take.
    """

    def __init__(self, beat: Callable[[], None], every: float, name: str) -> None:
        self._beat, self._every = beat, every
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Beat once in the calling thread, and then in a thread of its own."""
        self._try()
        self._thread.start()

    def stop(self) -> None:
        """Stop, and wait for the last beat, but not without end: the database may hang."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(LAST_BEAT_SECONDS)

    def _run(self) -> None:
        while not self._stop.wait(self._every):
            self._try()

    def _try(self) -> None:
        try:
            self._beat()
        except Exception as error:
            # the next beat must come: the jobs of a worker that looks dead are given to others
            expected = isinstance(error, SQLAlchemyError)
            logger.warning("heartbeat failed", error=first_line(error), exc_info=None if expected else error)
