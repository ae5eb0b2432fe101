"""The middleware of a worker, in order.

When an attempt is over it goes, from the last middleware of the list to the first as with Dramatiq's own `after_` hooks, to
each that has the method `after_failure(attempt)`, if any of its jobs failed; and then to each with `after_attempt(attempt)`.
"""

from __future__ import annotations

from dramatiq import Middleware

from aura.jobs.local_dispatch import LocalDispatchMiddleware
from aura.jobs.metrics import Metrics
from aura.jobs.middleware.async_jobs import AsyncJobs
from aura.jobs.middleware.dead_letters import DeadLetters
from aura.jobs.middleware.heartbeat import Heartbeat
from aura.jobs.middleware.logging import Logging
from aura.jobs.middleware.relay import RelayMiddleware
from aura.jobs.middleware.retries import Retries
from aura.jobs.middleware.shutdown import Shutdown
from aura.jobs.middleware.time_limit import TimeLimit
from aura.jobs.tracing import Tracing


def middleware() -> list[Middleware]:
    """Return the middleware; none of it reads a setting before the process boots."""
    return [
        Logging(),  # last: logs the outcomes, and ends the log context that it began first
        Heartbeat(),  # inserts the worker's row before its first claim, releases its jobs after its last
        RelayMiddleware(),  # needs no order
        Shutdown(),  # needs no order
        TimeLimit(),  # needs no order
        AsyncJobs(),  # after Heartbeat, so before it at a shutdown: the leases of jobs in flight stay valid until they end
        LocalDispatchMiddleware(),  # needs no order
        Metrics(),  # needs no order
        Tracing(),  # needs no order: a span ends with its job's outcome
        DeadLetters(),  # after Retries, which chooses the dead jobs
        Retries(),  # first: sorts the failures into retried and dead
    ]
