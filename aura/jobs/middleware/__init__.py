"""What surrounds every attempt, in one visible order."""

from __future__ import annotations

from dramatiq import Middleware
from dramatiq.middleware import TimeLimit

from aura.jobs.bulkhead import Bulkhead
from aura.jobs.local_dispatch import LocalDispatchMiddleware
from aura.jobs.metrics import Metrics
from aura.jobs.middleware.dead_letters import DeadLetters
from aura.jobs.middleware.heartbeat import Heartbeat
from aura.jobs.middleware.logging import Logging
from aura.jobs.middleware.relay import RelayMiddleware
from aura.jobs.middleware.retries import Retries
from aura.jobs.middleware.shutdown import Shutdown
from aura.jobs.tracing import Tracing
from aura.settings import Settings

#: Milliseconds an attempt may take when its actor does not say.
TIME_LIMIT = 60_000


def middleware(settings: Settings) -> list[Middleware]:
    """Return the middleware. Before an attempt they run from the top down, after it from the bottom up."""
    return [
        Logging(),  # first and last: it binds the log context, and writes the line when all is decided
        Heartbeat(),  # a worker's row before its first claim, and handing back after its last
        RelayMiddleware(settings),  # needs no order
        Shutdown(),  # needs no order
        Tracing(),  # after Retries and DeadLetters, which say what became of each job
        LocalDispatchMiddleware(),  # needs no order
        Bulkhead(),  # needs no order
        Metrics(settings),  # needs no order
        DeadLetters(),  # after Retries: buries what Retries gave up
        Retries(settings),  # after TimeLimit: a limit that was hit is an error like any other
        TimeLimit(time_limit=TIME_LIMIT),  # innermost: its alarm must be off before the others write
    ]
