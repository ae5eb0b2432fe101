"""The job's life as a state machine: in whatever order things happen, nothing owed is lost and nothing is done twice.

Hypothesis delivers, repeats, reorders and loses hints, crashes workers, pauses queues, and lets time pass; beside it
goes a model that knows no SQL: for each piece of work, how many runs are owed and under which lease one is running.
`make check` tries a few histories, `make test` more; CHAOS_EXAMPLES=2000 makes it longer.
"""

from __future__ import annotations

import json
import os
import sys
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import hypothesis
import pytest
from hypothesis import HealthCheck, Phase
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import delete, event, select, true, update
from sqlalchemy.orm import Session

import actors
from aura.jobs import process_state
from aura.jobs.attempt import Attempt as AttemptInHand
from aura.jobs.relay import Relay
from aura.jobs.transport import Outgoing, PublishFailed
from aura.settings import get_settings
from db import hints, jobs, queue_controls, reading, transaction, workers
from db.database import engine
from db.jobs import Claimed, Failure, NewJob
from db.models import Attempt, DeadLetter, Job, QueueControl, Worker
from db.time import from_now
from tests.embedded import all_jobs, cache_no_controls, letters

Identity = tuple[str, str, str]

EXAMPLES = int(os.environ.get("CHAOS_EXAMPLES", "0"))
STEPS = 40
#: Two of these share a queue, and two follow each other in a pipeline.
ACTORS = ("receive", "intake", "classify", "notify")
QUEUES = ("tickets.intake", "ai.classify", "tickets.notify")
#: Seconds: what is due that much later is not due within a test, and a heartbeat that old is a dead worker's.
LONG = 3600.0
FAILURE = Failure("Trouble", "it did not work", "Traceback ...", "fingerprint0")

#: Chooses one of what there is; the newest is 0.
picks = st.integers(0, 9)
#: Which jobs of a batch, bit by bit.
masks = st.sampled_from([~0, ~0, 0b01, 0b10, 0b101])
new_jobs = st.builds(
    NewJob,
    actor=st.sampled_from(ACTORS),
    key=st.sampled_from("12"),
    priority=st.sampled_from([0, 0, 5, 9]),
    delay=st.sampled_from([0.0, 0.0, 0.0, LONG]),
) | st.builds(lambda key: NewJob("intake", key, [], "triage", ("classify", "notify")), st.sampled_from("12"))


def identity(of: Any) -> Identity:
    return (of.actor, of.key, of.pipeline)


def is_due_later(job: Job) -> bool:
    return job.due_at > datetime.now(UTC) + timedelta(seconds=LONG / 2)


def some(of: Sequence[Claimed], mask: int) -> list[Claimed]:
    return [job for number, job in enumerate(of) if mask >> number & 1]


def queue_of(actor: str) -> str:
    name: str = actors.broker.get_actor(actor).queue_name
    return name


@dataclass(eq=False)
class Batch:
    """What one worker claimed or took under one lease; it may be hung, and come back when others have its jobs."""

    lease: str
    worker: str
    jobs: list[Claimed] = field(default_factory=list)


class Inside:
    """The broker: a transport of the relay that keeps its hints, or refuses them."""

    def __init__(self) -> None:
        self.hints: list[tuple[str, list[int]]] = []
        self.refuses = False

    def open(self) -> None: ...
    def publish(self, batch: Sequence[Outgoing]) -> None:
        if self.refuses:
            raise PublishFailed("RabbitMQ refused a message")
        read = [json.loads(message.body) for message in batch]
        self.hints += [(envelope["actor_name"], envelope["args"][0]) for envelope in read]

    def depths(self, queues: Sequence[str]) -> dict[str, int]:
        held = Counter(queue_of(actor) for actor, _ in self.hints)
        return {queue: held[queue] for queue in queues}

    def wait(self, seconds: float, woken: Callable[[], bool]) -> None: ...
    def drain(self, queues: Sequence[str], keep: Callable[[str, bytes, str], None]) -> int:
        return 0

    def close(self) -> None: ...


class LocalWorker:
    """A worker that leases the next step in the transaction that enqueues it."""

    def __init__(self, worker: str, blocked: Sequence[str]) -> None:
        self.worker = worker
        self.batch = Batch(uuid.uuid4().hex, worker)
        self._blocked = blocked

    def lease(self, _session: Session | None, job: NewJob) -> str | None:
        return None if job.delay or queue_of(job.actor) in self._blocked else self.batch.lease

    def add(self, lease: str, job: Claimed) -> None:
        assert lease == self.batch.lease
        self.batch.jobs.append(job)


