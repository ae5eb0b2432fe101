"""Relaying: the relay comes with the worker command, as a fork beside RabbitMQ and as a thread when embedded."""

from __future__ import annotations

import threading
from collections.abc import Callable

from dramatiq import Broker, Middleware, Worker

from actors import relay
from actors.in_process import InProcessBroker
from db import jobs, transaction
from settings import Settings


class Relaying(Middleware):
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
            return
        with transaction() as session:
            jobs.forget_hints(session)  # they were in the memory of a process that is gone
        jobs.on_promise.append(broker.promised.set)
        self._stop = threading.Event()
        run = relay.Relay(broker, broker, self._settings).run
        self._thread = threading.Thread(target=run, args=(self._stop,), name="relay", daemon=True)
        self._thread.start()

    def before_worker_shutdown(self, broker: Broker, worker: Worker) -> None:
        if self._thread is not None and isinstance(broker, InProcessBroker):
            self._stop.set()
            jobs.on_promise.remove(broker.promised.set)
            broker.promised.set()
            self._thread.join(5)
            self._thread = None
