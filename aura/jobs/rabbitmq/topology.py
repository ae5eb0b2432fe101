"""Topology: names and declares the exchanges, queues and bindings on RabbitMQ.

A program names its exchanges and the route of each queue (see `aura.jobs.program`). Each queue is durable, has priorities
and a dead-letter queue (`.XQ`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

#: RabbitMQ keeps one list per priority and queue; 0 to 9 is what a job can have.
MAX_PRIORITY = 9
#: Milliseconds a message stays in a dead-letter queue; the reason and the job are in the dead_letters table.
DEAD_MESSAGE_TTL = 7 * 86_400_000


@dataclass(frozen=True, slots=True)
class Route:
    """The exchange and routing key that lead to a queue; the default exchange "" routes by the queue's name."""

    exchange: str
    routing_key: str


def default_route(queue: str) -> Route:
    """Return the route over the default exchange, to which every queue is bound."""
    return Route("", queue)


@dataclass(frozen=True, slots=True)
class Topology:
    """The exchanges of a program: topic exchanges, durable."""

    exchanges: tuple[str, ...] = ()
    #: How other programs publish to a queue.
    route: Callable[[str], Route] = default_route
    #: The exchange on which events are published; None publishes none.
    events: str | None = None
    #: The roles of other programs, each with the one exchange to which it publishes.
    publishers: Mapping[str, str] = field(default_factory=dict)

    def hint_route(self, queue: str) -> Route:
        """Return the route of hints, whose key is the queue's name; not over the exchange on which others read events."""
        route = self.route(queue)
        return route if route.exchange != self.events and route.routing_key == queue else default_route(queue)


def dead_letter_queue(queue: str) -> str:
    """Return the queue to which RabbitMQ moves messages that are rejected from a queue, or expire in it."""
    return f"{queue}.XQ"


def reason_of_death(headers: Any) -> str:
    """Return why RabbitMQ moved a message to a dead-letter queue: rejected, expired, maxlen or delivery_limit."""
    deaths = headers.get("x-death") if isinstance(headers, dict) else None
    first = deaths[0] if isinstance(deaths, list) and deaths and isinstance(deaths[0], dict) else {}
    return str(first.get("reason", "put there by hand"))[:80]


def arguments_of(queue: str, *, quorum: bool) -> dict[str, Any]:
    """Return the arguments with which a queue is declared."""
    kind: dict[str, Any] = {"x-queue-type": "quorum"} if quorum else {"x-max-priority": MAX_PRIORITY}
    return {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": dead_letter_queue(queue)} | kind


def dead_letter_arguments() -> dict[str, Any]:
    """Return the arguments with which a dead-letter queue is declared."""
    return {"x-message-ttl": DEAD_MESSAGE_TTL}


def declare(channel: Any, queue: str, topology: Topology, *, quorum: bool) -> None:
    """Declare the queue, its dead-letter queue, its exchange and their binding on an open channel."""
    channel.queue_declare(queue=dead_letter_queue(queue), durable=True, arguments=dead_letter_arguments())
    channel.queue_declare(queue=queue, durable=True, arguments=arguments_of(queue, quorum=quorum))
    route = topology.route(queue)
    if route.exchange:
        # after its queue: a publisher that finds the exchange loses nothing
        channel.exchange_declare(exchange=route.exchange, exchange_type="topic", durable=True)
        channel.queue_bind(queue=queue, exchange=route.exchange, routing_key=route.routing_key)


def declare_exchanges(channel: Any, topology: Topology) -> None:
    """Declare every exchange, with or without queues of ours; declaring twice changes nothing."""
    for exchange in topology.exchanges:
        channel.exchange_declare(exchange=exchange, exchange_type="topic", durable=True)
