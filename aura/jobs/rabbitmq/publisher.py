"""Publishing to RabbitMQ: the relay's transport, over one connection with pipelined confirms and one for administration.

The connections open at the first use, and again after an error, then to another host if there are several. A message to no
queue shows first whether RabbitMQ takes messages at all: an alarm of memory or disk lets a connection open and blocks it.
Its thread may not be shared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import structlog

from aura.jobs.rabbitmq.admin import Admin, Away
from aura.jobs.rabbitmq.confirms import ConfirmConnection
from aura.jobs.rabbitmq.connection import note_failure, open_any, parameters
from aura.jobs.rabbitmq.topology import Topology
from aura.jobs.transport import Outgoing, PublishFailed, StoreDeadLetter
from aura.settings import Settings

logger = structlog.get_logger("aura.rabbitmq")

#: Seconds to wait for the next confirm: of the only host, and of one of several, where another one may be better.
CONFIRM_SECONDS, CONFIRM_SECONDS_EACH = 15.0, 5.0
#: A message that reaches no queue; RabbitMQ confirms it and drops it.
PROBE = Outgoing("", "aura.probe", b"", mandatory=False)


class Publisher:
    """Publishes batches; the caller publishes messages again that were not confirmed."""

    def __init__(self, settings: Settings, queues: Callable[[], Iterable[str]], topology: Topology) -> None:
        self._settings, self._queues, self._topology = settings, queues, topology
        self._connection: ConfirmConnection | None = None
        self._admin = Admin(settings)
        self._confirm_seconds = CONFIRM_SECONDS
        self._watched: dict[int, Callable[[], None]] = {}
        self._problems: dict[str, str] = {}

    @property
    def problems(self) -> dict[str, str]:
        """The declarations that failed the last time: the reason by object."""
        return self._problems

    def open(self) -> None:
        """Connect if there is no connection, declare everything, and see that a message is confirmed. Raises PublishFailed."""
        self._open()

    def _open(self) -> ConfirmConnection:
        if self._connection is None:
            self._declare()
            self._confirm_seconds = CONFIRM_SECONDS if len(parameters(self._settings)) == 1 else CONFIRM_SECONDS_EACH
            self._connection = open_any(self._settings, lambda params: ConfirmConnection(params, self._watched))
            self.publish([PROBE])
        return self._connection

    def _declare(self) -> None:
        failures = self._admin.declare(self._queues(), self._topology)
        for name, reason in failures.items():
            if self._problems.get(name) != reason:
                logger.warning("declaration failed", object=name, error=reason)
        self._problems = failures

    def publish(self, batch: Sequence[Outgoing]) -> None:
        """Publish the batch and wait for every confirm. Raises PublishFailed."""
        connection = self._open()
        try:
            for message in batch:
                connection.publish(message)
                if connection.error:
                    break
            connection.wait_for_confirms(self._confirm_seconds)
            if connection.error:
                raise PublishFailed(connection.error)
        except PublishFailed:
            self._failed(connection)
            raise

    def _failed(self, connection: ConfirmConnection) -> None:
        note_failure(connection.parameters)
        self.close()

    def wait(self, seconds: float, woken: Callable[[], bool]) -> None:
        """Serve heartbeats until `woken()` is true or the seconds have passed. Raises PublishFailed."""
        connection = self._open()
        self._admin.serve()
        connection.drive(woken, seconds)
        if error := connection.error:
            self._failed(connection)
            raise PublishFailed(error)

    def watch(self, fileno: int, readable: Callable[[], None]) -> None:
        """Call back when the file descriptor becomes readable during a wait, across reconnects."""
        self._watched[fileno] = readable
        if self._connection is not None:
            self._connection.watch(fileno, readable)

    def unwatch(self, fileno: int, error: str) -> None:
        """Forget a file descriptor that was closed; the present wait fails, for its loop cannot go on."""
        self._watched.pop(fileno, None)
        if self._connection is not None:
            self._connection.fail(error)

    def depths(self, queues: Sequence[str]) -> dict[str, int]:
        """Return the number of ready messages in each queue that answers. Raises PublishFailed."""
        try:
            return self._admin.depths(queues)
        except Away:
            self.close()  # the next connection declares queues that are gone
            raise

    def drain(self, queues: Sequence[str], store: StoreDeadLetter) -> int:
        """Pass the messages of the dead-letter queues to `store`; return their number. Raises PublishFailed."""
        try:
            return self._admin.drain(queues, store)
        except Away:
            self.close()
            raise

    def close(self) -> None:
        """Close the connections; the next use opens others."""
        connection, self._connection = self._connection, None
        self._admin.close()
        if connection is not None:
            connection.close()
