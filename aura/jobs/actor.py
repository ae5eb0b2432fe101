"""Durable actors: `send` inserts a job in the caller's transaction, a hint makes a worker claim, run and complete it.

    @durable(queue_name="ai.classify", load=tickets.load, save=save_verdicts)
    def classify(tickets: list[Ticket]) -> list[Verdict]: ...

The function gets a batch of loaded items, outside any transaction, and returns one result for each; a result that is an
exception fails that job alone. `save` records the results in the transaction that completes the jobs.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any, TypeVar, cast

import dramatiq
import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session
from structlog.contextvars import bind_contextvars

from aura.jobs import metrics, process_state, tracing
from aura.jobs.attempt import Attempt, Missing
from aura.jobs.backoff import backoff
from aura.jobs.local_dispatch import LocalDispatch
from aura.jobs.slots import SlotAccess
from aura.settings import Settings, first_line, get_settings
from db import hints, jobs, queue_controls, reading, transaction
from db.jobs import Claimed, NewJob
from db.queue_controls import Control
from db.unavailable import is_unavailable

if TYPE_CHECKING:
    from aura.jobs.broker import JobBroker

logger = structlog.get_logger("aura.jobs")

#: Finds the items of jobs: (session, keys) -> item by key. Without one, the function gets the jobs themselves.
Load = Callable[[Session, Sequence[str]], Mapping[str, Any]]
T = TypeVar("T")
#: Most keys in a log line.
KEYS_LOGGED = 20
#: Milliseconds an attempt may take when its actor sets no `time_limit`.
TIME_LIMIT = 60_000
#: Seconds: the first and the longest pause before a claim is tried again that failed because the database was away.
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 1.0


class DeadLettered(Exception):
    """Jobs of the hint became dead letters: Dramatiq moves the hint to the queue's `.XQ`."""


class Unclaimed(Exception):
    """No job of the hint could be claimed, because the database was away: RabbitMQ delivers the hint again."""


@dataclass(slots=True)
class JobResult:
    """A job with its item and its result; `priority` is the next step's, and `save` may change it.

    Jobs that `save` enqueues belong to the trace of `traceparent`.
    """

    job: Claimed
    item: Any
    result: Any
    priority: int
    traceparent: str | None = None


Save = Callable[[Session, list[JobResult]], None]


