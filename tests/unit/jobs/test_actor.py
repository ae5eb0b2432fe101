"""Durable actors, through Dramatiq's own worker thread: claim, work, complete, and the next step in one transaction."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, true
from sqlalchemy.exc import OperationalError, ProgrammingError

from actors.classify import classify
from aura.jobs import actor as durable
from aura.jobs import process_state
from aura.jobs.local_dispatch import LocalDispatch
from aura.jobs.pipeline import Pipeline
from aura.jobs.process_state import WORKER_ID
from db import jobs, reading, transaction, workers
from db.dead_letters import replay
from db.jobs import NewJob
from db.models import Agent, Job, Notification, Ticket, VerdictRecord
from pipelines.triage import triage
from tests.embedded import (
    Hand,
    all_jobs,
    attempts,
    claim,
    count,
    enqueue,
    letters,
    move,
    one_job,
    seconds_until_due,
)
from tests.unit.jobs.tickets import Declare, accept, one_each, ticket

pytestmark = pytest.mark.usefixtures("database")


# -- the pipeline -----------------------------------------------------------------------------------------------------


def test_many_tickets_share_one_hint_and_each_gets_its_own_verdict(hand: Hand):
    for number in range(120):
        accept(f"Laptop {number} does not start", requester=f"user{number}@example.com")

    assert hand.relay() == 120
    assert hand.work() == 2, "hints of at most 100 jobs"
    hand.run()

    assert count(VerdictRecord) == 120
    assert {found.stage for found in _tickets()} == {"notified"}


def _tickets() -> list[Ticket]:
    with reading() as session:
        return list(session.scalars(select(Ticket).order_by(Ticket.id)))


def test_a_step_alone_runs_without_the_ones_after_it(hand: Hand):
    ticket_id = accept("Mailbox is full")
    hand.run()
    before = count(Notification)

    classify.send(ticket_id)
    hand.run()

    assert count(VerdictRecord) == 2
    assert count(Notification) == before


def test_a_job_without_its_ticket_is_dead_and_the_rest_of_its_batch_is_not(hand: Hand):
    ticket_id = accept("Mailbox is full")
    enqueue(NewJob("classify", "999999"), NewJob("classify", "no number"), NewJob("classify", str(ticket_id)))

    hand.run()

    assert {(letter.key, letter.error_type) for letter in letters()} == {
        ("999999", "Missing"),
        ("no number", "Missing"),
    }
    assert all(letter.attempts == 1 for letter in letters())
    assert ticket(ticket_id).category == "Email"


# -- keep -------------------------------------------------------------------------------------------------------------


def write_an_agent(session: Any, done: list[Any]) -> None:
    session.add_all([Agent(name=f"effect of {each.job.key}", email="", skills=[]) for each in done])
    session.flush()


def test_the_effects_the_next_step_and_the_jobs_end_are_one_transaction(
    hand: Hand, declare: Declare, monkeypatch: pytest.MonkeyPatch
):
    # Given a step whose transaction fails at its last statement, once
    def second(items: list[Any]) -> list[str]:
        return one_each(items)

    step, after = declare(one_each, save=write_an_agent), declare(second)
    Pipeline("two", step, after).send(7)
    enqueue_jobs, failures = jobs.enqueue, [RuntimeError("cannot enqueue the next step")]

    def fail_once(*arguments: Any) -> None:
        enqueue_jobs(*arguments)
        if failures:
            raise failures.pop()

    monkeypatch.setattr(jobs, "enqueue", fail_once)
    # When it is tried
    hand.relay()
    hand.work()
    # Then nothing of it is there but the failure
    assert count(Agent) == 0
    assert [(job.actor, job.attempts) for job in all_jobs()] == [("one_each", 1)]
    # and the next time it is all there
    move(Job, due_at=-1)
    hand.run()
    assert count(Agent) == 1
    assert [(attempt.actor, attempt.outcome) for attempt in attempts()] == [
        ("one_each", "retried"),
        ("one_each", "completed"),
        ("second", "completed"),
    ]


def a_worker_that_lost_its_lease_writes_nothing(hand: Hand, declare: Declare) -> None:
    def slow(items: list[Any]) -> list[str]:
        # while this worker sleeps, it counts as dead and another one takes its job
        with transaction() as session:
            workers.release(session, WORKER_ID, running=set)
        claim("slow", *[job.id for job in all_jobs() if job.actor == "slow"], lease="fast", worker="another")
        return one_each(items)

    step = declare(slow, save=write_an_agent)
    Pipeline("two", step, classify).send(1)
    hand.relay()
    hand.work()
    assert count(Agent) == 0
    assert [(job.actor, job.lease) for job in all_jobs()] == [("slow", "fast")]
    assert attempts() == []


def test_a_worker_that_lost_its_lease_writes_nothing(hand: Hand, declare: Declare):
    a_worker_that_lost_its_lease_writes_nothing(hand, declare)


def test_without_the_lease_check_a_late_worker_writes(hand: Hand, declare: Declare, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(jobs, "held_by", lambda _lease: true())

    with pytest.raises(AssertionError):
        a_worker_that_lost_its_lease_writes_nothing(hand, declare)


@pytest.mark.parametrize("max_attempts", [1, 3], ids=["dead-lettered", "retried"])
def test_a_failure_of_a_worker_that_lost_its_lease_is_not_written_either(
    hand: Hand, declare: Declare, max_attempts: int
):
    def slow(items: list[Any]) -> list[str]:
        with transaction() as session:
            workers.release(session, WORKER_ID, running=set)
        claim("slow", one_job().id, lease="fast", worker="another")
        raise RuntimeError("too late to say so")

    declare(slow, max_attempts=max_attempts).send(1)
    hand.relay()
    hand.work()

    assert one_job().lease == "fast"
    assert (attempts(), letters()) == ([], [])


def test_a_job_enqueued_while_running_runs_once_more(hand: Hand, declare: Declare):
    runs: list[str] = []

    def wakes_itself(items: list[Any]) -> list[str]:
        runs.append(items[0].key)
        if len(runs) < 3:
            wakes_itself_actor.send(items[0].key)
            wakes_itself_actor.send(items[0].key)
        return one_each(items)

    wakes_itself_actor = declare(wakes_itself)
    wakes_itself_actor.send(5)
    hand.run()

    assert runs == ["5", "5", "5"]
    assert all_jobs() == []


def test_a_duplicate_or_forged_hint_works_on_nothing(hand: Hand, declare: Declare):
    runs: list[str] = []

    def work(items: list[Any]) -> list[str]:
        runs.extend(item.key for item in items)
        return one_each(items)

    actor = declare(work)
    actor.send(1)
    hand.relay()
    hint = actor.message_with_options(args=([one_job().id, 999],)).encode()
    for _ in range(3):
        hand.queues["tests.work"].put((0, hint))
    hand.work()

    assert runs == ["1"]
    assert len(attempts()) == 1


def test_an_actor_that_returns_too_few_results_fails_and_completes_nothing(hand: Hand, declare: Declare):
    def forgetful(items: list[Any]) -> list[str]:
        return []

    declare(forgetful, max_attempts=1).send(1)
    hand.run()

    (letter,) = letters()
    assert letter.error == "forgetful returned 0 results for 1 jobs"


# -- deliveries and replays -------------------------------------------------------------------------------------------


def test_a_replayed_dead_letter_goes_on_where_it_stopped(hand: Hand, monkeypatch: pytest.MonkeyPatch):
    ticket_id = accept("Mailbox is full")
    with monkeypatch.context() as broken:
        broken.setattr(classify, "fn", lambda batch: [durable.Missing("no engine") for _ in batch])
        hand.run()
    assert ticket(ticket_id).stage == "prepared"
    (letter,) = letters()

    with transaction() as session:
        replay(session, letter.id)
    hand.run()

    assert ticket(ticket_id).stage == "notified"
    steps = [(a.actor, a.outcome, a.number) for a in attempts() if a.actor not in ("email", "announce")]
    assert steps == [
        ("intake", "completed", 1),
        ("classify", "dead", 1),
        ("classify", "completed", 1),
        ("notify", "completed", 1),
    ]


def test_delays_are_milliseconds_or_a_timedelta():
    classify.send_with_options(args=(1,), delay=90_000)
    classify.send_with_options(args=(2,), delay=timedelta(minutes=2))
    triage.send_with_options(args=(3,), delay=timedelta(seconds=30), priority=8)
    classify.send_with_options(args=(4,), delay=timedelta(seconds=-30))

    assert seconds_until_due() == [pytest.approx(seconds, abs=5) for seconds in (90, 120, 30, 0)]
    assert [job.priority for job in all_jobs()] == [0, 0, 8, 0]


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"args": (1,), "priority": 10}, ValueError, "priority must be 0 to 9, not 10"),
        ({"args": (1,), "priority": -1}, ValueError, "priority must be 0 to 9, not -1"),
        ({"args": (1,), "priority": "high"}, TypeError, "priority is an int"),
        ({"args": (1,), "delay": "1 hour"}, TypeError, "delay a timedelta or an int of milliseconds"),
        ({"args": ()}, ValueError, "classify.send needs the key of the job"),
        ({"args": (1,), "eta": 5}, TypeError, "classify takes args, delay and priority, not eta"),
        ({"args": (1,), "kwargs": {"ticket": 1}}, TypeError, "not ticket"),
    ],
)
def test_a_wrong_option_is_named_and_enqueues_nothing(options: dict, error: type[Exception], words: str):
    with pytest.raises(error, match=words):
        classify.send_with_options(**options)

    assert all_jobs() == []


def test_further_arguments_ride_in_the_job():
    classify.send(1, "again", {"why": "umlauts äöü"})

    assert one_job().args == ["again", {"why": "umlauts äöü"}]


# -- the database is away ----------------------------------------------------------------------------------------------


def away(*_: Any, **__: Any) -> Any:
    raise OperationalError("UPDATE", {}, Exception("server closed the connection unexpectedly"))


def test_a_claim_waits_for_the_database_while_the_worker_runs(hand: Hand, monkeypatch: pytest.MonkeyPatch):
    accept("Mailbox is full")
    hand.relay()
    tries: list[int] = []

    def flaky(*arguments: Any) -> Any:
        tries.append(1)
        return away() if len(tries) < 4 else real(*arguments)

    real = jobs.claim
    monkeypatch.setattr(jobs, "claim", flaky)
    monkeypatch.setattr(durable, "LONGEST_PAUSE", 0.01)
    monkeypatch.setattr(process_state, "worker", object())
    job = one_job()
    actor = hand.broker.actors[job.actor]
    monkeypatch.setattr(actor, "batch_size", lambda *_: 1)

    with monkeypatch.context() as patch:
        patch.setattr(LocalDispatch, "accept", lambda *_: None)
        actor([job.id])

    assert len(tries) == 4
    assert attempts()[0].outcome == "completed", "the same hint, without a pass over lost hints"


def test_a_hint_that_nobody_could_claim_is_not_done(hand: Hand, monkeypatch: pytest.MonkeyPatch):
    enqueue(NewJob("classify", "1"))
    monkeypatch.setattr(jobs, "claim", away)

    with pytest.raises(durable.Unclaimed):
        classify([one_job().id])


def test_another_error_of_a_claim_does_not_bring_the_hint_back(monkeypatch: pytest.MonkeyPatch):
    def broken(*_: Any) -> Any:
        raise ProgrammingError("UPDATE", {}, Exception("column does not exist"))

    enqueue(NewJob("classify", "1"))
    monkeypatch.setattr(jobs, "claim", broken)
    monkeypatch.setattr(process_state, "worker", object())

    with pytest.raises(ProgrammingError):
        classify([one_job().id])
