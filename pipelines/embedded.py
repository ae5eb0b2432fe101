"""Workers, relay and scheduler as threads of one process: for `aura run`, the demo and tests."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from dramatiq import Worker

import actors
from aura.jobs import relay
from aura.settings import get_settings
from pipelines.alerts import AlertWatcher
from pipelines.scheduled_jobs import schedule
from pipelines.scheduler import Scheduler

#: Milliseconds after which an idle thread checks whether it should stop.
IDLE = 200
#: Milliseconds for jobs that run at a stop.
STOP = 20_000


@contextmanager
def running(*, threads: int | None = None, scheduler: bool = True) -> Iterator[None]:
    """Run jobs while the block runs; at its end, complete the running ones and release the rest.

    `scheduler=False` starts no scheduled jobs.
    """
    broker = actors.broker
    _boot_once()
    worker = Worker(broker, worker_threads=threads or get_settings().worker_threads, worker_timeout=IDLE)
    stop = threading.Event()
    helpers: list[Callable[[], None]] = []
    worker.start()
    if not broker.embedded:
        # beside RabbitMQ the relay is a fork of the worker command, which this process is not
        thread = threading.Thread(target=relay.run, args=(broker, stop), name="relay", daemon=True)
        thread.start()
        helpers.append(lambda: thread.join(5))
    if scheduler:
        process = Scheduler(schedule())
        process.start()
        watcher = AlertWatcher(lambda: process.term is not None)
        watcher.start()
        helpers += [watcher.stop, process.stop]
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
    # a program that embeds a worker emits this signal itself, exactly once a process
    if not _booted.is_set():
        _booted.set()
        actors.broker.emit_after("process_boot")
