"""Everything in one process: workers, relay and clock as threads, for `aura run`, the demo and tests."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from dramatiq import Worker

import actors
from aura.jobs.in_process import InProcessBroker
from aura.jobs.notifier import Notifier
from aura.jobs.rabbitmq.publisher import Publisher
from aura.jobs.relay import Relay
from aura.settings import get_settings
from pipelines.scheduled_jobs import schedule
from pipelines.scheduler import Scheduler

#: Milliseconds after which an idle thread looks whether it should stop.
IDLE = 200
#: Milliseconds that work in progress may take to finish at a stop.
STOP = 20_000


@contextmanager
def running(*, threads: int | None = None, clock: bool = True) -> Iterator[None]:
    """Work on jobs while the block runs; at its end, finish what was started and hand back the rest."""
    settings = get_settings()
    broker = actors.broker
    _boot_once()
    worker = Worker(broker, worker_threads=threads or settings.worker_threads, worker_timeout=IDLE)
    stop = threading.Event()
    helpers: list[Callable[[], None]] = []
    worker.start()
    if not isinstance(broker, InProcessBroker):
        # beside RabbitMQ the relay is a fork of the worker command, which this process is not
        publisher = Publisher(settings, lambda: sorted(broker.get_declared_queues()))
        relay = Relay(broker, publisher, settings)
        thread = threading.Thread(target=relay.run, args=(stop, Notifier(publisher).woken), name="relay", daemon=True)
        thread.start()
        helpers.append(lambda: thread.join(5))
    if clock:
        timekeeper = Scheduler(schedule())
        timekeeper.start()
        helpers.append(timekeeper.stop)
    try:
        yield
    finally:
        stop.set()
        for finish in helpers:
            finish()
        worker.stop(timeout=STOP)
        broker.close()


_booted = threading.Event()


def _boot_once() -> None:
    # who embeds a worker must tell the middleware so, exactly once a process
    if not _booted.is_set():
        _booted.set()
        actors.broker.emit_after("process_boot")
