"""The RabbitMQ exchanges of the service desk, which other programs publish to and consume from.

| exchange        | routing key         | queue            |
| `tickets`       | `ticket.created`    | `tickets.intake` |
| `ai_processing` | `ai.{type}`         | one per type     |
| `notifications` | `notify.{channel}`  | one per channel  |

Events for other services are published on `tickets` too, with other routing keys.
"""

from __future__ import annotations

from aura.jobs.rabbitmq.topology import Route, Topology


def route(queue: str) -> Route:
    """Return the exchange and routing key by which every program publishes to a queue."""
    if queue == "tickets.intake":
        return Route("tickets", "ticket.created")
    if queue.startswith("ai."):
        return Route("ai_processing", queue)
    if queue.startswith("notify."):
        return Route("notifications", queue)
    return Route("", queue)


#: One role per exchange, so that a program that creates tickets can send no message.
_PUBLISHERS = {
    "aura-publisher": "tickets",
    "aura-reanalyzer": "ai_processing",
    "aura-messenger": "notifications",
}
TOPOLOGY = Topology(("tickets", "ai_processing", "notifications"), route, events="tickets", publishers=_PUBLISHERS)