class DurableActor(dramatiq.Actor[Any, Any]):
    """A Dramatiq actor whose messages are hints; the job is a row of `jobs`."""

    load: Load | None = None
    save: Save

    @cached_property
    def key_label(self) -> str:
        """The name of the jobs' keys in log lines."""
        return cast("JobBroker", self.broker).program.key_label(self)

    def batch_size(self, settings: Settings | None = None) -> int:
        """Return the most jobs in one hint and in one call: the option `batch`, or AURA_JOBS_PER_HINT."""
        settings = settings or get_settings()
        return int(self.option("batch", settings) or settings.jobs_per_hint)

    def slot_access(self) -> SlotAccess | None:
        """Return the slots of an actor whose jobs run on the event loop; None while they run in threads."""
        return None

    def option(self, name: str, settings: Settings | None = None) -> Any:
        """Return the value of an option or None; a function of the settings stands for its result."""
        value = self.options.get(name)
        return value(settings or get_settings()) if callable(value) else value

    def send_with_options(
        self,
        *,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
        delay: timedelta | int | None = None,
        priority: int = 0,
        pipeline: str = "",
        next_steps: tuple[str, ...] = (),
        share: int = 0,
        **options: Any,
    ) -> dramatiq.Message[Any]:
        """Enqueue a job: in the open transaction if there is one, else in its own; never waits for a broker.

        `delay` is a timedelta or milliseconds, `priority` 0 to 9, higher first, `share` the turn-taking key of
        `db.fair_shares`. The first argument is the job's key.
        Raises TypeError for an unknown option, ValueError for a missing key or a priority out of range.
        """
        if options or kwargs:
            unknown = ", ".join(sorted({*options, *(kwargs or {})}))
            raise TypeError(f"{self.actor_name} takes args, delay and priority, not {unknown}")
        if not args:
            raise ValueError(f"{self.actor_name}.send needs the key of the job, such as a ticket id")
        if type(priority) is not int or not isinstance(delay, timedelta | int | None):
            raise TypeError("priority is an int, and delay a timedelta or an int of milliseconds")
        if not 0 <= priority <= 9:
            raise ValueError(f"priority must be 0 to 9, not {priority}")
        seconds = delay.total_seconds() if isinstance(delay, timedelta) else (delay or 0) / 1000
        seconds = max(seconds, 0.0)
        job = NewJob(
            self.actor_name, str(args[0]), list(args[1:]), pipeline, next_steps, priority, seconds, share=share
        )
        with transaction() as session:
            jobs.enqueue(session, [job])
        return self.message_with_options(args=args)

    def __call__(self, job_ids: Sequence[int], lease: Any = None) -> None:
        """Make one attempt at the jobs of a hint, and settle the outcome of each.

        With a lease, which only this process can name, the jobs are claimed already (see `aura.jobs.local_dispatch`).
        """
        attempt = Attempt(self, lease or uuid.uuid4().hex)
        # the lease counts as running before the database knows of it
        process_state.attempts[attempt.lease] = attempt
        try:
            with attempt.interruptible((self.option("time_limit") or TIME_LIMIT) / 1000):
                self.perform(attempt, job_ids)
        except BaseException as error:
            attempt.error = error
        self.settle(attempt)
        if attempt.dead:
            raise DeadLettered(f"{len(attempt.dead)} jobs became dead letters") from attempt.error
        if attempt.error is not None:
            if not attempt.jobs and not attempt.completed and is_unavailable(attempt.error):
                raise Unclaimed("the jobs of a hint could not be claimed") from attempt.error
            raise attempt.error

    def perform(self, attempt: Attempt, job_ids: Sequence[int]) -> None:
        """Claim the jobs, run the function and complete them; may be interrupted at any line."""
        local = process_state.local_jobs.pop(attempt.lease, None)
        if local is None:
            local = self.when_available(attempt, lambda session: self.claim(session, attempt, job_ids))
        attempt.jobs = local
        if attempt.jobs:
            self.begin(attempt)
            if results := self.run(attempt):
                with LocalDispatch(self.broker) as dispatch, transaction() as session:
                    completed = self.complete(session, attempt, results, dispatch)
                attempt.completed = completed

    def settle(self, attempt: Attempt) -> None:
        """Call the hooks of the middleware, and end the attempt."""
        # Dramatiq's own order: from the last middleware to the first, whatever one of them raises
        hooks = ["after_failure", "after_attempt"] if attempt.error or attempt.failures else ["after_attempt"]
        try:
            for name, middleware in [(name, each) for name in hooks for each in reversed(self.broker.middleware)]:
                if (hook := getattr(middleware, name, None)) is not None:
                    try:
                        hook(attempt)
                    except Exception:
                        logger.critical("middleware failed", middleware=type(middleware).__name__, exc_info=True)
        finally:
            # from now on the heartbeat releases every job that the lease still holds
            process_state.attempts.pop(attempt.lease, None)

    def when_available(self, attempt: Attempt, call: Callable[[Session], T]) -> T:
        """Return the result of a call in a transaction. While the database is away, wait for it as long as the worker runs.

        The hint is not acked meanwhile: else its jobs would count as lost hints first, and wait for 15 seconds more.
        """
        failures = 0
        while True:
            try:
                with transaction() as session:
                    return call(session)
            except SQLAlchemyError as error:
                if process_state.worker is None or not is_unavailable(error):
                    raise
                failures += 1
                if failures == 1:
                    logger.warning("claim failed; waiting for the database", error=first_line(error))
            attempt.deadline = time.monotonic() + (self.option("time_limit") or TIME_LIMIT) / 1000
            time.sleep(backoff(failures, FIRST_PAUSE, LONGEST_PAUSE))

    def claim(
        self,
        session: Session,
        attempt: Attempt,
        job_ids: Sequence[int],
        most: int | None = None,
        own_leases: bool = False,
    ) -> list[Claimed]:
        """Lease those jobs that are due and free, at most `most`; none of a paused queue, nor beyond a limit."""
        control = attempt.control = process_state.queue_controls(session).get(self.queue_name)
        # a hint of ours names a batch at most; a forged one must not make an attempt too large for its time limit
        ids = job_ids[: self.batch_size()]
        if control is not None and (control.paused or control.limit is not None):
            ids = ids[: self._room(session, control)]
            hints.release(session, job_ids[len(ids) :])
        claimed = jobs.claim(session, self.actor_name, ids, attempt.lease, process_state.WORKER_ID, most, own_leases)
        if most is not None and len(claimed) == most:
            ids = [each for each in ids if each <= claimed[-1].id]  # the others are not asked for yet
        metrics.DUPLICATES.labels(self.actor_name).inc(len(ids) - len(claimed))
        waited = metrics.WAITED.labels(self.actor_name)
        for job in claimed:
            waited.observe(job.waited)
        return claimed

    def _room(self, session: Session, control: Control) -> int:
        """Return how many more jobs of the queue may run: a hint from before the limit must not go beyond it."""
        if control.paused or control.limit is None:
            return 0 if control.paused else self.batch_size()
        queue_controls.lock(session)
        running = hints.running(session)
        sharing = [name for name, other in self.broker.actors.items() if other.queue_name == self.queue_name]
        return max(control.limit - sum(running.get(name, 0) for name in sharing), 0)

    def begin(self, attempt: Attempt) -> None:
        """Begin the jobs' spans, and bind their keys and traces to every log line below."""
        attempt.spans |= (spans := tracing.begin(self.actor_name, attempt.jobs))
        logged = attempt.jobs[:KEYS_LOGGED]
        bind_contextvars(
            **{self.key_label: [job.key for job in logged]},
            job_ids=[job.id for job in logged],
            traces=[spans[job.id].trace_id for job in logged],
        )

    def run(self, attempt: Attempt) -> list[JobResult]:
        """Load the items of the jobs and call the function; failures are noted in the attempt."""
        items = self.load_items(attempt.jobs)
        loaded = [job for job in attempt.jobs if job.key in items]
        for job in attempt.jobs:
            if job.key not in items:
                attempt.failures.append((job, self.missing(job)))
        results = attempt.call(self.fn, [items[job.key] for job in loaded]) if loaded else []
        if len(results) != len(loaded):
            raise TypeError(f"{self.actor_name} returned {len(results)} results for {len(loaded)} jobs")
        good = []
        for job, result in zip(loaded, results, strict=True):
            if isinstance(result, Exception):
                attempt.failures.append((job, result))
            else:
                good.append(JobResult(job, items[job.key], result, job.priority, attempt.spans[job.id].traceparent))
        return good

    def load_items(self, jobs: Sequence[Claimed]) -> Mapping[str, Any]:
        """Return the items of the jobs by key."""
        if self.load is None:
            return {job.key: job for job in jobs}
        with reading() as session:
            return self.load(session, [job.key for job in jobs])

    def missing(self, job: Claimed) -> Missing:
        """Return the error of a job without an item."""
        return Missing(f"{self.actor_name} found nothing with the key {job.key!r}")

    def complete(
        self, session: Session, attempt: Attempt, results: list[JobResult], dispatch: LocalDispatch | None = None
    ) -> list[Claimed]:
        """Complete the jobs that the lease still holds, with their effects and next steps; return them."""
        completed = jobs.complete(
            session,
            attempt.lease,
            [each.job for each in results],
            process_state.WORKER_ID,
            time.perf_counter() - attempt.claimed,
        )
        held = {job.id for job in completed}
        if results := [each for each in results if each.job.id in held]:
            limited = attempt.control is not None and attempt.control.limit is not None
            self.save_results(session, results, dispatch, limited)
        return completed

    def save_results(
        self, session: Session, results: list[JobResult], dispatch: LocalDispatch | None, limited: bool
    ) -> None:
        """Save the results of jobs that this transaction completes, and enqueue their next steps."""
        if dispatch is not None:
            dispatch.accept(session)
        self.save(session, results)
        if next_steps := [_next_step(each) for each in results if each.job.next_steps]:
            jobs.enqueue(session, next_steps)
        if limited:
            jobs.wake_relay(session)  # the limit leaves room for the next job