class JobMachine(RuleBasedStateMachine):
    """Every rule does one thing to the database and the same to the model; then the two must agree."""

    def __init__(self) -> None:
        super().__init__()
        with transaction() as session:
            for model in (Job, Attempt, Worker, DeadLetter, QueueControl):
                session.execute(delete(model))
        #: Runs that are owed for each piece of work: 2 when it was enqueued again while one is running.
        self.owed: dict[Identity, int] = {}
        self.held: dict[Identity, Batch] = {}
        self.crashes: Counter[Identity] = Counter()
        self.quarantined = self.dead = self.cancelled = 0
        self.paused: set[str] = set()
        self.limits: dict[str, int] = {}
        #: How many may run at once: the limit, or more while those are not done that ran when it was set.
        self.allowed: dict[str, int] = {}
        self.batches: list[Batch] = []
        self.broker = Inside()
        self.relay = Relay(actors.broker, self.broker, get_settings())
        self.workers: list[str] = []
        self.rows: list[Job] = []
        for _ in range(2):
            self.boot()

    # What the model knows

    def boot(self) -> None:
        self.workers.append(uuid.uuid4().hex)
        self.beat()

    def beat(self) -> None:
        with transaction() as session:
            for worker in self.workers:
                workers.beat(session, worker, "a worker")

    def owe(self, *enqueued: NewJob) -> None:
        for each in {identity(each): each for each in enqueued}:
            self.owed[each] = 2 if each in self.held else 1

    def free(self, each: Identity, *, done: bool) -> None:
        """The run is over: the job is completed or dead, or its run is still owed, and one more if it was enqueued meanwhile."""
        del self.held[each]
        self.owed[each] = self.owed[each] - 1 if done else 1
        if done:
            self.crashes.pop(each, None)

    def holding(self, batch: Batch) -> list[Claimed]:
        return [job for job in batch.jobs if self.held.get(identity(job)) is batch]

    def live(self) -> list[Batch]:
        return [batch for batch in reversed(self.batches) if self.holding(batch)]

    def under_way(self, pick: int) -> Batch | None:
        """Return a batch that somebody works on; when there is none, one is begun first, if any job can be."""
        if not self.live():
            self.deliver(0, pick, False)
        live = self.live()
        return live[pick % len(live)] if live else None

    # Enqueueing and hints

    @initialize(enqueued=st.lists(new_jobs, min_size=2, max_size=6))
    def start(self, enqueued: list[NewJob]) -> None:
        self.enqueue(enqueued)

    @rule(enqueued=st.lists(new_jobs, min_size=1, max_size=4))
    def enqueue(self, enqueued: list[NewJob]) -> None:
        with transaction() as session:
            jobs.enqueue(session, enqueued)
        self.owe(*enqueued)

    @precondition(lambda self: any(is_due_later(job) for job in self.rows))
    @rule(times=st.integers(1, 3))
    def time_passes(self, times: int) -> None:
        with transaction() as session:
            session.execute(update(Job).where(Job.due_at > from_now(0.0)).values(due_at=from_now(-float(times))))

    @precondition(lambda self: self.rows)
    @rule()
    def relay_round(self) -> None:
        before = len(self.broker.hints)
        suspects = self.suspects_under_way()
        self.relay.round()
        given = self.broker.hints[before:]
        queues = {queue_of(actor) for actor, _ in given}
        assert not queues & self.paused
        rows = {job.id: job for job in all_jobs()}
        for queue in queues & self.limits.keys():
            under_way = [job for job in rows.values() if job.hinted_at or job.lease]
            assert sum(queue_of(job.actor) == queue for job in under_way) <= self.limits[queue]
        for actor, ids in given:
            assert {(rows[i].actor, rows[i].lease, rows[i].hinted_at is None) for i in ids} == {(actor, None, False)}
            most = actors.broker.get_actor(actor).batch_size()
            assert len(ids) <= (1 if any(rows[i].attempts for i in ids) else most)
        new = [i for _, ids in given for i in ids if self.crashes[identity(rows[i])] >= hints.SUSPECT_AFTER]
        assert len(new) <= (0 if suspects else 1)

    def suspects_under_way(self) -> int:
        suspects = [job for job in all_jobs() if self.crashes[identity(job)] >= hints.SUSPECT_AFTER]
        return sum(job.lease is not None or job.hinted_at is not None for job in suspects)

    @precondition(lambda self: self.rows)
    @rule()
    def relay_round_that_the_broker_refuses(self) -> None:
        self.broker.refuses = True
        before = snapshot()
        try:
            self.relay.round()
        except PublishFailed:
            assert snapshot() == before
        finally:
            self.broker.refuses = False

    @precondition(lambda self: self.broker.hints)
    @rule(pick=picks)
    def a_hint_is_lost(self, pick: int) -> None:
        self.broker.hints.pop(pick % len(self.broker.hints))

    @precondition(lambda self: any(job.hinted_at and not job.lease for job in self.rows))
    @rule(age=st.sampled_from([20.0, 400.0]))
    def lost_hints_are_redispatched(self, age: float) -> None:
        with transaction() as session:
            session.execute(update(Job).where(Job.hinted_at.is_not(None)).values(hinted_at=from_now(-age)))
        self.relay.maintenance.redispatch_lost_hints()

    # Work

    @precondition(lambda self: self.rows)
    @rule(pick=picks, worker=picks, twice=st.booleans())
    def deliver(self, pick: int, worker: int, twice: bool) -> None:
        hints_inside = self.broker.hints
        if not hints_inside:
            self.relay_round()
        if not hints_inside:
            return
        actor, ids = hints_inside[pick % len(hints_inside)] if twice else hints_inside.pop(pick % len(hints_inside))
        batch = Batch(uuid.uuid4().hex, self.workers[worker % len(self.workers)])
        with working_as(batch.worker):
            durable: Any = actors.broker.get_actor(actor)
            with transaction() as session:
                batch.jobs = durable.claim(session, AttemptInHand(durable, batch.lease), ids)
        claimed = [identity(job) for job in batch.jobs]
        assert {job.id for job in batch.jobs} <= set(ids)
        assert not self.held.keys() & set(claimed), "leased twice"
        assert not claimed or queue_of(actor) not in self.paused
        assert len(claimed) < 2 or not any(self.crashes[each] for each in claimed), "a suspect takes others along"
        self.held |= dict.fromkeys(claimed, batch)
        if batch.jobs:
            self.batches.append(batch)

    @precondition(lambda self: self.rows)
    @rule(pick=picks, mask=masks, local_dispatch=st.booleans())
    def keep(self, pick: int, mask: int, local_dispatch: bool) -> None:
        if batch := self.under_way(pick):
            self.keep_some(batch, mask, local_dispatch)

    @precondition(lambda self: self.batches)
    @rule(pick=picks)
    def keep_late(self, pick: int) -> None:
        self.keep_some(self.batches[pick % len(self.batches)], ~0, False)

    def keep_some(self, batch: Batch, mask: int, local_dispatch: bool) -> None:
        chosen = some(batch.jobs, mask)
        expected = [job for job in chosen if job in self.holding(batch)]
        before = snapshot()
        local = LocalWorker(batch.worker, [*self.paused, *self.limits])
        with transaction() as session:
            kept = jobs.complete(session, batch.lease, chosen, "w", 0.0)
            following = [
                NewJob(job.next_steps[0], job.key, [], job.pipeline, job.next_steps[1:], job.priority)
                for job in kept
                if job.next_steps
            ]
            if local_dispatch:
                jobs.dispatch_locally(session, local)
            jobs.enqueue(session, following)
        assert kept == expected
        assert kept or snapshot() == before, "a worker that lost its lease changed something"
        for job in kept:
            self.free(identity(job), done=True)
        new = [each for each in following if not self.owed.get(identity(each))]
        self.owe(*following)
        taken = {identity(each) for each in new if local_dispatch and local.lease(None, each)}
        assert {identity(job) for job in local.batch.jobs} == taken
        self.held |= dict.fromkeys(taken, local.batch)
        if taken:
            self.batches.append(local.batch)

    @precondition(lambda self: self.rows)
    @rule(pick=picks, mask=masks, delay=st.sampled_from([0.0, LONG]))
    def retry(self, pick: int, mask: int, delay: float) -> None:
        if batch := self.under_way(pick):
            self.retry_some(batch, mask, delay)

    @precondition(lambda self: self.batches)
    @rule(pick=picks)
    def retry_late(self, pick: int) -> None:
        self.retry_some(self.batches[pick % len(self.batches)], ~0, 0.0)

    def retry_some(self, batch: Batch, mask: int, delay: float) -> None:
        failed = some(batch.jobs, mask)
        with transaction() as session:
            held = jobs.still_held(session, batch.lease, failed)
            jobs.retry(session, [(job, FAILURE, delay) for job in held])
        assert held == [job for job in failed if job in self.holding(batch)]
        for job in held:
            self.free(identity(job), done=False)
            self.crashes.pop(identity(job), None)

    @precondition(lambda self: self.rows)
    @rule(pick=picks, mask=masks)
    def dead_letter(self, pick: int, mask: int) -> None:
        if batch := self.under_way(pick):
            self.dead_letter_some(batch, mask)

    @precondition(lambda self: self.batches)
    @rule(pick=picks)
    def dead_letter_late(self, pick: int) -> None:
        self.dead_letter_some(self.batches[pick % len(self.batches)], ~0)

    def dead_letter_some(self, batch: Batch, mask: int) -> None:
        failed = some(batch.jobs, mask)
        with transaction() as session:
            held = jobs.still_held(session, batch.lease, failed)
            jobs.dead_letter(session, [(job, FAILURE) for job in held])
        assert held == [job for job in failed if job in self.holding(batch)]
        for job in held:
            self.free(identity(job), done=True)
        self.dead += len(held)

    # Workers

    @precondition(lambda self: self.rows)
    @rule(pick=picks, times=st.integers(0, 3))
    def crash(self, pick: int, times: int) -> None:
        """A worker stops beating, so many times over before the sweep comes, and it is not found yet with 0."""
        for number in range(max(times, 1)):
            batch = self.under_way(pick)
            dead = batch.worker if batch and batch.worker in self.workers else self.workers[0]
            self.workers.remove(dead)
            with transaction() as session:
                session.execute(update(Worker).where(Worker.id == dead).values(heartbeat_at=from_now(-2 * LONG)))
            self.boot()
            if number < times:
                self.recover()

    @precondition(lambda self: self.held)
    @rule()
    def recover(self) -> None:
        orphaned = {each for each, batch in self.held.items() if batch.worker not in self.workers}
        self.crashes.update(orphaned)
        poison = {each for each in orphaned if self.crashes[each] >= workers.QUARANTINE_AFTER}
        with transaction() as session:
            assert workers.recover(session, LONG) == (len(orphaned - poison), len(poison))
        for each in orphaned:
            self.free(each, done=each in poison)
        self.quarantined += len(poison)

    @precondition(lambda self: self.held)
    @rule(pick=picks, hung=st.booleans())
    def return_jobs(self, pick: int, hung: bool) -> None:
        worker = self.workers[pick % len(self.workers)]
        busy = [batch for batch in self.live() if batch.worker == worker][: 1 if hung else 0]
        returned = [e for e, batch in self.held.items() if batch.worker == worker and batch not in busy]
        with transaction() as session:
            assert workers.release(session, worker, lambda: {batch.lease for batch in busy}) == len(returned)
        for each in returned:
            self.free(each, done=False)

    # Operators

    @precondition(lambda self: self.rows)
    @rule(queue=st.sampled_from(QUEUES), seconds=st.sampled_from([None, LONG]))
    def pause_or_resume(self, queue: str, seconds: float | None) -> None:
        with transaction() as session:
            if queue in self.paused:
                queue_controls.resume(session, queue)
            else:
                queue_controls.pause(session, queue, seconds)
        self.paused ^= {queue}

    @precondition(lambda self: self.rows)
    @rule(queue=st.sampled_from(QUEUES), most=st.sampled_from([1, 2, None]))
    def limit(self, queue: str, most: int | None) -> None:
        with transaction() as session:
            queue_controls.limit(session, queue, most)
        if most is None:
            self.limits.pop(queue, None)
            self.allowed.pop(queue, None)
        else:
            self.limits[queue] = most
            self.allowed[queue] = max(most, sum(queue_of(actor) == queue for actor, _, _ in self.held))

    @precondition(lambda self: len(self.rows) > 2)
    @rule(pick=picks)
    def cancel(self, pick: int) -> None:
        job = self.rows[pick % len(self.rows)]
        with transaction() as session:
            assert queue_controls.cancel(session, job.id, "a test").was_running == (identity(job) in self.held)
        self.held.pop(identity(job), None)
        del self.owed[identity(job)]
        self.crashes.pop(identity(job), None)
        self.cancelled += 1

    # What must hold

    @invariant()
    def the_model_and_the_table_agree(self) -> None:
        self.owed = {each: runs for each, runs in self.owed.items() if runs}
        self.rows = all_jobs()
        rows = {identity(job): job for job in self.rows}
        assert {each: 1 + job.rerun for each, job in rows.items()} == self.owed, "owed"
        leases = {each: (job.lease, job.worker) for each, job in rows.items() if job.lease or job.worker}
        assert leases == {each: (batch.lease, batch.worker) for each, batch in self.held.items()}, "leases"
        assert {each: job.crashes - (each in leases) for each, job in rows.items() if job.crashes} == {
            each: self.crashes[each] for each in rows if self.crashes[each] or each in leases
        }, "crashes"
        for queue, most in self.limits.items():
            running = sum(queue_of(actor) == queue for actor, _, _ in self.held)
            assert running <= self.allowed[queue], "limit"
            self.allowed[queue] = max(most, running)
        dead = Counter(letter.error_type for letter in letters())
        assert dead == +Counter(Quarantined=self.quarantined, Trouble=self.dead, Cancelled=self.cancelled)

    def teardown(self) -> None:
        if sys.exception() is None:
            self.drain()

    def drain(self) -> None:
        """When the trouble is over, all that is owed is done."""
        for queue in QUEUES:
            self.limit(queue, None)
        for queue in sorted(self.paused):
            self.pause_or_resume(queue, None)
        for _ in range(8 * len(ACTORS)):
            if not self.owed:
                return
            self.beat()
            self.time_passes(1)
            self.recover()
            self.lost_hints_are_redispatched(400.0)
            self.relay_round()
            while self.broker.hints:
                self.deliver(0, 0, False)
            while live := self.live():
                self.keep_some(live[0], ~0, True)
            for pick in range(len(self.workers)):
                self.return_jobs(pick, False)
            self.the_model_and_the_table_agree()
        raise AssertionError(f"never done: {self.owed}")


