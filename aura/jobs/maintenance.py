"""Maintenance: recovers jobs of dead workers and lost hints between the relay's rounds; several relays may run it at once.

1. Every two seconds free the jobs of workers whose heartbeat stopped.
2. Every ten seconds dispatch lost hints again: hints of unclaimed jobs that their queue cannot hold.
3. Every ten seconds move the messages of RabbitMQ's dead-letter queues into the table.
4. Every five seconds raise the counter of the fence, which shows a database that went back, or whose clock did (see
   `db.fence`), and correct the times that are later than now.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import structlog

from aura.errors import JobError
from aura.jobs import metrics
from aura.jobs.program import Malformed
from aura.jobs.rabbitmq import messages
from aura.jobs.transport import Transport
from aura.settings import Settings
from db import clock_jumps, dead_letters, fence, hints, reading, transaction, workers
from db.jobs import wake_relay

logger = structlog.get_logger("aura.relay")

#: Seconds between two checks for dead workers, for lost hints, for dead letters.
RECOVER_EVERY = 2.0
LOST_HINTS_EVERY = 10.0
DRAIN_EVERY = 10.0
FENCE_EVERY = 5.0
#: Seconds after which the hint of an unclaimed job may be lost.
LOST_HINT_AFTER = 15.0
#: Seconds after which it is lost, whatever its queue holds.
CERTAINLY_LOST_AFTER = 300.0


class RejectedMessage(JobError):
    """RabbitMQ dead-lettered a message: it was rejected, expired, or pushed out of a full queue."""


@dataclass(slots=True)
class PeriodicTask:
    """Runs a function at once and then every so many seconds, when asked."""

    run: Callable[[], None]
    every: float
    last: float = float("-inf")

    def run_if_due(self) -> None:
        """Run the function if its time has come."""
        if time.monotonic() - self.last >= self.every:
            self.last = time.monotonic()
            self.run()


class Maintenance:
    """The periodic tasks of one relay."""

    def __init__(self, broker: Any, transport: Transport, settings: Settings) -> None:
        self._broker = broker
        self._transport = transport
        self._settings = settings
        self._tasks = [
            PeriodicTask(self.beat_fence, FENCE_EVERY),
            PeriodicTask(self.recover, RECOVER_EVERY),
            PeriodicTask(self.redispatch_lost_hints, LOST_HINTS_EVERY),
            PeriodicTask(self.drain, DRAIN_EVERY),
        ]

    def run_due(self) -> None:
        """Run each task whose time has come; all of them the first time."""
        for task in self._tasks:
            task.run_if_due()

    def beat_fence(self) -> None:
        """Raise the counter of the fence, and correct times if the database's clock went back."""
        with transaction() as session:
            if (back := fence.beat(session)) and clock_jumps.correct(session, back):
                wake_relay(session)

    def recover(self) -> None:
        """Make the jobs of dead workers due again, and quarantine those that crashed too often."""
        with transaction() as session:
            freed, quarantined = workers.recover(
                session,
                self._settings.worker_dead_after,
                lambda dead: self._broker.program.on_dead(session, dead),
            )
        metrics.RECOVERED.labels("freed").inc(freed)
        metrics.RECOVERED.labels("quarantined").inc(quarantined)
        if freed or quarantined:
            logger.warning("jobs of dead workers recovered", freed=freed, quarantined=quarantined)

    def redispatch_lost_hints(self) -> None:
        """Make jobs due again whose hints are lost: unclaimed for long, and more than their queue can hold.

        The queue of a slow actor holds all its hints, so it is not flooded. After five minutes a hint counts as lost
        whatever the queue holds; a duplicate costs a query.
        """
        actors = self._broker.actors
        with reading() as session:
            aged = set(hints.in_flight(session, LOST_HINT_AFTER)) & set(actors)
            inside = hints.in_flight(session)
        if not aged:
            return
        depths = self._transport.depths(sorted({actors[name].queue_name for name in aged}))
        for name in sorted(aged):
            queue = actors[name].queue_name
            sharing = [each for each in aged | (inside.keys() & set(actors)) if actors[each].queue_name == queue]
            held = depths.get(queue, 0) * max(actors[each].batch_size(self._settings) for each in sharing)
            named = sum(inside.get(each, 0) for each in sharing)
            age = LOST_HINT_AFTER if named > held else CERTAINLY_LOST_AFTER
            with transaction() as session:
                lost = hints.redispatch_lost(session, name, age)
            if lost:
                metrics.LOST_HINTS.labels(name).inc(lost)
                logger.warning("lost hints redispatched", actor=name, jobs=lost)

    def drain(self) -> None:
        """Move the messages of RabbitMQ's dead-letter queues into the table, before they expire there."""
        queues = sorted({actor.queue_name for actor in self._broker.actors.values()})
        if count := self._transport.drain(queues, self._store):
            logger.warning("dead-letter queues drained", messages=count)

    def _store(self, queue: str, body: bytes, reason: str) -> None:
        try:
            if messages.is_hint(queue, body, self._broker):
                return  # its jobs are completed, due, or dead letters of their own
        except Malformed as error:
            reason = f"{reason}; {error}"
        with transaction() as session:
            dead_letters.record_message(session, queue, body, RejectedMessage(f"RabbitMQ dead-lettered it: {reason}"))
