"""Eager steps: the worker that promises the next step takes it at once, and no hint has to go round for it.

The transaction that keeps a step inserts the next one's job already leased to this worker, and after the commit it joins
the worker's own queue, as a message that passes the same middleware as any other. A crash in between leaves a leased job
of a dead worker, as any crash does. A worker takes two batches of an actor at most, only of queues it listens to, and
nothing of a queue that is paused or limited or behind a bulkhead: the rest is due, and the relay gives it to whoever is free.
"""

from __future__ import annotations

from collections import Counter
from types import TracebackType
from typing import Any, ClassVar

from dramatiq import Broker, Message, Middleware, Worker
from dramatiq.broker import MessageProxy
from sqlalchemy.orm import Session

from aura.jobs import attempt as attempts
from aura.jobs import control_cache
from aura.jobs.attempt import WORKER_ID
from aura.jobs.batches import batch_size, option
from aura.settings import get_settings
from db import jobs
from db.jobs import Claimed, NewJob

#: Most batches of one actor that a worker takes at once: a ticket is told to two people as a rule.
BATCHES = 2


class LocalMessage(MessageProxy):
    """A message that was never in the broker, so there is nothing to ack."""

    consumer = None


class LocalDispatchMiddleware(Middleware):
    """Knows the worker of this process while it takes work."""

    worker: Worker | None = None
    #: Jobs that are leased and wait in the worker's own queue, by lease.
    waiting: ClassVar[dict[str, list[Claimed]]] = {}

    def after_worker_boot(self, broker: Broker, worker: Worker) -> None:
        LocalDispatchMiddleware.worker = worker

    def before_worker_shutdown(self, broker: Broker, worker: Worker) -> None:
        LocalDispatchMiddleware.worker = None

    def after_worker_shutdown(self, broker: Broker, worker: Worker) -> None:
        while LocalDispatchMiddleware.waiting:  # taken and not begun: Heartbeat hands these back
            attempts.release(LocalDispatchMiddleware.waiting.popitem()[0])


class LocalDispatch:
    """Takes what is promised while it is entered, and hands it to the worker when it is left in order."""

    def __init__(self, broker: Broker) -> None:
        self.worker = WORKER_ID
        self._broker = broker
        self._at = LocalDispatchMiddleware.worker
        self._blocked: frozenset[str] = frozenset()
        self._offered: Counter[str] = Counter()
        #: The lease of each actor's batch that is filled just now, and what was taken under every lease.
        self._filling: dict[str, str] = {}
        self._taken: dict[str, list[Claimed]] = {}

    def __enter__(self) -> LocalDispatch:
        return self

    def watch(self, session: Session) -> None:
        """Take what is promised in this transaction from here on."""
        if self._at is not None:
            self._blocked = control_cache.blocked(session)
            jobs.dispatch_locally(session, self)

    def lease(self, promise: NewJob) -> str | None:
        """Return the lease under which to take the job, or None to leave it to the relay."""
        name = promise.actor
        if self._at is None or promise.delay or name not in self._broker.actors:
            return None
        actor = self._broker.get_actor(name)
        batch = batch_size(actor, get_settings())
        listens = actor.queue_name in self._at.consumers and actor.queue_name not in self._blocked
        if (
            not listens
            or option(actor, "bulkhead", get_settings())
            or actor.options.get("background")
            or self._offered[name] >= BATCHES * batch
        ):
            return None
        if self._offered[name] % batch == 0:
            self._filling[name] = attempts.reserve()
            self._taken[self._filling[name]] = []
        self._offered[name] += 1
        return self._filling[name]

    def take(self, lease: str, job: Claimed) -> None:
        """Note that the job is ours when the transaction commits."""
        self._taken[lease].append(job)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None and self._at is not None:
                for lease in [lease for lease, taken in self._taken.items() if taken]:
                    self._hand_over(self._at, lease, self._taken[lease])
                    del self._taken[lease]
        finally:  # also when a time limit strikes here
            for lease in self._taken:
                attempts.release(lease)  # if it was committed all the same, the heartbeat hands the jobs back

    def _hand_over(self, worker: Worker, lease: str, taken: list[Claimed]) -> None:
        LocalDispatchMiddleware.waiting[lease] = taken
        actor = self._broker.get_actor(taken[0].actor)
        message: Message[Any] = actor.message_with_options(args=([job.id for job in taken], lease))
        worker.consumers[actor.queue_name].handle_message(LocalMessage(message))


def claimed(lease: str) -> list[Claimed]:
    """Return the jobs that were taken under the lease."""
    return LocalDispatchMiddleware.waiting.pop(lease, [])
