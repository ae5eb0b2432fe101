"""Runs the relay of the worker command, as a fork with RabbitMQ or as a thread in embedded mode, and watches the fork."""

from __future__ import annotations

import threading
from collections.abc import Callable
from importlib import import_module
from typing import Any

import structlog
from dramatiq import Middleware, Worker
from dramatiq.middleware import MiddlewareError
from sqlalchemy.exc import SQLAlchemyError

from aura.errors import ConfigurationError
from aura.jobs import process_state, relay
from aura.jobs.middleware.shutdown import stop_command, worker_command
from aura.settings import get_settings
from db import hints, reading, transaction, workers
from db.database import refuse_wrong_pooler
from db.process_stats import count_live

logger = structlog.get_logger("aura.relay")

#: Seconds between two checks for a living relay, how many in a row must find none, and how many more at the boot: the relay
#: starts after all workers, and on a busy machine that takes a minute. Dramatiq waits for --worker-fork-timeout when one of them
#: dies meanwhile, and starts no relay when all take longer.
WATCH_EVERY = 2.0
MISSING_LIMIT = 3
BOOT_CHECKS = 60
#: While a relay lives, the checks are so many times as far apart.
SELDOM = 3


class RelayMiddleware(Middleware):
    """Starts and stops the relay with the workers, so that there is no further process to deploy."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def actor_options(self) -> set[str]:
        return {"batch", "bulkhead", "background"}

    @property
    def forks(self) -> list[Callable[[], int]]:
        return [] if get_settings().embedded else [relay.main]

    def before_worker_boot(self, broker: Any, worker: Worker) -> None:
        """Import the modules of the program that construct its pipelines, and refuse a pooler in the wrong mode."""
        try:
            for module in broker.program.modules:
                import_module(module)
        except ImportError as error:
            raise MiddlewareError(f"a module of the program cannot be imported: {error}") from error
        try:
            refuse_wrong_pooler()
        except ConfigurationError as error:
            logger.critical("the worker does not start", error=str(error))
            raise MiddlewareError(str(error)) from None

    def after_worker_boot(self, broker: Any, worker: Worker) -> None:
        self._stop = threading.Event()
        if broker.embedded:
            with transaction() as session:
                hints.redispatch_lost(session)  # they were in the memory of a process that ended
            process_state.on_enqueue.append(broker.local.enqueued.set)
            self._start(relay.Relay(broker, broker.local).run)
        elif worker_command() is not None:  # a process that embeds workers runs its own relay
            self._start(self._watch)

    def _start(self, run: Callable[[threading.Event], None]) -> None:
        self._thread = threading.Thread(target=run, args=(self._stop,), name="relay", daemon=True)
        self._thread.start()

    def _watch(self, stop: threading.Event) -> None:
        """Stop the worker command when no relay is running: it does not notice that its fork died. Supervisors restart it."""
        missing, dead_after = -BOOT_CHECKS, get_settings().worker_dead_after
        while missing < MISSING_LIMIT:
            if stop.wait(WATCH_EVERY if missing else WATCH_EVERY * SELDOM):
                return
            try:
                with reading() as session:
                    if count_live(session, "relay", dead_after):
                        missing = 0
                        continue
                    # if this worker's own heartbeat is not written either, the database says nothing about the relay
                    known = workers.is_alive(session, process_state.WORKER_ID, dead_after / 2)
                missing = missing + 1 if known else min(missing, 0)
            except SQLAlchemyError:
                missing = 0  # the database is away, which says nothing about the relay; Heartbeat logs it
        logger.critical("no relay is running: the worker command stops, so that its supervisor restarts it")
        stop_command()

    def before_worker_shutdown(self, broker: Any, worker: Worker) -> None:
        self._stop.set()
        if self._thread is not None and broker.embedded:
            process_state.on_enqueue.remove(broker.local.enqueued.set)
            broker.local.enqueued.set()
            self._thread.join(5)
        self._thread = None
