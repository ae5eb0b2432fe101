"""Upkeep: what the relay does between its rounds, so that nothing that was lost on the way stays lost.

1. Every two seconds free the jobs of workers whose heartbeat stopped.
2. Every ten seconds give again the hints that were lost: their jobs wait, and their queue cannot hold them.
3. Every ten seconds move what RabbitMQ put into the dead-letter queues into the table.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import dramatiq
import structlog

from actors.events import enqueue_dead_letter_events
from aura.errors import JobError
from aura.jobs import metrics
from aura.jobs.batches import batch_size
from aura.jobs.rabbitmq import messages
from aura.jobs.transport import Transport
from aura.settings import Settings
from db import dead_letters, hints, reading, transaction, workers

logger = structlog.get_logger("aura.relay")

#: Seconds between two looks for dead workers, for lost hints, for dead letters.
RECOVER_EVERY = 2.0
LOST_HINTS_EVERY = 10.0
DRAIN_EVERY = 10.0
#: A hint whose job is still unclaimed after this many seconds may be lost.
LOST_HINT_AFTER = 15.0
#: After this many it is given again whatever its queue holds.
CERTAINLY_LOST_AFTER = 300.0


class DeadLettered(JobError):
    """RabbitMQ gave a message up: it was rejected, expired, or pushed out of a full queue."""


@dataclass(slots=True)
class PeriodicTask:
    """Something to do every so many seconds, from the first round on."""

    do: Callable[[], None]
    every: float
    last: float = float("-inf")

    def when_due(self) -> None:
        if time.monotonic() - self.last >= self.every:
            self.last = time.monotonic()
            self.do()


class Maintenance:
    """The chores of one relay; any number may do them beside each other."""

    def __init__(self, broker: dramatiq.Broker, outlet: Transport, settings: Settings) -> None:
        self._broker = broker
        self._outlet = outlet
        self._settings = settings
        self._chores = [
            PeriodicTask(self.recover, RECOVER_EVERY),
            PeriodicTask(self.give_lost_hints_again, LOST_HINTS_EVERY),
            PeriodicTask(self.drain, DRAIN_EVERY),
        ]

    def when_due(self) -> None:
        """Do each chore whose time has come; all of them the first time."""
        for chore in self._chores:
            chore.when_due()

    def recover(self) -> None:
        """Make the jobs of dead workers due again."""
        with transaction() as session:
            freed, quarantined = workers.recover(
                session,
                self._settings.worker_dead_after,
                lambda lost: enqueue_dead_letter_events(session, self._broker, lost),
            )
        metrics.RECOVERED.labels("freed").inc(freed)
        metrics.RECOVERED.labels("quarantined").inc(quarantined)
        if freed or quarantined:
            logger.warning("recovered the jobs of dead workers", freed=freed, quarantined=quarantined)

    def give_lost_hints_again(self) -> None:
        """Hint again the jobs whose hints are lost: unclaimed for long, and their queue cannot hold all their hints.

        A queue that is merely slow holds them all, so it is not flooded. After five minutes a hint is given again
        whatever the queue holds; one too many costs a query.
        """
        with reading() as session:
            aged = set(hints.in_flight(session, LOST_HINT_AFTER)) & self._actors()
            waiting = hints.in_flight(session)
        if not aged:
            return
        queue_of = {name: self._broker.get_actor(name).queue_name for name in aged | (waiting.keys() & self._actors())}
        depths = self._outlet.depths(sorted({queue_of[name] for name in aged}))
        for name in sorted(aged):
            queue = queue_of[name]
            largest = max(
                batch_size(self._broker.get_actor(each), self._settings) for each in queue_of if queue_of[each] == queue
            )
            room = depths[queue] * largest
            named = sum(count for each, count in waiting.items() if queue_of.get(each) == queue)
            with transaction() as session:
                age = LOST_HINT_AFTER if named > room else CERTAINLY_LOST_AFTER
                if lost := hints.redispatch_lost(session, name, age):
                    metrics.LOST_HINTS.labels(name).inc(lost)
                    logger.warning("gave lost hints again", actor=name, jobs=lost)

    def drain(self) -> None:
        """Move what RabbitMQ put into the dead-letter queues into the table, before it expires there."""
        queues = sorted({self._broker.get_actor(name).queue_name for name in self._actors()})
        if count := self._outlet.drain(queues, self._bury):
            logger.warning("emptied the dead-letter queues", messages=count)

    def _bury(self, queue: str, body: bytes, reason: str) -> None:
        try:
            if not isinstance(messages.understand(queue, body, self._broker.actors), messages.Plain):
                return  # a hint is not the work: its jobs are done, due, or dead letters of their own
        except messages.Malformed as error:
            reason = f"{reason}; {error}"
        with transaction() as session:
            dead_letters.record_message(session, queue, body, DeadLettered(f"RabbitMQ dead-lettered it: {reason}"))

    def _actors(self) -> set[str]:
        return self._broker.get_declared_actors()
