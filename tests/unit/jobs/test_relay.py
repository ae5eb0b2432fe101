"""The relay: due jobs become hints, most urgent first, inside a window; a job is hinted after the confirm."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from aura.jobs import relay as relay_module
from aura.jobs import relay_plan
from aura.jobs.relay import Relay
from aura.jobs.transport import Outgoing, PublishFailed
from db import hints, outbox, process_stats, reading, transaction, workers
from db.jobs import NewJob
from db.models import Job, OutboxEvent
from tests.conftest import wait_until
from tests.embedded import all_jobs, claim, count, enqueue, move, one_job
from tests.unit.jobs.shelf import Shelf, relay

pytestmark = pytest.mark.usefixtures("database")


def test_hints_are_grouped_by_priority_and_never_larger_than_a_batch():
    enqueue(*[NewJob("intake", str(number), priority=9 if number < 3 else 0) for number in range(10)])
    shelf = Shelf()

    assert relay(shelf, jobs_per_hint=4).round() == 10

    assert [(actor, priority, len(ids)) for actor, priority, ids in shelf.hints()] == [
        ("intake", 9, 3),
        ("intake", 0, 4),
        ("intake", 0, 3),
    ]
    assert relay(shelf).round() == 0, "a hinted job is not dispatched again"


@pytest.mark.parametrize(
    ("actor", "exchange", "routing_key"),
    [
        ("classify", "ai_processing", "ai.classify"),
        ("email", "notifications", "notify.email"),
        ("notify", "", "tickets.notify"),
        ("intake", "", "tickets.intake"),
    ],
)
def test_a_hint_goes_to_its_actors_queue_and_must_arrive(actor: str, exchange: str, routing_key: str):
    enqueue(NewJob(actor, "1"))
    shelf = Shelf()

    relay(shelf).round()

    (message,) = shelf.published
    assert (message.exchange, message.routing_key, message.mandatory) == (exchange, routing_key, True)


def test_an_actor_may_have_a_batch_of_its_own(declare: Callable[..., Any]):
    def one(items: list[Any]) -> list[str]:
        return ["done" for _ in items]

    declare(one, batch=1)
    enqueue(*[NewJob("one", str(number)) for number in range(3)])
    shelf = Shelf()

    relay(shelf).round()

    assert [len(ids) for _, _, ids in shelf.hints()] == [1, 1, 1]


def test_a_job_that_was_tried_before_goes_alone():
    enqueue(*[NewJob("classify", str(number)) for number in range(4)])
    ids = [job.id for job in all_jobs()]
    claim("classify", *ids[:2])
    with transaction() as session:
        workers.recover(session, dead_after=10)
    shelf = Shelf()

    relay(shelf).round()

    assert sorted(hinted for _, _, hinted in shelf.hints()) == [[ids[0]], [ids[1]], ids[2:]]


def test_only_a_window_of_jobs_is_inside_the_broker_and_the_most_urgent_at_that():
    enqueue(*[NewJob("classify", str(number), priority=number % 10) for number in range(20)])
    shelf = Shelf()

    assert relay(shelf, max_in_flight=5).round() == 5
    assert relay(shelf, max_in_flight=5).round() == 0
    assert [(priority, len(ids)) for _, priority, ids in shelf.hints()] == [(9, 2), (8, 2), (7, 1)]
    # when some of it is claimed there is room again
    claim("classify", *shelf.hints()[0][2])
    assert relay(shelf, max_in_flight=5).round() == 2


def test_a_backlog_of_one_actor_leaves_room_for_the_others():
    enqueue(*[NewJob("classify", str(number)) for number in range(20)], NewJob("intake", "1"))
    shelf = Shelf()

    relay(shelf, max_in_flight=5).round()

    assert {actor for actor, _, _ in shelf.hints()} == {"classify", "intake"}


def test_few_jobs_gather_while_a_batch_of_their_actor_waits_in_the_broker(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(relay_plan, "GATHER", 3600.0)
    shelf = Shelf()
    one = relay(shelf, jobs_per_hint=4)
    enqueue(*[NewJob("intake", str(number)) for number in range(4)])
    assert one.round() == 4

    enqueue(NewJob("intake", "4"), NewJob("intake", "5"))
    assert one.round() == 0, "who could take them has enough to do"
    enqueue(NewJob("classify", "4"))
    assert one.round() == 1, "another actor's go at once"
    enqueue(NewJob("intake", "6"), NewJob("intake", "7"))
    assert one.round() == 4
    assert [len(ids) for actor, _, ids in shelf.hints() if actor == "intake"] == [4, 4]


def test_a_job_waits_a_moment_for_others_at_most(monkeypatch: pytest.MonkeyPatch):
    moment = relay_plan.GATHER
    monkeypatch.setattr(relay_plan, "GATHER", 3600.0)
    shelf = Shelf()
    one = relay(shelf, jobs_per_hint=4)
    enqueue(*[NewJob("intake", str(number)) for number in range(4)])
    one.round()
    enqueue(NewJob("intake", "4"))
    assert one.round() == 0

    monkeypatch.setattr(relay_plan, "GATHER", moment)
    move(Job, due_at=-1.0)
    assert one.round() == 1


def test_a_job_goes_at_once_when_the_batch_before_it_is_claimed():
    shelf = Shelf()
    one = relay(shelf, jobs_per_hint=4)
    enqueue(*[NewJob("intake", str(number)) for number in range(4)])
    one.round()
    claim("intake", *shelf.hints()[0][2])

    enqueue(NewJob("intake", "4"))
    assert one.round() == 1


def test_the_loop_dispatches_gathered_jobs_without_a_wake_up(running: Callable[[Relay], None]):
    shelf = Shelf()
    enqueue(*[NewJob("intake", str(number)) for number in range(4)])
    running(relay(shelf, jobs_per_hint=4))
    wait_until(lambda: len(shelf.hints()) == 1, message="a batch")
    enqueue(NewJob("intake", "4"))
    wait_until(lambda: len(shelf.hints()) == 2, message="the job that waited for others")


def test_an_actor_that_this_program_does_not_know_is_left_alone():
    enqueue(NewJob("from_a_newer_release", "1"))
    shelf = Shelf()

    assert relay(shelf).round() == 0
    assert len(all_jobs()) == 1


def test_no_job_is_hinted_without_a_confirm_of_the_broker():
    enqueue(NewJob("classify", "1"), NewJob("intake", "2"))
    shelf = Shelf(failures=1)

    with pytest.raises(PublishFailed):
        relay(shelf).round()

    assert [job.hinted_at for job in all_jobs()] == [None, None]
    assert relay(shelf).round() == 2


class Refusing(Shelf):
    """Refuses the messages of one routing key, and confirms the others."""

    refused = "ai.classify"

    def publish(self, batch: Sequence[Outgoing]) -> None:
        self.published += [each for each in batch if each.routing_key != self.refused]
        if any(each.routing_key == self.refused for each in batch):
            raise PublishFailed("RabbitMQ refused a message", {self.refused})


def test_a_queue_that_refuses_hints_holds_up_no_other_queue():
    enqueue(NewJob("classify", "1"), NewJob("intake", "2"))
    shelf = Refusing()
    one = relay(shelf)

    with pytest.raises(PublishFailed):
        one.round()
    assert {job.actor: job.hinted_at is None for job in all_jobs()} == {"classify": True, "intake": False}

    enqueue(NewJob("intake", "3"), NewJob("classify", "4"))
    assert one.round() == 1, "the queue gets no hints for a while"
    assert [hint[0] for hint in shelf.hints()] == ["intake", "intake"]


def test_a_queue_that_refused_a_hint_gets_hints_again_later(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(relay_module, "REFUSED_PAUSE", 0.0)
    enqueue(NewJob("classify", "1"))
    shelf = Refusing()
    one = relay(shelf)
    with pytest.raises(PublishFailed):
        one.round()
    shelf.refused = ""
    assert one.round() == 1


class Blocked(Shelf):
    """A broker that takes no message until it is freed; counts what the relay tried."""

    free = False
    opened = tried = 0

    def drain(self, queues: Sequence[str], store: Any) -> int:
        return 0

    def open(self) -> None:
        self.opened += 1
        if not self.free:
            raise PublishFailed("RabbitMQ blocks publishers: low on memory")

    def publish(self, batch: Sequence[Outgoing]) -> None:
        self.tried += 1
        self.open()
        super().publish(batch)


def test_jobs_stay_due_while_the_broker_takes_no_message_so_that_the_lag_shows(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(relay_module, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(relay_module, "LONGEST_PAUSE", 0.01)
    enqueue(NewJob("classify", "1"))
    shelf, stop = Blocked(), threading.Event()
    one = relay(shelf)
    thread = threading.Thread(target=one.run, args=(stop,), daemon=True)
    thread.start()
    try:
        wait_until(lambda: shelf.opened > 5, message="the relay tries again and again")

        assert shelf.tried == 1, "no job is marked as dispatched before a message is confirmed"
        assert one_job().hinted_at is None
        one.beat()
        with reading() as session:
            assert process_stats.problems(session, 10) == ["relay: RabbitMQ blocks publishers: low on memory"]

        shelf.free = True
        wait_until(lambda: shelf.hints() and not one._problem, message="the job is dispatched")
        one.beat()
        with reading() as session:
            assert process_stats.problems(session, 10) == []
    finally:
        stop.set()
        thread.join(10)


def test_events_are_published_with_the_hints_and_deleted_when_confirmed(configure: Callable[..., Any]):
    configure(RABBITMQ_URL="amqp://nobody@127.0.0.1:1/")  # in embedded mode nobody would listen
    with transaction() as session:
        outbox.record(session, [("ticket.classified.network.high", 17, {"confidence": 0.9})])
    shelf = Shelf(failures=1)
    with pytest.raises(PublishFailed):
        relay(shelf).round()
    assert count(OutboxEvent) == 1

    assert relay(shelf).round() == 1

    assert count(OutboxEvent) == 0
    (message,) = shelf.published
    assert (message.exchange, message.routing_key, message.mandatory) == (
        "tickets",
        "ticket.classified.network.high",
        False,
    )
    assert message.content_type == "application/cloudevents+json"
    body = json.loads(message.body)
    assert body["id"] == message.message_id
    assert (body["specversion"], body["type"], body["subject"], body["source"]) == (
        "1.0",
        "aura.ticket.classified",
        "ticket/17",
        "/aura",
    )
    assert body["data"] == {"ticket_id": 17, "confidence": 0.9}


# -- the loop ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def running() -> Any:
    """A function that runs a relay in a thread until the test ends."""
    stop, threads = threading.Event(), []

    def run(relay: Relay) -> None:
        thread = threading.Thread(target=relay.run, args=(stop,))
        thread.start()
        threads.append(thread)

    yield run
    stop.set()
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()


def test_the_loop_outlives_a_broker_and_a_database_that_are_away(
    running: Callable[[Relay], None], monkeypatch: pytest.MonkeyPatch
):
    away = [True]
    due_buckets = hints.due_buckets

    def flaky(session: Any, actors: Any) -> list[tuple[str, int]]:
        if away:
            away.pop()
            raise OperationalError("SELECT", {}, Exception("server closed the connection"))
        return due_buckets(session, actors)

    monkeypatch.setattr(hints, "due_buckets", flaky)
    shelf = Shelf(failures=1)
    enqueue(NewJob("classify", "1"))

    running(relay(shelf))

    wait_until(lambda: shelf.published and one_job().hinted_at, message="the job is hinted")
    assert (away, shelf.failures) == ([], 0)


def test_a_stopped_loop_closes_its_transport():
    shelf, stop = Shelf(), threading.Event()
    stop.set()

    relay(shelf).run(stop)

    assert shelf.closed


def test_the_first_round_of_a_relay_recovers_jobs(running: Callable[[Relay], None]):
    enqueue(NewJob("classify", "1"))
    claim("classify", one_job().id, worker="dead")
    shelf = Shelf()

    running(relay(shelf))

    wait_until(lambda: shelf.published, message="the dead worker's job is hinted")


@pytest.mark.parametrize(
    ("notified", "delay", "least", "most"),
    [
        (False, None, 0.5, 0.5),
        (True, None, 2.0, 2.0),
        (True, 60.0, 2.0, 2.0),
        (True, 1.0, 0.5, 1.0),
        (True, 0.0, 0.5, 0.5),
    ],
)
def test_a_relay_that_is_notified_waits_longer_while_no_job_is_due(
    notified: bool, delay: float | None, least: float, most: float
):
    one = relay(Shelf())
    one.notified = notified
    if delay is not None:
        enqueue(NewJob("classify", "1", delay=delay))
    one.round()
    assert least <= one.nap <= most


def test_the_loop_asks_each_time_whether_notifications_arrive():
    stop, asked = threading.Event(), [False, True]
    one = relay(Shelf())

    def notified() -> bool:
        if len(asked) == 1:
            stop.set()
        return asked.pop(0)

    one.run(stop, notified=notified)
    assert one.notified
    assert asked == []


# -- the connection to the database is lost -----------------------------------------------------------------------------


@pytest.mark.parametrize("publishes", [True, False])
def test_jobs_whose_dispatch_was_stored_but_not_published_are_due_in_the_next_round(
    monkeypatch: pytest.MonkeyPatch, publishes: bool
):
    """A commit without an answer, and a publication whose release fails, leave jobs that count as dispatched."""
    enqueue(NewJob("intake", "1"))
    shelf = Shelf(failures=0 if publishes else 1)
    own = relay(shelf)
    begun = 0

    @contextmanager
    def losing_connections() -> Iterator[Any]:
        nonlocal begun
        begun += 1
        if begun == 2:
            raise OperationalError("BEGIN", {}, Exception("connection refused"))
        with transaction() as session:
            yield session
        if publishes:
            raise OperationalError("COMMIT", {}, Exception("server closed the connection unexpectedly"))

    monkeypatch.setattr(relay_module, "transaction", losing_connections)
    with pytest.raises(OperationalError):
        own.round()
    assert one_job().hinted_at is not None
    assert shelf.hints() == []

    monkeypatch.undo()
    assert own.round() == 1
    assert len(shelf.hints()) == 1
    assert own.round() == 0
