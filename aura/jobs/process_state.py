"""State of a process beyond one attempt; every job in it is a row of the database as well.

| name             | value                                                                                   |
| ---------------- | --------------------------------------------------------------------------------------- |
| `WORKER_ID`      | id of this boot of the process; leases belong to it                                     |
| `worker`         | Dramatiq's worker while it accepts work, for local dispatch                              |
| `attempts`       | the leases that count as running, each with its attempt once that has begun             |
| `local_jobs`     | jobs that were dispatched locally and wait in the worker's own queue, by lease          |
| `runner`         | runs asynchronous jobs on an event loop, and completes them                              |
| `queue_controls` | pauses and limits of queues, cached for half a second                                   |
| `pipelines`      | every pipeline by its name; constructing one registers it                               |
| `failed_hosts`   | the hosts of RabbitMQ that failed, with the time by the monotonic clock                 |
| `problems`       | why queues cannot be consumed, by queue; the heartbeat stores them                      |
| `on_enqueue`     | called after each commit that enqueued jobs; the embedded relay is waked by it          |

Caches of settings and of prepared statements are beside the code that fills them: they hold nothing that changes.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from aura.jobs.async_runner import AsyncRunner
from aura.jobs.ttl_cache import TTLCache
from db import queue_controls as controls
from db.jobs import on_enqueue

if TYPE_CHECKING:
    from dramatiq import Worker

    from aura.jobs.attempt import Attempt
    from aura.jobs.pipeline import Pipeline
    from db.jobs import Claimed

__all__ = [
    "WORKER_ID",
    "attempts",
    "failed_hosts",
    "local_jobs",
    "on_enqueue",
    "pipelines",
    "problems",
    "queue_controls",
    "reset",
    "runner",
    "worker",
]

#: Seconds for which pauses and limits are cached.
CONTROLS_FRESH = 0.5

WORKER_ID = uuid.uuid4().hex
worker: Worker | None = None
attempts: dict[str, Attempt | None] = {}
local_jobs: dict[str, list[Claimed]] = {}
runner = AsyncRunner()
queue_controls = TTLCache(CONTROLS_FRESH, controls.current)
pipelines: dict[str, Pipeline] = {}
failed_hosts: dict[str, float] = {}
problems: dict[str, str] = {}


def reset() -> None:
    """Forget the state that changes while the process runs, for tests; the worker's id and the pipelines stay."""
    global worker
    worker = None
    attempts.clear()
    local_jobs.clear()
    runner.reset()
    queue_controls.clear()
    failed_hosts.clear()
    problems.clear()
    on_enqueue.clear()
