"""Topology: names and declares the exchanges, queues and bindings on RabbitMQ.

A program names its exchanges and the route of each queue (see `aura.jobs.program`). Each queue is durable, has priorities
and a dead-letter queue (`.XQ`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

#: RabbitMQ keeps one list per priority and queue; 0 to 9 is what a job can have.
MAX_PRIORITY = 9
#: Milliseconds a message stays in a dead-letter queue; the reason and the job are in the dead_letters table.
DEAD_MESSAGE_TTL = 7 * 86_400_000
_CLASSIC, _QUORUM = {"x-queue-type": "classic"}, {"x-queue-type": "quorum"}


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
    """Return the arguments with which a queue is declared.

    The type is always among them: a virtual host may have another default, for which `x-max-priority` is no argument.
    """
    kind: dict[str, Any] = _QUORUM if quorum else _CLASSIC | {"x-max-priority": MAX_PRIORITY}
    return {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": dead_letter_queue(queue)} | kind


def dead_letter_arguments(*, quorum: bool) -> dict[str, Any]:
    """Return the arguments with which a dead-letter queue is declared: of the type of its queue.

    A classic queue is on one node alone, so that a cluster would need that node. A quorum queue has a message TTL since
    RabbitMQ 3.10.
    """
    return (_QUORUM if quorum else _CLASSIC) | {"x-message-ttl": DEAD_MESSAGE_TTL}


@dataclass(frozen=True, slots=True)
class Declaration:
    """One declaration: the kind and the name of its object, and the call that makes it on an open channel."""

    kind: str
    name: str
    call: Callable[[Any], Any]


def declarations(queue: str, topology: Topology, *, quorum: bool) -> list[Declaration]:
    """Return the declarations of a queue, its dead-letter queue, its exchange and their binding, in order."""
    dead, route = dead_letter_queue(queue), topology.route(queue)
    found = [_queue(dead, dead_letter_arguments(quorum=quorum)), _queue(queue, arguments_of(queue, quorum=quorum))]
    if route.exchange:
        # after its queue: a publisher that finds the exchange loses nothing
        found.append(_exchange(route.exchange))
        bind = Declaration(
            "binding",
            f"{route.exchange} to {queue}",
            lambda channel: channel.queue_bind(queue=queue, exchange=route.exchange, routing_key=route.routing_key),
        )
        found.append(bind)
    return found


def _queue(name: str, arguments: dict[str, Any]) -> Declaration:
    return Declaration(
        "queue", name, lambda channel: channel.queue_declare(queue=name, durable=True, arguments=arguments)
    )


def _exchange(name: str) -> Declaration:
    return Declaration(
        "exchange",
        name,
        lambda channel: channel.exchange_declare(exchange=name, exchange_type="topic", durable=True),
    )


def declare(channel: Any, queue: str, topology: Topology, *, quorum: bool) -> None:
    """Declare a queue with all that belongs to it on an open channel; the first failure closes the channel."""
    for declaration in declarations(queue, topology, quorum=quorum):
        declaration.call(channel)


def declare_exchanges(channel: Any, topology: Topology) -> None:
    """Declare every exchange, with or without queues of ours; declaring twice changes nothing."""
    for exchange in topology.exchanges:
        _exchange(exchange).call(channel)


def everything(queues: Iterable[str], topology: Topology, *, quorum: bool) -> list[Declaration]:
    """Return the declarations of all queues and exchanges."""
    found = [each for queue in sorted(queues) for each in declarations(queue, topology, quorum=quorum)]
    return found + [_exchange(exchange) for exchange in topology.exchanges]


def attempt(connection: Any, wanted: Iterable[Declaration]) -> dict[str, str]:
    """Make each declaration; a failure does not stop the others. Returns the failures: reason by object.

    A queue with other arguments, or on a node that is down, is an example. Each failure closes a channel.
    """
    from pika.exceptions import ChannelClosedByBroker  # embedded mode, which imports this module too, needs no pika

    failures: dict[str, str] = {}
    channel: Any = None
    for declaration in wanted:
        channel = channel if channel is not None and channel.is_open else connection.channel()
        try:
            declaration.call(channel)
        except ChannelClosedByBroker as error:
            failures[f"{declaration.kind} {declaration.name}"] = str(error.reply_text)
    if channel is not None and channel.is_open:
        channel.close()
    return failures
