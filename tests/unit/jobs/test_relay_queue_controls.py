"""Pauses and limits: obeyed by the relay and by the claim, over every actor of a queue and every relay."""

from __future__ import annotations

import contextlib
import json
import threading
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import func, select, text, update
from sqlalchemy.orm import Session

import actors
from aura.jobs import process_state
from aura.jobs.attempt import Attempt
from aura.jobs.process_state import WORKER_ID
from aura.jobs.relay import Relay
from aura.jobs.transport import Outgoing
from aura.jobs.ttl_cache import TTLCache
from aura.settings import get_settings
from db import hints, jobs, queue_controls, reading, transaction
from db.database import engine
from db.jobs import Claimed, Failure, NewJob
from db.models import Job, QueueControl
from db.queue_controls import Control
from tests.conftest import wait_until
from tests.embedded import all_jobs, cache_no_controls, claim, enqueue, mark_hinted, move

FAILURE = Failure("Trouble", "it did not work", "Traceback ...", "fingerprint0")

on_postgresql = pytest.mark.parametrize(
    "database", [pytest.param("postgres", marks=pytest.mark.integration)], indirect=True
)


@pytest.fixture(autouse=True)
def seen_at_once(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at the table each time."""
    cache_no_controls(monkeypatch)


class Shelf:
    """A transport that keeps published hints."""

    def __init__(self) -> None:
        self.hints: list[tuple[str, list[int]]] = []

    def open(self) -> None: ...
    def publish(self, batch: Sequence[Outgoing]) -> None:
        read = [json.loads(message.body) for message in batch]
        self.hints += [(envelope["actor_name"], envelope["args"][0]) for envelope in read]

    def close(self) -> None: ...


def do(function: Callable[..., Any], *arguments: Any) -> Any:
    with transaction() as session:
        return function(session, *arguments)


def relay(**values: Any) -> list[tuple[str, int]]:
    """Relay once. Returns the actor of each hint and how many jobs it names."""
    shelf = Shelf()
    Relay(actors.broker, shelf, get_settings().model_copy(update=values)).round()  # type: ignore[arg-type]
    return [(actor, len(ids)) for actor, ids in shelf.hints]


def deliver(actor: str, *ids: int, lease: str = "lease") -> list[Claimed]:
    """Claim the jobs of a hint as a worker does."""
    durable: Any = actors.broker.get_actor(actor)
    with transaction() as session:
        claimed: list[Claimed] = durable.claim(session, Attempt(durable, lease), ids)
    return claimed


def keep(claimed: list[Claimed], lease: str = "lease") -> None:
    do(jobs.complete, lease, claimed, "w", 0.0)


def due() -> list[str]:
    return [job.key for job in all_jobs() if job.hinted_at is None and job.lease is None]


# -- paused -----------------------------------------------------------------------------------------------------------


def test_a_paused_queue_gets_no_hints_and_the_others_do():
    enqueue(NewJob("classify", "1", priority=9), NewJob("intake", "1"), NewJob("receive", "1"))
    do(queue_controls.pause, "tickets.intake")

    assert relay() == [("classify", 1)]
    assert relay() == []
    do(queue_controls.resume, "tickets.intake")
    assert sorted(relay()) == [("intake", 1), ("receive", 1)]


def test_hints_that_are_inside_when_the_pause_begins_are_given_back_on_claim():
    enqueue(NewJob("classify", "1"), NewJob("classify", "2"))
    ids = [job.id for job in all_jobs()]
    mark_hinted()
    do(queue_controls.pause, "ai.classify")

    assert deliver("classify", *ids) == []

    assert due() == ["1", "2"]
    assert [(job.attempts, job.crashes) for job in all_jobs()] == [(0, 0)] * 2
    assert relay() == []
    do(queue_controls.resume, "ai.classify")
    assert relay() == [("classify", 2)]


def test_a_suspect_of_a_paused_queue_waits_and_holds_no_other_up():
    enqueue(NewJob("classify", "1"), NewJob("intake", "2"))
    move(Job, due_at=-1)
    with transaction() as session:
        session.execute(update(Job).values(crashes=2, attempts=2))
    do(queue_controls.pause, "ai.classify")

    assert relay() == [("intake", 1)]


def test_a_queue_resumes_by_itself_when_its_time_has_come():
    enqueue(NewJob("classify", "1"))
    do(queue_controls.pause, "ai.classify", 600)
    assert relay() == []

    move(QueueControl, paused_until=-0.001)

    assert relay() == [("classify", 1)]
    assert [job.key for job in deliver("classify", all_jobs()[0].id)] == ["1"]


def test_queue_controls_are_cached_for_half_a_second_and_for_one_database(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(process_state, "queue_controls", TTLCache(3600.0, queue_controls.current))
    with reading() as session:
        assert process_state.queue_controls(session) == {}
    do(queue_controls.pause, "ai.classify")

    with reading() as session:
        before = process_state.queue_controls(session)
        process_state.queue_controls.clear()
        after = process_state.queue_controls(session)
    assert (before, after) == ({}, {"ai.classify": Control("ai.classify", paused=True)})


# -- limited ----------------------------------------------------------------------------------------------------------


def test_a_limit_counts_hinted_and_running_jobs_over_all_actors_of_the_queue():
    enqueue(*[NewJob(actor, str(number)) for actor in ("intake", "receive") for number in range(5)])
    do(queue_controls.limit, "tickets.intake", 3)
    running = next(job for job in all_jobs() if job.actor == "receive")
    claimed = claim("receive", running.id)

    assert sum(jobs for _, jobs in relay()) == 2
    assert relay() == []
    keep(claimed)
    assert sum(jobs for _, jobs in relay()) == 1
    assert relay() == []
    do(queue_controls.limit, "tickets.intake", None)
    assert sum(jobs for _, jobs in relay()) == 6


def test_a_paused_queue_with_a_limit_is_paused():
    enqueue(NewJob("classify", "1"))
    do(queue_controls.limit, "ai.classify", 3)
    do(queue_controls.pause, "ai.classify")

    assert relay() == []


def test_a_limit_that_comes_when_hints_are_inside_holds_on_claim():
    enqueue(*[NewJob("classify", str(number)) for number in range(5)])
    ids = [job.id for job in all_jobs()]
    mark_hinted()
    do(queue_controls.limit, "ai.classify", 2)

    first = deliver("classify", *ids)

    assert [job.key for job in first] == ["0", "1"]
    assert due() == ["2", "3", "4"]
    assert relay() == [], "all places are taken"
    keep(first[:1])
    assert relay() == [("classify", 1)]


def test_a_hint_that_comes_twice_does_not_go_past_a_limit():
    # Given a limit of one, and a job whose hint counts as lost though it is only slow
    enqueue(NewJob("classify", "slow", priority=1), NewJob("classify", "other", priority=9))
    slow, other = (next(job.id for job in all_jobs() if job.key == key) for key in ("slow", "other"))
    do(queue_controls.limit, "ai.classify", 1)
    mark_hinted(slow)
    do(hints.redispatch_lost, "classify")
    assert relay() == [("classify", 1)], "the other one gets its place"
    # When both hints arrive
    claimed = deliver("classify", slow, lease="a") + deliver("classify", other, lease="b")
    # Then one runs, and neither is lost
    assert [job.key for job in claimed] == ["slow"]
    assert due() == ["other"]


@on_postgresql
def test_a_claim_while_the_relay_counts_frees_no_place(monkeypatch: pytest.MonkeyPatch):
    # Given a limit of one whose place is taken by a hint
    enqueue(NewJob("classify", "1"), NewJob("classify", "2"))
    first = all_jobs()[0].id
    mark_hinted(first)
    do(queue_controls.limit, "ai.classify", 1)
    counted: list[str] = []

    def then_a_worker_claims_it(name: str) -> None:
        count = getattr(hints, name)

        def counting(*arguments: Any) -> Any:
            found = count(*arguments)
            counted.append(name)
            if len(counted) == 1:
                worker = threading.Thread(target=claim, args=("classify", first))
                worker.start()
                worker.join(10)
            return found

        monkeypatch.setattr(hints, name, counting)

    # When it is claimed between the two counts, of what waits and of what runs
    then_a_worker_claims_it("in_flight")
    then_a_worker_claims_it("running")
    # Then it is counted all the same
    assert relay() == []
    assert sorted(counted) == ["in_flight", "running"]


@on_postgresql
def test_two_workers_that_claim_at_once_do_not_take_the_same_place():
    enqueue(NewJob("classify", "1"), NewJob("classify", "2"))
    first, second = (job.id for job in all_jobs())
    mark_hinted()
    do(queue_controls.limit, "ai.classify", 1)

    with ThreadPoolExecutor() as pool, Session(engine()) as one:
        queue_controls.lock(one)
        jobs.claim(one, "classify", [first], "a", WORKER_ID)
        other = pool.submit(deliver, "classify", second)
        wait_until(somebody_waits_for_a_lock, message="the second claim waits for the first")
        one.commit()
        assert other.result(10) == []


def somebody_waits_for_a_lock() -> bool:
    with engine().connect() as connection:
        return bool(connection.scalar(text("SELECT count(*) FROM pg_locks WHERE NOT granted")))


class Cluster:
    """Relays and workers, each in a thread, until everything is done."""

    def __init__(self) -> None:
        self.inbox: list[tuple[str, list[int]]] = []
        self.running: list[int] = []
        self.under_way: list[int] = []
        self.trouble: list[Exception] = []
        self.over = threading.Event()

    def open(self) -> None: ...
    def publish(self, batch: Sequence[Outgoing]) -> None:
        read = [json.loads(message.body) for message in batch]
        self.inbox += [(envelope["actor_name"], envelope["args"][0]) for envelope in read]

    def relays(self) -> None:
        one = Relay(actors.broker, self, get_settings())  # type: ignore[arg-type]
        while not self.over.is_set():
            one.round()

    def works(self, twice: bool) -> None:
        while not self.over.is_set():
            if not self.inbox:
                self.over.wait(0.001)
                continue
            with contextlib.suppress(IndexError):  # another one was quicker
                actor, ids = self.inbox.pop(0)
                if twice:
                    self.inbox.append((actor, ids))
                self.work(actor, ids, lease=uuid.uuid4().hex)

    def work(self, actor: str, ids: list[int], lease: str) -> None:
        claimed = deliver(actor, *ids, lease=lease)
        with reading() as session:
            running, hinted = (func.count().filter(c.is_not(None)) for c in (Job.lease, Job.hinted_at))
            counted = session.execute(select(running, hinted)).one()  # one statement, so one moment
        self.running.append(counted[0])
        self.under_way.append(counted[1])
        failed = [job for job in claimed[:1] if job.attempts == 1]
        do(jobs.retry, [(job, FAILURE, 0.0) for job in failed])
        keep([job for job in claimed if job not in failed], lease)

    def run(self, *calls: Callable[[], None]) -> None:
        def guarded(call: Callable[[], None]) -> None:
            try:
                call()
            except Exception as error:
                self.trouble.append(error)
                self.over.set()

        threads = [threading.Thread(target=guarded, args=(call,)) for call in calls]
        for thread in threads:
            thread.start()
        try:
            wait_until(lambda: self.over.is_set() or not all_jobs(), timeout=60, message="everything is done")
        finally:
            self.over.set()
            for thread in threads:
                thread.join(30)


@on_postgresql
@pytest.mark.parametrize("twice", [False, True], ids=["each hint once", "hints that come twice"])
def test_relays_and_workers_beside_each_other_never_go_past_a_limit(twice: bool):
    enqueue(*[NewJob(actor, str(number)) for actor in ("intake", "receive") for number in range(40)])
    do(queue_controls.limit, "tickets.intake", 3)
    cluster = Cluster()

    cluster.run(*[cluster.relays] * 3, *[lambda: cluster.works(False)] * 3, lambda: cluster.works(twice))

    assert (cluster.trouble, all_jobs()) == ([], [])
    assert max(cluster.running) <= 3
    assert twice or max(cluster.under_way) == 3, "relays that count at the same time count the same places once"
