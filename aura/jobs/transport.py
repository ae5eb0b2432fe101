"""Where messages go on their way out: RabbitMQ, or a queue in this process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from aura.errors import Unavailable


class PublishFailed(Unavailable):
    """The broker did not take the batch in full; none of it may be counted as published."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message on its way to a queue or, not `mandatory`, to whoever is bound."""

    exchange: str
    routing_key: str
    body: bytes
    priority: int = 0
    mandatory: bool = True
    content_type: str = "application/json"
    message_id: str | None = None


class Transport(Protocol):
    """What the relay needs of a broker."""

    def publish(self, batch: Sequence[Outgoing]) -> None: ...
    def wait(self, seconds: float, woken: Callable[[], bool]) -> None: ...
    def depths(self, queues: Sequence[str]) -> dict[str, int]: ...
    def drain(self, queues: Sequence[str], keep: Callable[[str, bytes, str], None]) -> int: ...
    def close(self) -> None: ...
