"""The exchanges and queues on RabbitMQ, as other programs know them.

| exchange        | routing key         | queue            |
| `tickets`       | `ticket.created`    | `tickets.intake` |
| `ai_processing` | `ai.{type}`         | one per type     |
| `notifications` | `notify.{channel}`  | one per channel  |

Each queue is durable, has priorities and a dead-letter queue (`.XQ`). Events for other services leave through
`tickets` too, with routing keys of their own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from aura.settings import Settings

#: Topic exchanges, durable.
EXCHANGES = ("tickets", "ai_processing", "notifications")
#: RabbitMQ keeps one list per priority and queue; 0 to 9 is what a job can have.
MAX_PRIORITY = 9
#: Milliseconds a message stays in a dead-letter queue; the reason and the job are in the dead_letters table.
DEAD_MESSAGE_TTL = 7 * 86_400_000


@dataclass(frozen=True, slots=True)
class Route:
    """How messages reach a queue; with no exchange, by the queue's own name."""

    exchange: str
    routing_key: str


def route(queue: str) -> Route:
    """Return the exchange and routing key by which everybody publishes to a queue."""
    if queue == "tickets.intake":
        return Route("tickets", "ticket.created")
    if queue.startswith("ai."):
        return Route("ai_processing", queue)
    if queue.startswith("notify."):
        return Route("notifications", queue)
    return Route("", queue)


def hint_route(queue: str) -> Route:
    """Return where the relay sends hints: past the `tickets` exchange, where other services listen for events."""
    way = route(queue)
    return Route("", queue) if way.exchange == "tickets" else way


def dead_letter_queue(queue: str) -> str:
    """Return the queue to which RabbitMQ moves what is rejected from a queue, or expires in it."""
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


def declare(channel: Any, queue: str, settings: Settings) -> None:
    """Declare the queue, its dead-letter queue, its exchange and their binding on an open channel."""
    channel.queue_declare(queue=dead_letter_queue(queue), durable=True, arguments=dead_letter_arguments())
    arguments = arguments_of(queue, quorum=settings.quorum_queues)
    channel.queue_declare(queue=queue, durable=True, arguments=arguments)
    way = route(queue)
    if way.exchange:
        # after its queue: who finds the exchange and publishes to it loses nothing
        channel.exchange_declare(exchange=way.exchange, exchange_type="topic", durable=True)
        channel.queue_bind(queue=queue, exchange=way.exchange, routing_key=way.routing_key)


def declare_exchanges(channel: Any) -> None:
    """Declare the topic exchanges, those too that no queue of ours is bound to; declaring twice changes nothing."""
    for exchange in EXCHANGES:
        channel.exchange_declare(exchange=exchange, exchange_type="topic", durable=True)
