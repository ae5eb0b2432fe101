"""The bulkhead: what waits for a neighbour's answer takes half of a worker's threads at most.

A mail server that hangs for a minute would otherwise hold every thread of every worker, and with them all other work. An
actor declared with `bulkhead=True` gets fewer messages at a time from its queue (a message counts until it is acked), and
is never taken eagerly, which would go past that.
"""

from __future__ import annotations

from dramatiq import Broker, Middleware

#: Dramatiq prefetches twice as many messages as there are threads.
PREFETCH_PER_THREAD = 2


class Bulkhead(Middleware):
    """Declares the option."""

    @property
    def actor_options(self) -> set[str]:
        return {"bulkhead"}


def within(broker: Broker, queue: str, prefetch: int) -> int:
    """Return how many messages of the queue a worker may hold at once, of those that it would prefetch."""
    if any(actor.options.get("bulkhead") for actor in broker.actors.values() if actor.queue_name == queue):
        return max(1, prefetch // PREFETCH_PER_THREAD // 2)
    return prefetch
