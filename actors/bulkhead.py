"""The bulkhead: what waits for a neighbour's answer takes half of a worker's threads at most.

A mail server that hangs for a minute would otherwise hold every thread of every worker, and with them all other work. An
actor declared with `bulkhead=True` gets fewer messages at a time from its queue (a message counts until it is acked), and
is never taken eagerly, which would go past that. One declared with `background=True`, whose work can wait, gets one.
"""

from __future__ import annotations

from dramatiq import Broker, Middleware

#: Dramatiq prefetches twice as many messages as there are threads.
PREFETCH_PER_THREAD = 2


class Bulkhead(Middleware):
    """Declares the options."""

    @property
    def actor_options(self) -> set[str]:
        return {"bulkhead", "background"}


def within(broker: Broker, queue: str, prefetch: int) -> int:
    """Return how many messages of the queue a worker may hold at once, of those that it would prefetch."""
    options = [actor.options for actor in broker.actors.values() if actor.queue_name == queue]
    if any(each.get("background") for each in options):
        return 1
    if any(each.get("bulkhead") for each in options):
        return max(1, prefetch // PREFETCH_PER_THREAD // 2)
    return prefetch