def snapshot() -> list[Any]:
    """Return every job, column by column."""
    with reading() as session:
        return [tuple(row) for row in session.execute(select(*Job.__table__.c).order_by(Job.id))]


@contextmanager
def working_as(worker: str) -> Iterator[None]:
    """Let this process be that worker for a moment."""
    usual, process_state.WORKER_ID = process_state.WORKER_ID, worker
    try:
        yield
    finally:
        process_state.WORKER_ID = usual


@pytest.fixture(autouse=True)
def quick(database: str, configure: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Small batches, controls that are obeyed at once, and a disk that need not be waited for."""
    configure(AURA_JOBS_PER_HINT="3", AURA_MAX_IN_FLIGHT="6")
    cache_no_controls(monkeypatch)
    if engine().dialect.name == "sqlite":
        event.listen(engine(), "connect", lambda connection, _: connection.execute("PRAGMA synchronous = OFF"))


def run(examples: int, **options: Any) -> None:
    chosen = hypothesis.settings(
        max_examples=examples,
        stateful_step_count=STEPS,
        phases=[Phase.generate],  # what fails is not made smaller: that takes minutes, and forty steps can be read
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        report_multiple_bugs=False,
        **options,
    )
    run_state_machine_as_test(JobMachine, settings=chosen)


@pytest.mark.hypothesis
def test_nothing_owed_is_lost_and_nothing_is_done_twice():
    share = 0.3 if engine().dialect.name == "sqlite" else 0.15  # of what the profile wants: forty steps are many
    run(EXAMPLES or round(share * hypothesis.settings.default.max_examples))


def test_a_job_enqueued_while_running_outlives_its_dead_letter():
    # found by the machine: the second run went to the dead letters with the first
    machine = JobMachine()
    machine.enqueue([NewJob("classify", "1")])
    machine.deliver(0, 0, False)
    machine.enqueue([NewJob("classify", "1")])
    machine.dead_letter_some(machine.batches[0], ~0)
    machine.the_model_and_the_table_agree()
    assert machine.owed == {("classify", "1", ""): 1}
    machine.drain()


# -- mutants: with a protection off, the machine goes red -------------------------------------------------------------


def without_the_lease_check(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(jobs, "held_by", lambda _lease: true())


def leasing_what_is_leased(patch: pytest.MonkeyPatch) -> None:
    claim = jobs.claim

    def anyway(session: Session, actor: str, ids: Sequence[int], *more: Any) -> list[Claimed]:
        session.execute(update(Job).where(Job.id.in_(ids)).values(lease=None))
        return claim(session, actor, ids, *more)

    patch.setattr(jobs, "claim", anyway)


def forgetting_a_rerun(patch: pytest.MonkeyPatch) -> None:
    keep = jobs.complete

    def once(session: Session, lease: str, kept: Sequence[Claimed], worker: str, seconds: float) -> list[Claimed]:
        session.execute(update(Job).where(Job.id.in_([job.id for job in kept])).values(rerun=False))
        return keep(session, lease, kept, worker, seconds)

    patch.setattr(jobs, "complete", once)


MUTANTS = [without_the_lease_check, leasing_what_is_leased, forgetting_a_rerun]


@pytest.mark.slow
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.__name__)
def test_the_machine_sees_a_mutant(mutant: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch):
    mutant(monkeypatch)

    with pytest.raises(AssertionError):
        run(300, derandomize=True)