def _next_step(done: JobResult) -> NewJob:
    return NewJob(
        done.job.next_steps[0],
        done.job.key,
        pipeline=done.job.pipeline,
        next_steps=done.job.next_steps[1:],
        priority=done.priority,
        traceparent=done.traceparent,
        share=done.job.share,
    )


def durable(
    *,
    queue_name: str,
    save: Save,
    load: Load | None = None,
    kind: type[DurableActor] = DurableActor,
    in_batches: Callable[[list[Any]], Sequence[Any]] | None = None,
    prepare: Callable[[list[Any]], Sequence[Any]] | None = None,
    finish: Callable[[list[Any], list[Any]], Sequence[Any]] | None = None,
    **options: Any,
) -> Callable[[Callable[[Any], Any]], DurableActor]:
    """Declare a durable actor on Dramatiq's broker.

    Options: `batch` (jobs in one call), `max_attempts`, `time_limit` (milliseconds), `bulkhead` (share of the threads),
    `background` (one message at a time in a process), and Dramatiq's `priority`. A function of the settings stands for a
    value that depends on them: settings are not read when an actor is declared.

    An `async def` function gets one item and runs on the worker's event loop (see `aura.jobs.async_actor`). Its further
    options are `concurrency`, `in_batches`, `prepare` and `finish`, and `bulkhead` is a share of the slots.
    """

    def declare(fn: Callable[[Any], Any]) -> DurableActor:
        if iscoroutinefunction(fn):
            from aura.jobs.async_actor import AsyncActor  # it imports this module

            actor: Any = dramatiq.actor(actor_class=AsyncActor, queue_name=queue_name, **options)(fn)
            actor.coroutine, actor.fn, actor.has_batches = fn, in_batches, in_batches is not None
            actor.prepare, actor.finish = prepare, finish
        elif in_batches or prepare or finish or "concurrency" in options:
            raise TypeError(f"{fn.__name__} is no async def function, so it takes no option of one")
        else:
            actor = dramatiq.actor(actor_class=kind, queue_name=queue_name, **options)(fn)
        assert isinstance(actor, DurableActor)
        actor.load, actor.save = load, save
        return actor

    return declare
