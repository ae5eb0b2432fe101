"""Relaying: the relay comes with the worker command, as a fork beside RabbitMQ and as a thread when embedded."""

from __future__ import annotations

import threading
from collections.abc import Callable

import structlog
from dramatiq import Broker, Middleware, Worker
from sqlalchemy.exc import SQLAlchemyError

from aura.jobs import process, relay
from aura.jobs.in_process import InProcessBroker
from aura.settings import Settings
from db import hints, jobs, reading, transaction
from db.process_stats import count_live

logger = structlog.get_logger("aura.relaying")

#: Seconds between two looks for a living relay, how many in a row must find none, and how many more at the boot: the relay
#: starts after the workers, and on a busy machine it takes its time.
WATCH_EVERY = 2.0
MISSING_LIMIT = 3
BOOT_LOOKS = 30


class RelayMiddleware(Middleware):
    """Starts and stops the relay with the workers, so that there is no extra process to deploy."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def actor_options(self) -> set[str]:
        return {"batch"}

    @property
    def forks(self) -> list[Callable[[], int]]:
        return [] if self._settings.embedded else [relay.main]

    def after_worker_boot(self, broker: Broker, worker: Worker) -> None:
        if not isinstance(broker, InProcessBroker):
            self._watch()
            return
        with transaction() as session:
            hints.redispatch_lost(session)  # they were in the memory of a process that is gone
        jobs.on_enqueue.append(broker.promised.set)
        self._stop = threading.Event()
        run = relay.Relay(broker, broker, self._settings).run
        self._thread = threading.Thread(target=run, args=(self._stop,), name="relay", daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        """Stop the worker command when no relay lives, for it does not notice that its fork died; supervisors restart it."""
        if process.master() is None:
            return  # not under the worker command: whoever runs this process runs a relay too
        self._stop = threading.Event()
        watch = threading.Thread(target=self._run_watch, args=(self._stop,), name="relay-watch", daemon=True)
        watch.start()

    def _run_watch(self, stop: threading.Event) -> None:
        missing = -BOOT_LOOKS
        while missing < MISSING_LIMIT:
            if stop.wait(WATCH_EVERY):
                return
            try:
                with reading() as session:
                    missing = 0 if count_live(session, "relay", self._settings.worker_dead_after) else missing + 1
            except SQLAlchemyError:
                missing = 0  # the database is away; that says nothing about the relay, and Heartbeat reports it
        logger.critical("no relay lives: the worker command stops, to be started again by its supervisor")
        process.stop()

    def before_worker_shutdown(self, broker: Broker, worker: Worker) -> None:
        self._stop.set()
        if self._thread is not None and isinstance(broker, InProcessBroker):
            jobs.on_enqueue.remove(broker.promised.set)
            broker.promised.set()
            self._thread.join(5)
            self._thread = None
