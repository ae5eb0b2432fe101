"""Local dispatch: a worker that enqueues the next step runs it at once, without a hint.

The transaction that completes a step inserts the next job already leased to this worker; after the commit the job enters the
worker's own queue as a message that passes the same middleware as any other. A crash in between leaves a leased job of a
dead worker, like any crash. A worker dispatches to itself at most two batches of an actor, only for queues that it
consumes, and nothing of a queue that is paused, limited or behind a bulkhead: the relay dispatches the rest. Asynchronous
jobs get a lease each, and as many of them are dispatched as there are free slots.
"""

from __future__ import annotations

import uuid
from collections import Counter, defaultdict
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any

from dramatiq import Broker, Message, Middleware, Worker
from dramatiq.broker import MessageProxy
from sqlalchemy.orm import Session

from aura.jobs import process_state
from aura.jobs.slots import SlotAccess
from db import jobs
from db.jobs import Claimed, NewJob

#: Most batches of one actor that a worker dispatches to itself: two deliveries follow a ticket as a rule.
BATCHES = 2


class LocalMessage(MessageProxy):
    """A message that was never in the broker, so it is not acked."""

    consumer = None


class LocalDispatchMiddleware(Middleware):
    """Notes the worker of this process while it accepts work."""

    def after_worker_boot(self, broker: Broker, worker: Worker) -> None:
        process_state.worker = worker

    def before_worker_shutdown(self, broker: Broker, worker: Worker) -> None:
        process_state.worker = None

    def after_worker_shutdown(self, broker: Broker, worker: Worker) -> None:
        while process_state.local_jobs:  # leased and not begun: Heartbeat releases these
            process_state.attempts.pop(process_state.local_jobs.popitem()[0], None)


class LocalDispatch(AbstractContextManager["LocalDispatch"]):
    """Leases jobs to this worker while they are enqueued, and passes them to it when the block ends without an error."""

    def __init__(self, broker: Broker) -> None:
        self.worker = process_state.WORKER_ID
        self._broker = broker
        self._local = process_state.worker
        self._offered: Counter[str] = Counter()
        #: The lease of each actor's batch that is being filled, and the jobs under every lease.
        self._filling: dict[str, str] = {}
        self._leased: dict[str, list[Claimed]] = {}
        #: The slot of each asynchronous job.
        self._accesses: dict[str, SlotAccess] = {}

    def accept(self, session: Session) -> None:
        """Accept jobs that this transaction enqueues from here on."""
        if self._local is not None:
            jobs.dispatch_locally(session, self)

    def lease(self, session: Session, job: NewJob) -> str | None:
        """Return the lease under which to insert the job, or None to leave it to the relay."""
        name = job.actor
        actor: Any = self._broker.actors.get(name)
        if actor is None or job.delay or not self._accepts(session, actor):
            return None
        if (access := actor.slot_access()) is not None:
            return self._lease_slot(access)
        if self._offered[name] >= BATCHES * actor.batch_size():
            return None
        if self._offered[name] % actor.batch_size() == 0:
            lease = self._filling[name] = uuid.uuid4().hex
            process_state.attempts[lease] = None  # counts as running from now on
            self._leased[lease] = []
        self._offered[name] += 1
        return self._filling[name]

    def _lease_slot(self, access: SlotAccess) -> str | None:
        lease = uuid.uuid4().hex
        if not access.slots.try_acquire(access, lease, 1):
            return None
        process_state.attempts[lease] = None
        self._leased[lease], self._accesses[lease] = [], access
        return lease

    def _accepts(self, session: Session, actor: Any) -> bool:
        control = process_state.queue_controls(session).get(actor.queue_name)
        controlled = control is not None and (control.paused or control.limit is not None)
        consumed = self._local is not None and actor.queue_name in self._local.consumers
        return consumed and not controlled and not (actor.option("bulkhead") or actor.option("background"))

    def add(self, lease: str, job: Claimed) -> None:
        """Note that the job is leased to this worker once the transaction has committed."""
        self._leased[lease].append(job)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None and self._local is not None:
                self._pass_on_slots(self._local)
                for lease in [lease for lease, leased in self._leased.items() if leased]:
                    self._pass_on(self._local, lease, self._leased[lease])
                    del self._leased[lease]
        finally:  # also when a time limit strikes here
            for lease in self._leased:
                process_state.attempts.pop(lease, None)  # the heartbeat releases jobs that were committed all the same
                if lease in self._accesses:
                    self._accesses[lease].slots.release(lease)

    def _pass_on_slots(self, worker: Worker) -> None:
        """Pass on the asynchronous jobs, in messages of at most one batch."""
        leases: defaultdict[str, list[str]] = defaultdict(list)
        for lease in [lease for lease in self._accesses if self._leased[lease]]:
            leases[self._leased[lease][0].actor].append(lease)
        for name, all_of_actor in leases.items():
            actor: Any = self._broker.get_actor(name)
            for batch in batched(all_of_actor, actor.batch_size()):
                process_state.local_jobs.update({lease: self._leased[lease] for lease in batch})
                ids = [self._leased.pop(lease)[0].id for lease in batch]
                message: Message[Any] = actor.message_with_options(args=(ids, batch))
                worker.consumers[actor.queue_name].handle_message(LocalMessage(message))

    def _pass_on(self, worker: Worker, lease: str, leased: list[Claimed]) -> None:
        process_state.local_jobs[lease] = leased
        actor = self._broker.get_actor(leased[0].actor)
        message: Message[Any] = actor.message_with_options(args=([job.id for job in leased], lease))
        worker.consumers[actor.queue_name].handle_message(LocalMessage(message))


def batched(leases: list[str], size: int) -> list[list[str]]:
    """Return the leases in lists of at most `size`."""
    return [leases[start : start + size] for start in range(0, len(leases), size)]
