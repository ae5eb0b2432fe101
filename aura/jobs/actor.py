"""Durable actors: `send` writes a job row in the caller's transaction, a hint makes a worker claim, work and keep.

    @durable(queue_name="ai.classify", load=tickets.load, save=save_verdicts)
    def classify(tickets: list[Ticket]) -> list[Verdict]: ...

The function gets what `load` found, a batch at a time, outside any transaction, and returns one result for each; a
result that is an exception fails that job alone. `save` records the results in the transaction that keeps the jobs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import dramatiq
from sqlalchemy.orm import Session
from structlog.contextvars import bind_contextvars

from aura.jobs import attempt as attempts
from aura.jobs import control_cache, local_dispatch, metrics, tracing
from aura.jobs.attempt import Attempt, Missing
from aura.jobs.batches import batch_size
from aura.settings import get_settings
from db import hints, jobs, queue_controls, reading, tickets, traces, transaction
from db.jobs import Claimed, NewJob

#: Finds what the jobs are about: (session, keys) -> item by key. Without one, the function gets the jobs themselves.
Load = Callable[[Session, Sequence[str]], Mapping[str, Any]]


#: Most keys that a log line names.
KEYS_LOGGED = 20


@dataclass(slots=True)
class JobResult:
    """A job with what it was about and what came out; `priority` is the next step's, and `save` may change it.

    What `save` promises because of it belongs to the trace of `traceparent`.
    """

    job: Claimed
    item: Any
    result: Any
    priority: int
    traceparent: str | None = None


Save = Callable[[Session, list[JobResult]], None]


class DurableActor(dramatiq.Actor[Any, Any]):
    """A Dramatiq actor whose messages are hints and whose truth is a row of `jobs`."""

    load: Load | None = None
    save: Save

    def send_with_options(
        self,
        *,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
        delay: timedelta | int | None = None,
        priority: int = 0,
        pipeline: str = "",
        next_steps: tuple[str, ...] = (),
        **options: Any,
    ) -> dramatiq.Message[Any]:
        """Promise the work: in the open transaction if there is one, else in its own; never waits for a broker.

        `delay` is a timedelta or milliseconds, `priority` 0 to 9, higher first. The first argument is the job's key.
        Raises TypeError for an unknown option, ValueError for a missing key or a priority out of range.
        """
        if options or kwargs:
            unknown = ", ".join(sorted({*options, *(kwargs or {})}))
            raise TypeError(f"{self.actor_name} takes args, delay and priority, not {unknown}")
        if not args:
            raise ValueError(f"{self.actor_name}.send needs the key of the work, such as a ticket id")
        if type(priority) is not int or not isinstance(delay, timedelta | int | None):
            raise TypeError("priority is an int, and delay a timedelta or an int of milliseconds")
        if not 0 <= priority <= 9:
            raise ValueError(f"priority must be 0 to 9, not {priority}")
        seconds = delay.total_seconds() if isinstance(delay, timedelta) else (delay or 0) / 1000
        promise = NewJob(
            self.actor_name, str(args[0]), list(args[1:]), pipeline, next_steps, priority, max(seconds, 0.0)
        )
        with transaction() as session:
            jobs.enqueue(session, [promise])
        return self.message_with_options(args=args)

    def __call__(self, job_ids: Sequence[int], lease: str | None = None) -> None:
        """Claim, work and keep the jobs of one hint; what failed is left to the middleware.

        With a lease, which only this process can name, the jobs are claimed already (see `aura.jobs.local_dispatch`).
        """
        attempt = attempts.begin(self.actor_name, lease)
        attempt.jobs = self.claim(job_ids, attempt.lease) if lease is None else local_dispatch.claimed(lease)
        if attempt.jobs:
            self.about(attempt)
            self._keep(attempt, self.work(attempt))

    def about(self, attempt: Attempt) -> None:
        """Have every log line below, the engine's and the channel's too, say which tickets and traces it is about."""
        about = "tickets" if self.load is tickets.load else "keys"
        spans = tracing.begin(self.actor_name, attempt.jobs)
        attempt.spans |= spans
        named = attempt.jobs[:KEYS_LOGGED]
        bind_contextvars(
            **{about: [job.key for job in named]},
            job_ids=[job.id for job in named],
            traces=[traces.trace_of(spans[job.id].traceparent) for job in named],
        )

    def claim(self, job_ids: Sequence[int], lease: str, most: int | None = None) -> list[Claimed]:
        """Lease those of the jobs that are to be had, at most so many; none of a paused queue, nor past a limit."""
        with transaction() as session:
            # a hint of ours names a batch at most; a forged one must not make an attempt too large for its time limit
            room = batch_size(self, get_settings())
            held = control_cache.of(session, self.queue_name)
            if held.paused:
                room = 0
            elif held.limit is not None:
                # a hint that was given before the limit was set, or twice, must not go past it
                queue_controls.lock(session)
                busy = hints.running(session)
                sharing = [name for name, other in self.broker.actors.items() if other.queue_name == self.queue_name]
                room = min(room, max(held.limit - sum(busy.get(name, 0) for name in sharing), 0))
            ids = job_ids[:room]
            if held.paused or held.limit is not None:
                hints.release(session, job_ids[room:])
            claimed = jobs.claim(session, self.actor_name, ids, lease, attempts.WORKER_ID, most)
        if most is not None and len(claimed) == most:
            ids = [each for each in ids if each <= claimed[-1].id]  # nobody has asked for the others yet
        metrics.DUPLICATES.labels(self.actor_name).inc(len(ids) - len(claimed))
        waited = metrics.WAITED.labels(self.actor_name)
        for job in claimed:
            waited.observe(job.waited)
        return claimed

    def work(self, attempt: Attempt) -> list[JobResult]:
        """Load what the claimed jobs are about, and call the function; what failed is noted in the attempt."""
        items: Mapping[str, Any] = {job.key: job for job in attempt.jobs}
        if self.load is not None:
            with reading() as session:
                items = self.load(session, [job.key for job in attempt.jobs])
        found = [job for job in attempt.jobs if job.key in items]
        for job in attempt.jobs:
            if job.key not in items:
                attempt.failures.append((job, Missing(f"{self.actor_name} found nothing with the key {job.key!r}")))
        with attempts.working(attempt):
            results = self.fn([items[job.key] for job in found]) if found else []
        if len(results) != len(found):
            raise TypeError(f"{self.actor_name} returned {len(results)} results for {len(found)} jobs")
        done = []
        for job, result in zip(found, results, strict=True):
            if isinstance(result, Exception):
                attempt.failures.append((job, result))
            else:
                done.append(JobResult(job, items[job.key], result, job.priority, attempt.spans[job.id].traceparent))
        return done

    def _keep(self, attempt: Attempt, done: list[JobResult]) -> None:
        if not done:
            return
        with local_dispatch.LocalDispatch(self.broker) as taker, transaction() as session:
            kept = self.record(session, attempt, done, taker)
        attempt.completed = kept

    def record(
        self,
        session: Session,
        attempt: Attempt,
        done: list[JobResult],
        taker: local_dispatch.LocalDispatch | None = None,
    ) -> list[Claimed]:
        """Keep the jobs that the lease still holds, with their effects and next steps; return them."""
        mine = [each.job for each in done]
        held = {job.id for job in jobs.complete(session, attempt.lease, mine, attempts.WORKER_ID, attempt.seconds)}
        done = [each for each in done if each.job.id in held]
        if done:
            if taker is not None:
                taker.watch(session)
            self.save(session, done)
            next_steps = [
                NewJob(
                    each.job.next_steps[0],
                    each.job.key,
                    pipeline=each.job.pipeline,
                    next_steps=each.job.next_steps[1:],
                    priority=each.priority,
                    traceparent=each.traceparent,
                )
                for each in done
                if each.job.next_steps
            ]
            jobs.enqueue(session, next_steps)
            if control_cache.of(session, self.queue_name).limit is not None:
                jobs.wake_relay(session)  # there is room again for what waits
        return [each.job for each in done]


def durable(
    *,
    queue_name: str,
    save: Save,
    load: Load | None = None,
    kind: type[DurableActor] = DurableActor,
    **options: Any,
) -> Callable[[Callable[[list[Any]], Sequence[Any]]], DurableActor]:
    """Declare a durable actor; options are those of the middleware: batch, max_attempts, time_limit (milliseconds)."""

    def declare(fn: Callable[[list[Any]], Sequence[Any]]) -> DurableActor:
        actor = dramatiq.actor(actor_class=kind, queue_name=queue_name, **options)(fn)
        assert isinstance(actor, DurableActor)
        actor.load, actor.save = load, save
        return actor

    return declare
