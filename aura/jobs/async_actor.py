"""Asynchronous actors: the function is `async def` and gets one item; a worker keeps many of their jobs in flight.

    @durable(queue_name="ask", load=load, save=save, concurrency=200)
    async def ask(question: Question) -> Answer: ...

A hint's jobs are claimed together, in a worker's thread and for as many as there are slots (`aura.jobs.slots`), but each job
has a lease and an attempt of its own: it is cancelled, limited in time, retried and dead-lettered by itself. The event loop
runs the function (`aura.jobs.async_runner`). `prepare` turns the items of one claim into the function's arguments, and
`finish` the results of one completion into those that `save` gets; both run in threads, and may block.

While `concurrency` is 0, the function `in_batches` runs in the worker's threads instead, as any other actor's.
"""

from __future__ import annotations

import asyncio
import threading
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from dramatiq.middleware.threading import Interrupt
from sqlalchemy.orm import Session
from structlog.contextvars import bind_contextvars, clear_contextvars

from aura.jobs import process_state, tracing
from aura.jobs.actor import TIME_LIMIT, DurableActor, JobResult, Unclaimed
from aura.jobs.attempt import Attempt
from aura.jobs.local_dispatch import LocalDispatch
from aura.jobs.slots import SlotAccess
from db import hints, jobs, transaction
from db.jobs import OWN_LEASE_PREFIX, Claimed, own_lease
from db.unavailable import is_unavailable

if TYPE_CHECKING:
    from aura.jobs.broker import JobBroker


@dataclass(slots=True, eq=False)
class AsyncAttempt(Attempt):
    """One attempt at one job; it is interrupted by the cancellation of its task."""

    item: Any = None
    #: The argument of the function, which `prepare` made of the item, and its result.
    argument: Any = None
    result: Any = None
    task: asyncio.Task[None] | None = None
    #: Why the task was cancelled by `interrupt`.
    interruption: Interrupt | None = None
    _loop: asyncio.AbstractEventLoop | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def async_actor(self) -> AsyncActor:
        assert isinstance(self.actor, AsyncActor)
        return self.actor

    async def run(self) -> None:
        """Await the function; its result or its error is noted."""
        actor, [job] = self.async_actor, self.jobs
        bind_contextvars(
            actor=actor.actor_name,
            job_ids=[job.id],
            traces=[self.spans[job.id].trace_id],
            **{actor.key_label: [job.key]},
        )
        self._loop = asyncio.get_running_loop()
        with self._lock:
            self.in_function = True
        try:
            self.result = await actor.coroutine(self.argument)
        except asyncio.CancelledError as error:
            self.error = self.interruption or error
        except BaseException as error:  # SystemExit, too, which would end the event loop and with it all other jobs
            self.error = error
        finally:
            with self._lock:
                self.in_function = False

    def interrupt(self, error: type[Interrupt], *, only_in_function: bool = False) -> bool:
        """Cancel the task, once; its attempt then fails with the error. Returns False when the function does not run."""
        with self._lock:
            if not self.in_function or self.interruption is not None or self._loop is None or self.task is None:
                return False
            self.interruption = error()
            self._loop.call_soon_threadsafe(self.task.cancel)
            return True


