"""Publishing to RabbitMQ: the relay's transport, over one connection with pipelined confirms.

The connection opens at the first use, and again after an error. Its thread may not be shared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from aura.jobs.rabbitmq import admin
from aura.jobs.rabbitmq.confirms import ConfirmConnection
from aura.jobs.rabbitmq.topology import Topology
from aura.jobs.transport import Outgoing, PublishFailed, StoreDeadLetter
from aura.settings import Settings

#: Seconds to wait for the confirms of one batch.
CONFIRM_SECONDS = 15.0


class Publisher:
    """Publishes batches: one failed message fails its batch, which the caller publishes again."""

    def __init__(self, settings: Settings, queues: Callable[[], Iterable[str]], topology: Topology) -> None:
        self._settings, self._queues, self._topology = settings, queues, topology
        self._connection: ConfirmConnection | None = None
        self._watched: dict[int, Callable[[], None]] = {}

    def _open(self) -> ConfirmConnection:
        if self._connection is None:
            admin.declare(self._settings, self._queues(), self._topology)
            self._connection = ConfirmConnection(self._settings, self._watched)
        return self._connection

    def publish(self, batch: Sequence[Outgoing]) -> None:
        """Publish the batch and wait for every confirm. Raises PublishFailed; then none of it counts."""
        connection = self._open()
        try:
            for message in batch:
                connection.publish(message)
                if connection.error:
                    break
            connection.wait_for_confirms(CONFIRM_SECONDS)
        except PublishFailed:
            self.close()
            raise

    def wait(self, seconds: float, woken: Callable[[], bool]) -> None:
        """Serve heartbeats until `woken()` is true or the seconds have passed. Raises PublishFailed."""
        connection = self._open()
        connection.drive(woken, seconds)
        if error := connection.error:
            self.close()
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
        """Return the number of ready messages in each queue. Raises PublishFailed."""
        try:
            return admin.depths(self._settings, queues)
        except admin.Away:
            self.close()  # the next connection declares queues that are gone
            raise

    def drain(self, queues: Sequence[str], store: StoreDeadLetter) -> int:
        """Pass the messages of the dead-letter queues to `store`; return their number. Raises PublishFailed."""
        try:
            return admin.drain(self._settings, queues, store)
        except admin.Away:
            self.close()
            raise

    def close(self) -> None:
        """Close the connection; the next use opens another one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
