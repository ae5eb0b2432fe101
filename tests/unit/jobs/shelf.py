"""A transport for tests that keeps what the relay publishes."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from typing import Any

import actors
from aura import settings
from aura.jobs.relay import Relay
from aura.jobs.transport import Outgoing, PublishFailed


class Shelf:
    """A transport that keeps published hints, or fails a number of times."""

    def __init__(self, failures: int = 0, depths: dict[str, int] | None = None) -> None:
        self.published: list[Outgoing] = []
        self.failures = failures
        self.queue_depths = depths or {}
        self.waits = 0
        self.closed = False

    @property
    def problems(self) -> dict[str, str]:
        return {}

    def open(self) -> None: ...

    def publish(self, batch: Sequence[Outgoing]) -> None:
        if self.failures:
            self.failures -= 1
            raise PublishFailed("RabbitMQ refused a message")
        self.published += batch

    def wait(self, seconds: float, woken: Callable[[], bool]) -> None:
        self.waits += 1
        threading.Event().wait(0.01)

    def depths(self, queues: Sequence[str]) -> dict[str, int]:
        return {queue: self.queue_depths.get(queue, 0) for queue in queues}

    def close(self) -> None:
        self.closed = True

    def hints(self) -> list[tuple[str, int, list[int]]]:
        """Return what was hinted as (actor, priority, job ids)."""
        read = [(json.loads(message.body), message.priority) for message in self.published]
        return [(body["actor_name"], priority, body["args"][0]) for body, priority in read]


def relay(transport: Shelf, **values: Any) -> Relay:
    chosen = settings.get_settings()
    return Relay(actors.broker, transport, chosen.model_copy(update=values))
