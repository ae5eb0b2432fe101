"""The heartbeat: a row in `workers` for each boot of a process, fresh while it lives; leases are good as long.

A worker that somebody asked to drain reads so here, and ends its command in order: `aura workers drain`.

The same thread hands back leases that no thread of this process works under any more, which is what remains when the
database was away at the moment an attempt ended; and it interrupts an attempt whose every job was cancelled.
"""

from __future__ import annotations

import os
import socket
import threading

import structlog
from dramatiq import Broker, Middleware, Worker
from sqlalchemy.exc import SQLAlchemyError

from aura.jobs import attempt as attempts
from aura.jobs import process
from aura.jobs.attempt import WORKER_ID
from aura.settings import first_line
from db import transaction, workers

logger = structlog.get_logger("aura.heartbeat")

#: Seconds between two heartbeats; AURA_WORKER_DEAD_AFTER must leave room for several.
EVERY = 1.0


class Heartbeat(Middleware):
    """Keeps the worker's row fresh from its boot to its shutdown."""

    def __init__(self) -> None:
        self._stop = threading.Event()

    def before_worker_boot(self, broker: Broker, worker: Worker) -> None:
        self._stop = threading.Event()
        # before the first claim, or the lease of an unknown worker is taken for a dead one's; when a worker has booted,
        # its threads and the relay run already
        beat()
        threading.Thread(target=self._run, args=(self._stop,), name="heartbeat", daemon=True).start()

    def after_worker_shutdown(self, broker: Broker, worker: Worker) -> None:
        self._stop.set()
        try:
            with transaction() as session:
                workers.leave(session, WORKER_ID)
        except SQLAlchemyError as error:
            logger.warning("could not hand back: the jobs are due when the heartbeat is old", error=first_line(error))

    def _run(self, stop: threading.Event) -> None:
        while not stop.wait(EVERY):
            if beat():
                logger.warning("asked to drain: what is held is finished, nothing new is taken")
                process.stop()
                break
        while not stop.wait(EVERY):  # it lives until it has finished
            beat()


def beat() -> bool:
    """Record that this process lives, hand back what it holds without working on it, and stop what was cancelled.

    Returns whether the process is asked to drain.
    """
    drains = False
    try:
        at_work = attempts.at_work()
        with transaction() as session:
            drains = workers.beat(session, WORKER_ID, f"{socket.gethostname()}:{os.getpid()}")
            held = workers.leases_of(session, WORKER_ID)
            if count := workers.hand_back(session, WORKER_ID, attempts.running):
                logger.warning("handed back what an interrupted attempt left", jobs=count)
        if count := attempts.interrupt_lost(at_work, held):
            logger.warning("interrupted what was cancelled", attempts=count)
    except Exception as error:
        # whatever it is, the next beat must come: a worker that looks dead loses its jobs to others
        expected = isinstance(error, SQLAlchemyError)
        logger.warning("no heartbeat", error=first_line(error), exc_info=None if expected else error)
    return drains