class AsyncActor(DurableActor):
    """A durable actor whose function is a coroutine; declared by `durable`."""

    coroutine: Callable[[Any], Awaitable[Any]]
    #: Whether there is a function `in_batches`.
    has_batches = False
    prepare: Callable[[list[Any]], Sequence[Any]] | None = None
    finish: Callable[[list[Any], list[Any]], Sequence[Any]] | None = None

    def concurrency(self) -> int:
        """Return the most jobs in flight; 0 while `in_batches` runs in threads."""
        concurrency = int(self.option("concurrency") or 0)
        return concurrency if self.has_batches else max(concurrency, 1)

    @cached_property
    def _slot_access(self) -> SlotAccess:
        broker = cast("JobBroker", self.broker)
        option = self.options.get("concurrency")
        shared = option if callable(option) else self.actor_name
        return broker.slots(shared, self.concurrency).access(self.options.get("bulkhead"))

    def slot_access(self) -> SlotAccess | None:
        return self._slot_access if self.concurrency() else None

    def __call__(self, job_ids: Sequence[int], lease: Any = None) -> None:
        """Claim the jobs of a hint and hand them over to the event loop; outside a worker, wait for them.

        `lease` are the leases of jobs that were dispatched locally, and so are claimed already.
        """
        access = self.slot_access()
        if access is None:
            super().__call__(job_ids, lease)
            return
        attempts = self._claimed(job_ids, access) if lease is None else self._dispatched(lease)
        if attempts:
            access.slots.hold(access, [each.lease for each in attempts])
            self._prepare(attempts)
            process_state.runner.submit(attempts)
            if process_state.worker is None:
                process_state.runner.wait(attempts)

    def _claimed(self, job_ids: Sequence[int], access: SlotAccess) -> list[AsyncAttempt]:
        """Claim as many of the hint's jobs as there may be slots, and release the rest."""
        ids = job_ids[: min(self.batch_size(), access.slots.capacity(access))]
        claim = Attempt(self, uuid.uuid4().hex[:OWN_LEASE_PREFIX])
        leases = {each: own_lease(claim.lease, each) for each in ids}
        # the leases count as running before the database knows of them
        process_state.attempts.update(dict.fromkeys(leases.values()))
        attempts: list[AsyncAttempt] = []
        try:
            claimed = self.when_available(claim, lambda session: self._claim(session, claim, job_ids, ids))
            attempts = self._attempts([(leases[job.id], job) for job in claimed], claim)
        except Exception as error:
            claim.error = error
            self.settle(claim)
            raise (Unclaimed("the jobs of a hint could not be claimed") if is_unavailable(error) else error) from error
        finally:
            for each in set(leases.values()) - {each.lease for each in attempts}:
                process_state.attempts.pop(each, None)
        return attempts

    def _claim(self, session: Session, claim: Attempt, job_ids: Sequence[int], ids: Sequence[int]) -> list[Claimed]:
        if len(ids) < len(job_ids):
            hints.release(session, job_ids[len(ids) :])
        return self.claim(session, claim, ids, own_leases=True)

    def _dispatched(self, leases: list[str]) -> list[AsyncAttempt]:
        """Return the attempts at jobs that were dispatched locally; none for those that a shutdown took back."""
        local = [(each, process_state.local_jobs.pop(each, None)) for each in leases]
        return self._attempts([(lease, job) for lease, found in local for job in found or ()], None)

    def _attempts(self, leased: Sequence[tuple[str, Claimed]], claim: Attempt | None) -> list[AsyncAttempt]:
        limit = (self.option("time_limit") or TIME_LIMIT) / 1000
        attempts = []
        for lease, job in leased:
            each = AsyncAttempt(self, lease, control=claim.control if claim else None, jobs=[job])
            each.deadline = time.monotonic() + limit
            each.spans |= tracing.begin(self.actor_name, each.jobs)
            process_state.attempts[lease] = each
            attempts.append(each)
        return attempts

    def _prepare(self, attempts: Sequence[AsyncAttempt]) -> None:
        """Load the items and prepare them; a failure is noted in the attempts."""
        try:
            items = self.load_items([each.jobs[0] for each in attempts])
            ready = []
            for each in attempts:
                [job] = each.jobs
                if job.key in items:
                    each.item = items[job.key]
                    ready.append(each)
                else:
                    each.failures.append((job, self.missing(job)))
            found = [each.item for each in ready]
            arguments = self.prepare(found) if self.prepare and found else found
            for each, argument in zip(ready, arguments, strict=True):
                each.argument = argument
        except Exception as error:
            for each in attempts:
                each.error = error

    # -- in the completing thread

    def settle_all(self, attempts: Sequence[AsyncAttempt]) -> None:
        """Complete the attempts that have a result, together, and settle each."""
        try:
            self._complete_all([each for each in attempts if each.error is None and not each.failures])
        finally:
            for each in attempts:
                [job] = each.jobs
                clear_contextvars()
                bind_contextvars(actor=self.actor_name, job_ids=[job.id], **{self.key_label: [job.key]})
                if each.spans:
                    bind_contextvars(traces=[each.spans[job.id].trace_id])
                self.settle(each)
            self._slot_access.slots.release(*(each.lease for each in attempts))

    def _complete_all(self, attempts: Sequence[AsyncAttempt]) -> None:
        """Complete them together; if that fails, each by itself, so that one result that cannot be saved fails alone."""
        if not attempts:
            return
        try:
            self._complete_together(attempts)
        except Exception as error:
            if len(attempts) == 1 or is_unavailable(error):
                for each in attempts:
                    each.error = error
            else:
                for each in attempts:
                    self._complete_all([each])

    def _complete_together(self, attempts: Sequence[AsyncAttempt]) -> None:
        results = [each.result for each in attempts]
        outcomes = self.finish([each.item for each in attempts], results) if self.finish else results
        done: dict[str, JobResult] = {}
        limited = False
        for each, outcome in zip(attempts, outcomes, strict=True):
            [job] = each.jobs
            each.failures = [(job, outcome)] if isinstance(outcome, Exception) else []
            if not each.failures:
                done[each.lease] = JobResult(job, each.item, outcome, job.priority, each.spans[job.id].traceparent)
                limited = limited or (each.control is not None and each.control.limit is not None)
        if not done:
            return
        seconds = {each.lease: each.seconds for each in attempts}
        with LocalDispatch(self.broker) as dispatch, transaction() as session:
            completed = jobs.complete_each(
                session, [(lease, each.job, seconds[lease]) for lease, each in done.items()], process_state.WORKER_ID
            )
            if completed:
                held = [each for lease, each in done.items() if lease in completed]
                self.save_results(session, held, dispatch, limited)
        for each in attempts:
            if each.lease in completed:
                each.completed = list(each.jobs)
