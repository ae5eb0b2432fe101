"""The broker of durable actors: consumes from RabbitMQ if RABBITMQ_URL is set, else from queues in this process.

It reads the settings at its first use, so that importing a program's actors reads and opens nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

import structlog
from dramatiq import Broker
from dramatiq.broker import Consumer
from dramatiq.errors import QueueNotFound

from aura.errors import AuraError
from aura.jobs.bulkhead import Bulkhead, Slot
from aura.jobs.in_process import LocalQueues
from aura.jobs.logs import configure_logging
from aura.jobs.middleware import middleware
from aura.jobs.middleware.shutdown import stop_command, worker_command
from aura.jobs.program import Program
from aura.jobs.slots import Slots
from aura.settings import get_settings

if TYPE_CHECKING:
    from aura.jobs.transport import Transport


logger = structlog.get_logger("aura.worker")


class Source(Protocol):
    """Where messages come from."""

    def consume(self, queue: str, prefetch: int, timeout: int, slot: Slot | None) -> Consumer:
        """Return a consumer of the queue."""

    def close(self) -> None:
        """Release every connection."""


class JobBroker(Broker):
    """Dramatiq's broker for the actors of one program. Jobs are enqueued in the database, and the relay publishes hints."""

    def __init__(self, program: Program | None = None) -> None:
        super().__init__(middleware())
        self.program = program or Program()
        self.queues: set[str] = set()
        self.bulkhead = Bulkhead()
        self._slots: dict[Any, Slots] = {}
        self._source: Source | None = None
        self._choosing = threading.Lock()

    def slots(self, key: Any, capacity: Callable[[], int]) -> Slots:
        """Return the slots of the asynchronous actors whose option `concurrency` is this key."""
        return self._slots.setdefault(key, Slots(capacity))

    @property
    def source(self) -> Source:
        """Where messages come from; chosen by the settings at its first use."""
        with self._choosing:
            if self._source is None:
                self._source = self._choose()
            return self._source

    def emit_after(self, signal: str, *args: Any, **kwargs: Any) -> None:
        """Call the hooks of the middleware; first of all, at the boot, prepare the log and check the settings."""
        if signal == "process_boot":
            self._check_settings()
        super().emit_after(signal, *args, **kwargs)

    def _check_settings(self) -> None:
        """Configure the log. In a worker command, invalid settings are one line, and end the process with exit code 2."""
        try:
            configure_logging()
            _ = self.source
        except AuraError as error:
            if worker_command() is None:
                raise
            configure_logging(fallback=True)
            logger.critical("the worker does not start", error=str(error))
            stop_command()  # else Dramatiq's first process adds a line of text
            raise SystemExit(2) from None

    def _choose(self) -> Source:
        settings = get_settings()
        if settings.embedded:
            return LocalQueues()
        from aura.jobs.rabbitmq.connection import parameters
        from aura.jobs.rabbitmq.consumer import RabbitmqSource  # pika is not needed in embedded mode

        parameters(settings)  # a worker without RABBITMQ_URL does not start
        return RabbitmqSource(self, settings)

    @property
    def embedded(self) -> bool:
        """Whether the messages stay in this process."""
        return isinstance(self.source, LocalQueues)

    @property
    def local(self) -> LocalQueues:
        """The queues of embedded mode. Raises TypeError beside RabbitMQ."""
        if not isinstance(self.source, LocalQueues):
            raise TypeError("RABBITMQ_URL is set: messages are in RabbitMQ, not in this process")
        return self.source

    def transport(self) -> Transport:
        """Return a transport for one relay: the queues of this process, or a connection to RabbitMQ of its own."""
        if self.embedded:
            return self.local
        from aura.jobs.rabbitmq.publisher import Publisher

        return Publisher(get_settings(), self.get_declared_queues, self.program.topology)

    def declare_queue(self, queue_name: str, *, ensure: bool = False) -> None:
        """Declare a queue; delays are in the database, so there is no delay queue."""
        if queue_name not in self.queues:
            self.emit_before("declare_queue", queue_name)
            self.queues.add(queue_name)
            self.emit_after("declare_queue", queue_name)

    def get_declared_queues(self) -> set[str]:
        """Return the names of all queues."""
        return set(self.queues)

    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 5000) -> Consumer:
        """Return a consumer; `timeout` in milliseconds. Raises QueueNotFound, and ConnectionClosed without RabbitMQ."""
        if queue_name not in self.queues:
            raise QueueNotFound(queue_name)
        most, slot = self.bulkhead.slot(self, queue_name, prefetch)
        return self.source.consume(queue_name, most, timeout, slot)

    def close(self) -> None:
        """Close every connection; the next use reads the settings again."""
        with self._choosing:
            source, self._source = self._source, None
        if source is not None:
            source.close()
