"""Durable actors, through Dramatiq's own worker thread: claim, work, keep, and the next step in one transaction."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select, true, update

import actors
from actors.analysis import JOB_PRIORITY
from actors.classify import classify
from aura.jobs import actor as durable
from aura.jobs import process_state
from aura.jobs.middleware import heartbeat
from aura.jobs.pipeline import Pipeline
from aura.jobs.process_state import WORKER_ID
from db import jobs, notifications, reading, tickets, transaction, workers
from db.dead_letters import replay
from db.jobs import NewJob
from db.models import Agent, Attempt, Job, Notification, Ticket, VerdictRecord, Worker
from db.new_tickets import NewTicket
from db.timeline import timeline
from pipelines.triage import triage
from tests.embedded import Hand, all_jobs, attempts, claim, count, enqueue, letters, move, one_job

pytestmark = pytest.mark.usefixtures("database")

Declare = Callable[..., Any]


def accept(title: str, requester: str = "ada@example.com", **more: Any) -> int:
    """Store a ticket and enqueue its pipeline, as the web does."""
    submission = NewTicket(title=title, requester=requester, **more)
    with transaction() as session:
        (ticket_id,) = tickets.create(session, "test", [(submission, submission.model_dump())])
        triage.send(ticket_id)
    return ticket_id


def ticket(ticket_id: int) -> Ticket:
    with reading() as session:
        return session.get_one(Ticket, ticket_id)


# -- the pipeline -----------------------------------------------------------------------------------------------------


def test_a_ticket_passes_every_step_and_each_recipient_is_notified_once(hand: Hand):
    with transaction() as session:
        session.add(Agent(name="Nora", email="nora@example.com", skills=["Network"], capacity=5))
    ticket_id = accept("VPN drops every ten minutes", description="<p>Since this&nbsp;morning, from home.</p>")

    hand.run()

    found = ticket(ticket_id)
    assert (found.stage, found.category, found.assignee, found.notified_version) == ("notified", "Network", "Nora", 1)
    assert found.description == "Since this morning, from home."
    assert found.language == "en"
    assert (found.category_by, found.priority_by) == ("engine", "engine")
    assert all_jobs() == []
    assert letters() == []
    # every step and every e-mail once, in the ledger
    done = [attempt.actor for attempt in attempts()]
    assert done[:3] == ["intake", "classify", "notify"]
    assert set(done[3:]) == {"email"}
    assert {attempt.outcome for attempt in attempts()} == {"completed"}
    with reading() as session:
        notifications = session.scalars(select(Notification)).all()
    assert {n.state for n in notifications} == {"sent"}
    assert {"ada@example.com", "Nora"} <= {n.recipient for n in notifications}


def test_the_timeline_lists_the_whole_pipeline_in_order(hand: Hand):
    ticket_id = accept("Printer on floor 3 is out of toner")
    hand.relay()
    with reading() as session:
        before = timeline(session, ticket_id)
    assert before is not None
    assert [entry["kind"] for entry in before["timeline"]] == ["received"]
    assert [job["actor"] for job in before["jobs"]] == ["intake"]

    hand.run()

    with reading() as session:
        after = timeline(session, ticket_id)
        assert timeline(session, ticket_id + 1) is None
        assert timeline(session, 10**30) is None
    assert after is not None
    assert after["jobs"] == []
    whats = [entry["kind"] for entry in after["timeline"]]
    assert whats[0] == "received"
    assert {"attempt", "verdict", "notification"} <= set(whats)
    times = [entry["at"] for entry in after["timeline"]]
    assert times == sorted(times)


def test_each_step_enqueues_the_next_with_the_priority_it_found(hand: Hand):
    accept("URGENT: ransomware on the file server, everything is encrypted!", priority="critical")
    seen = [(job.actor, job.priority, job.next_steps) for job in all_jobs()]

    while hand.relay():
        hand.work()
        seen += [(job.actor, job.priority, job.next_steps) for job in all_jobs() if job.actor in ("classify", "notify")]

    assert [(actor, then) for actor, _, then in seen] == [
        ("intake", ["classify", "notify"]),
        ("classify", ["notify"]),
        ("notify", []),
    ]
    with reading() as session:
        priority = session.scalars(select(VerdictRecord.priority)).one()
    assert seen[0][1] == 0
    assert seen[1][1] >= JOB_PRIORITY["high"], "its words sound urgent"
    assert seen[2][1] == JOB_PRIORITY[priority]


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


def one_each(items: list[Any]) -> list[str]:
    return ["done" for _ in items]


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


def test_without_the_lease_check_it_would_write(hand: Hand, declare: Declare, monkeypatch: pytest.MonkeyPatch):
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


def test_an_actor_that_forgets_a_result_fails_and_keeps_nothing(hand: Hand, declare: Declare):
    def forgetful(items: list[Any]) -> list[str]:
        return []

    declare(forgetful, max_attempts=1).send(1)
    hand.run()

    (letter,) = letters()
    assert letter.error == "forgetful returned 0 results for 1 jobs"


def test_an_attempt_is_over_when_its_message_is_done(hand: Hand, declare: Declare):
    during: list[int] = []

    def look(items: list[Any]) -> list[str]:
        during.append(len(process_state.attempts))
        return one_each(items)

    declare(look).send(1)
    hand.run()

    assert during == [1]
    assert not process_state.attempts


def test_a_worker_is_known_before_its_threads_can_claim_anything():
    broker = actors.broker
    broker.emit_before("worker_boot", None)
    try:
        assert count(Worker) == 1
    finally:
        broker.emit_before("worker_shutdown", None)
        broker.emit_after("worker_shutdown", None)
    assert count(Worker) == 0


def test_the_heartbeat_leaves_what_runs_alone(hand: Hand, declare: Declare):
    def beat_meanwhile(items: list[Any]) -> list[str]:
        heartbeat.beat()
        return one_each(items)

    declare(beat_meanwhile).send(1)
    hand.run()

    assert [attempt.outcome for attempt in attempts()] == ["completed"]


# -- deliveries and replays -------------------------------------------------------------------------------------------


def test_a_notification_that_was_sent_is_not_sent_again(hand: Hand):
    accept("Mailbox is full")
    hand.run()
    with reading() as session:
        sent = {n.id: n.sent_at for n in session.scalars(select(Notification)) if n.channel == "email"}

    enqueue(*[NewJob("email", key) for key in sent])
    hand.run()

    with reading() as session:
        again = {n.id: n.sent_at for n in session.scalars(select(Notification)) if n.channel == "email"}
    assert again == sent


def test_the_same_notification_twice_is_one():
    row = {"id": "a" * 32, "ticket_id": None, "event": "message", "channel": "email", "recipient": "ada@example.com"}
    row |= {"role": "", "dedupe_key": "once", "subject": "", "body": "", "state": "enqueued"}

    with transaction() as session:
        assert notifications.write(session, [row, row | {"id": "b" * 32}]) == ["a" * 32]
        assert notifications.write(session, [row | {"id": "c" * 32}]) == []


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


def test_what_a_human_set_no_engine_changes(hand: Hand):
    ticket_id = accept("VPN drops every ten minutes")
    with transaction() as session:
        session.execute(update(Ticket).values(category="Hardware", category_by="human"))

    hand.run()

    found = ticket(ticket_id)
    assert (found.category, found.category_by, found.priority_by) == ("Hardware", "human", "engine")
    with reading() as session:
        assert session.scalars(select(VerdictRecord.category)).all() == ["Network"], "its verdict is stored"


def test_embedded_mode_records_no_events_for_anybody(hand: Hand):
    from db.models import OutboxEvent

    accept("Mailbox is full")
    hand.run()

    assert count(OutboxEvent) == 0
    assert count(Attempt) > 0
    assert actors.broker.get_declared_actors() >= {"receive", "intake", "classify", "reanalyze", "notify", "email"}
