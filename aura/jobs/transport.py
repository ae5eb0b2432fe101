"""Interface between the relay and a broker: publish, wait, count and drain; `Publisher` and `LocalQueues` implement it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from aura.errors import Unavailable


class PublishFailed(Unavailable):
    """The broker did not confirm every message of a batch.

    With `routing_keys`, the messages with these keys failed, and the others are confirmed; without, none of the batch counts
    as published.
    """

    def __init__(self, message: str, routing_keys: Collection[str] = ()) -> None:
        super().__init__(message)
        self.routing_keys = frozenset(routing_keys)


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message to publish. If `mandatory`, publishing fails unless it reaches a queue."""

    exchange: str
    routing_key: str
    body: bytes
    priority: int = 0
    mandatory: bool = True
    content_type: str = "application/json"
    message_id: str | None = None


#: Stores a message of a dead-letter queue: (queue, body, reason).
StoreDeadLetter = Callable[[str, bytes, str], None]


class Transport(Protocol):
    """The operations of a broker that the relay uses."""

    @property
    def problems(self) -> Mapping[str, str]:
        """What could not be declared on the broker: the reason by object."""

    def open(self) -> None:
        """See that messages can be published: connect if there is no connection. Raises PublishFailed."""

    def publish(self, batch: Sequence[Outgoing]) -> None:
        """Publish the batch and wait for every confirm. Raises PublishFailed."""

    def wait(self, seconds: float, woken: Callable[[], bool]) -> None:
        """Wait until `woken()` is true, a job is enqueued or the seconds have passed. Raises PublishFailed."""

    def depths(self, queues: Sequence[str]) -> dict[str, int]:
        """Return the number of messages that wait in each queue that answers. Raises PublishFailed."""

    def drain(self, queues: Sequence[str], store: StoreDeadLetter) -> int:
        """Pass the messages of the queues' dead-letter queues to `store`; return their number. Raises PublishFailed."""

    def close(self) -> None:
        """Release the connection; the next use opens another one."""
