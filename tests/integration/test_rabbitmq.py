"""Aura on a real RabbitMQ: publishing is confirmed, incoming messages are checked, and lost hints are dispatched again."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pika
import pytest
from dramatiq.errors import ConnectionClosed
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from actors.classify import classify
from actors.plain_messages import PlainJson
from aura.jobs.broker import JobBroker
from aura.jobs.maintenance import Maintenance
from aura.jobs.rabbitmq import admin, subscriptions
from aura.jobs.rabbitmq.consumer import GuardedConsumer
from aura.jobs.rabbitmq.publisher import Publisher
from aura.jobs.relay import Relay
from aura.jobs.transport import Outgoing, PublishFailed
from aura.settings import get_settings
from aura.web import health
from db import dead_letters, jobs, reading, tickets, transaction
from db.jobs import NewJob
from db.models import DeadLetter, Job, Ticket
from db.new_tickets import NewTicket
from pipelines.embedded import running
from pipelines.triage import triage
from tests.conftest import ROOT, wait_until
from tests.embedded import all_jobs, count, enqueue, letters, move, one_job
from tests.receiver import PEM
from tests.services import RabbitMQ, free_port


@pytest.fixture
def publisher(service: JobBroker) -> Iterator[Publisher]:
    publisher = Publisher(get_settings(), service.get_declared_queues, service.program.topology)
    yield publisher
    publisher.close()


@pytest.fixture
def channel(service: JobBroker, publisher: Publisher, rabbitmq_url: str) -> Iterator[Any]:
    """A channel of another program, in confirm mode, after Aura has declared its topology."""
    publisher.wait(0, lambda: True)
    with pika.BlockingConnection(pika.URLParameters(rabbitmq_url)) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        yield channel


def out(queue: str, body: bytes = b"{}") -> Outgoing:
    return Outgoing("", queue, body)


def accept(title: str = "VPN drops every ten minutes") -> int:
    with transaction() as session:
        submission = NewTicket(title=title, requester="ada@example.com")
        (ticket_id,) = tickets.create(session, "test", [(submission, {})])
        triage.send(ticket_id)
    return ticket_id


def waiting(url: str, queue: str) -> list[bytes]:
    """Take what waits in a queue."""
    bodies = []
    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        channel = connection.channel()
        while (got := channel.basic_get(queue, auto_ack=True))[0] is not None:
            bodies.append(got[2])
    return bodies


def all_done() -> bool:
    with reading() as session:
        stages = set(session.scalars(select(Ticket.stage)))
    return not all_jobs() and stages <= {"notified"}


# -- the connection ---------------------------------------------------------------------------------------------------


@pytest.fixture
def tls_port(rabbitmq: RabbitMQ) -> Iterator[int]:
    """A port on which the broker speaks TLS, with a certificate for 127.0.0.1."""
    listener = f'{{"127.0.0.1", {free_port()}}}'
    rabbitmq.evaluate("rabbit_networking:ensure_ssl()")
    options = f'[{{certfile, "{PEM}"}}, {{keyfile, "{PEM}"}}]'
    assert rabbitmq.evaluate(f"rabbit_networking:start_ssl_listener({listener}, {options}, 1)") == "ok"
    yield int(re.findall(r"\d+", listener)[-1])
    rabbitmq.evaluate(f"rabbit_networking:stop_tcp_listener({listener})")


def test_the_url_of_production_verifies_the_certificate(
    rabbitmq_url: str, tls_port: int, configure: Callable[..., Any]
):
    # Given the URL as the production environment writes it
    written = re.search(r"amqps://[^\s,]+", (ROOT / "deploy/environments/production/.env").read_text())
    assert written
    url = written[0].replace("aura-worker:...@rabbitmq.example.com:5671", f"guest:guest@127.0.0.1:{tls_port}")
    url = url.replace("%2F", rabbitmq_url.rpartition("/")[2]).replace("/etc/aura/ca.pem", str(PEM))

    def answers(url: str) -> bool:
        configure(RABBITMQ_URL=url, DATABASE_URL="postgresql://a:b@127.0.0.1:1/a")
        return health.check_rabbitmq().ok

    # Then a broker that the authority vouches for is good, and neither one that it does not know nor another name
    assert answers(url)
    assert not answers(url.partition("?")[0])
    assert not answers(url.replace("127.0.0.1", "localhost"))


# -- publishing -------------------------------------------------------------------------------------------------------


def test_the_topology_is_declared_by_the_first_process(
    publisher: Publisher, rabbitmq: RabbitMQ, rabbitmq_url: str, channel: Any
):
    queues = ["ai.classify", "ai.reanalyze", "notify.email", "tickets.intake", "tickets.notify"]

    assert set(rabbitmq.queues(rabbitmq_url)) >= {name for queue in queues for name in (queue, f"{queue}.XQ")}
    for exchange, key, queue in (
        ("tickets", "ticket.created", "tickets.intake"),
        ("ai_processing", "ai.classify", "ai.classify"),
        ("ai_processing", "ai.reanalyze", "ai.reanalyze"),
        ("notifications", "notify.email", "notify.email"),
    ):
        channel.basic_publish(exchange, key, b"garbage", mandatory=True)
        assert channel.queue_declare(queue, passive=True).method.message_count == 1
        assert channel.basic_get(queue, auto_ack=True)[2] == b"garbage"


def test_a_batch_is_published_persistent_with_its_priority(publisher: Publisher, channel: Any):
    publisher.publish([Outgoing("", "tickets.notify", f"{number}".encode(), number % 10) for number in range(500)])

    method, properties, body = channel.basic_get("tickets.notify", auto_ack=True)
    assert (properties.delivery_mode, properties.priority, body) == (2, 9, b"9")
    assert method.message_count == 499


def test_a_message_that_reaches_no_queue_fails_its_batch(publisher: Publisher, channel: Any):
    with pytest.raises(PublishFailed, match="no queue for 'nowhere'"):
        publisher.publish([out("tickets.notify"), out("nowhere")])

    publisher.publish([out("tickets.notify")])
    publisher.publish([Outgoing("tickets", "ticket.nobody.listens", b"{}", mandatory=False)])


def test_a_deleted_queue_is_declared_again(publisher: Publisher, channel: Any):
    publisher.publish([out("tickets.notify")])
    channel.queue_delete("tickets.notify")

    with pytest.raises(PublishFailed):
        publisher.publish([out("tickets.notify")])
    publisher.publish([out("tickets.notify")])

    assert publisher.depths(["tickets.notify"]) == {"tickets.notify": 1}


def test_a_broker_that_stopped_fails_the_batch_and_takes_it_after_its_restart(
    publisher: Publisher, rabbitmq: RabbitMQ, rabbitmq_url: str
):
    publisher.publish([out("tickets.notify", b"before")])
    # RabbitMQ itself forgets, now and then, a queue that was declared milliseconds before a SIGKILL (seen 1 in 10)
    rabbitmq.evaluate("mnesia:sync_log()")
    rabbitmq.kill()
    for _ in range(2):
        with pytest.raises(PublishFailed, match="RabbitMQ"):
            publisher.publish([out("tickets.notify", b"lost")])
    with pytest.raises(PublishFailed):
        publisher.depths(["tickets.notify"])
    with pytest.raises(PublishFailed):
        publisher.wait(0.1, lambda: False)
    rabbitmq.start()

    publisher.publish([out("tickets.notify", b"after")])

    depths = publisher.depths(["tickets.notify"])
    assert (depths, waiting(rabbitmq_url, "tickets.notify")) == ({"tickets.notify": 2}, [b"before", b"after"])


def test_a_connection_that_was_closed_is_opened_again(publisher: Publisher, rabbitmq: RabbitMQ):
    publisher.publish([out("tickets.notify")])
    rabbitmq.close_connections()

    with pytest.raises(PublishFailed):
        publisher.wait(60, lambda: False)
    publisher.publish([out("tickets.notify")])


def test_a_broker_that_blocks_publishers_fails_the_batch(publisher: Publisher, rabbitmq: RabbitMQ, channel: Any):
    publisher.publish([out("tickets.notify")])

    def trouble() -> str:
        try:
            publisher.publish([out("tickets.notify")])
        except PublishFailed as error:
            return str(error)
        return ""

    rabbitmq.block()
    try:
        # the alarm goes up a moment after it is asked for, and a batch may still slip through
        assert "RabbitMQ blocks publishers" in wait_until(trouble, 60, "no batch ever fails")
    finally:
        rabbitmq.unblock()
    publisher.publish([out("tickets.notify")])


def test_the_relay_marks_nothing_while_the_broker_is_away(publisher: Publisher, service: JobBroker, rabbitmq: RabbitMQ):
    enqueue(*[NewJob("classify", str(number)) for number in range(10)])
    relay = Relay(service, publisher, get_settings())
    rabbitmq.kill()
    with pytest.raises(PublishFailed):
        relay.round()
    assert {job.hinted_at for job in all_jobs()} == {None}
    rabbitmq.start()

    assert relay.round() == 10
    assert publisher.depths(["ai.classify"]) == {"ai.classify": 1}


def test_lost_hints_are_dispatched_again_only_when_the_real_queue_is_empty(
    publisher: Publisher, service: JobBroker, channel: Any
):
    enqueue(NewJob("classify", "1"), NewJob("reanalyze", "1"))
    relay = Relay(service, publisher, get_settings())
    assert relay.round() == 2
    channel.queue_purge("ai.classify")
    move(Job, hinted_at=-20)

    relay.maintenance.redispatch_lost_hints()

    assert {job.actor: job.hinted_at is None for job in all_jobs()} == {"classify": True, "reanalyze": False}


# -- the whole way ----------------------------------------------------------------------------------------------------


def test_tickets_pass_every_step_and_events_leave(service: JobBroker, channel: Any):
    queue = channel.queue_declare("", exclusive=True).method.queue
    channel.queue_bind(queue, "tickets", "ticket.#")
    ids = [accept() for _ in range(20)]

    with running(scheduler=False):
        wait_until(all_done, timeout=90, message="every ticket is notified")
        wait_until(
            lambda: channel.queue_declare(queue, passive=True).method.message_count >= 60, message="every event left"
        )

    heard: list[tuple[str, int]] = []
    while (got := channel.basic_get(queue, auto_ack=True))[0] is not None:
        assert got[1].content_type == "application/cloudevents+json"
        heard.append((got[0].routing_key.split(".")[1], json.loads(got[2])["data"]["ticket_id"]))
    assert sorted(heard) == sorted((event, i) for i in ids for event in ("received", "classified", "notified"))
    assert letters() == []


def test_workers_outlive_a_restart_of_the_broker_and_lose_nothing(service: JobBroker, rabbitmq: RabbitMQ):
    with running(scheduler=False):
        accept()
        wait_until(all_done, timeout=90, message="the first ticket is notified")
        rabbitmq.kill()
        for _ in range(5):
            accept("Mailbox is full")
        rabbitmq.start()
        wait_until(all_done, timeout=120, message="every ticket is notified")

    assert letters() == []


GARBAGE = [
    b"",
    b"\xff\x00\xfe",
    b"not json",
    b"[]",
    b"null",
    b'{"actor_name": null}',
    b"[" * 50_000,
    json.dumps({"queue_name": "x", "actor_name": ["a"], "args": [], "kwargs": {}, "options": None}).encode(),
]


def test_garbage_in_any_queue_is_a_dead_letter_with_its_bytes_and_stops_no_consumer(service: JobBroker, channel: Any):
    queues = sorted(service.get_declared_queues())
    forged = json.loads(classify.message_with_options(args=([10**12],)).encode())
    for queue in queues:
        for body in [*GARBAGE, json.dumps(forged | {"queue_name": "wrong"}).encode()]:
            channel.basic_publish("", queue, body, mandatory=True)
    channel.basic_publish("", "ai.classify", json.dumps(forged).encode(), mandatory=True)
    expected = len(queues) * (len(GARBAGE) + 1)

    with running(scheduler=False):
        wait_until(lambda: count(DeadLetter) >= expected, timeout=90, message="all garbage is dead_lettered")
        accept()
        wait_until(all_done, timeout=90, message="a good ticket is notified all the same")
        wait_until(
            lambda: not any(channel.queue_declare(q, passive=True).method.message_count for q in queues),
            message="everything is acked",
        )

    dead_lettered = letters()
    assert len(dead_lettered) == expected
    for queue in queues:
        raw = [letter.raw for letter in dead_lettered if letter.key == queue]
        assert raw[: len(GARBAGE)] == GARBAGE
    assert {letter.error_type for letter in dead_lettered} == {"Malformed"}


def test_the_jobs_of_an_actor_that_only_a_newer_version_has_are_left_to_it(service: JobBroker, channel: Any):
    enqueue(NewJob("classify_2", "1"))
    theirs = json.loads(classify.message_with_options(args=([one_job().id],)).encode()) | {"actor_name": "classify_2"}
    forged = theirs | {"args": [[10**12]]}
    for hint in (theirs, forged):
        channel.basic_publish("", "ai.classify", json.dumps(hint).encode(), mandatory=True)

    with running(scheduler=False):
        wait_until(
            lambda: not channel.queue_declare("ai.classify", passive=True).method.message_count and letters(),
            timeout=90,
            message="both hints are acked, and the one that names no job is dead_lettered",
        )

    assert [letter.raw for letter in letters()] == [json.dumps(forged).encode()]
    assert one_job().actor == "classify_2"


def test_of_a_message_that_is_too_long_the_first_kilobyte_and_the_size_are_stored(service: JobBroker, channel: Any):
    channel.basic_publish("tickets", "ticket.created", b"x" * 15_000_000, mandatory=True)
    channel.basic_publish("tickets", "ticket.created", b'{"title": "VPN drops"}', mandatory=True)

    with running(scheduler=False):
        wait_until(lambda: letters() and count(Ticket) == 1, timeout=30, message="both messages are read")

    (letter,) = letters()
    assert letter.raw == b"x" * 1024
    assert "15000000 bytes" in letter.error


def test_the_account_of_a_message_is_its_validated_user_id(service: JobBroker, channel: Any):
    other, forged = channel.connection.channel(), pika.BasicProperties(user_id="somebody")
    other.confirm_delivery()
    with pytest.raises(pika.exceptions.ChannelClosedByBroker, match="user_id"):
        other.basic_publish("tickets", "ticket.created", b'{"title": "Forged"}', forged)
    for account in ("guest", None):
        channel.basic_publish(
            "tickets",
            "ticket.created",
            b'{"title": "VPN drops", "external_id": "1"}',
            pika.BasicProperties(user_id=account),
            mandatory=True,
        )
    with running(scheduler=False):
        wait_until(lambda: count(Ticket) == 2 and all_done(), timeout=30, message="both tickets are stored")


def test_a_plain_ticket_published_twice_is_one_ticket(service: JobBroker, channel: Any):
    body = json.dumps({"title": "VPN drops", "requester": "ada@example.com"}).encode()
    for _ in range(2):
        channel.basic_publish("tickets", "ticket.created", body, pika.BasicProperties(message_id="m-1"), mandatory=True)
    channel.basic_publish("tickets", "ticket.created", body, pika.BasicProperties(message_id="m-2"), mandatory=True)

    with running(scheduler=False):
        wait_until(lambda: count(Ticket) >= 2 and all_done(), timeout=90, message="both tickets are notified")
        channel.basic_publish("tickets", "ticket.created", body, pika.BasicProperties(message_id="m-1"), mandatory=True)
        channel.basic_publish("ai_processing", "ai.classify", b'{"ticket_id": 1, "type": "classify"}', mandatory=True)
        note = {"user_id": "ada@example.com", "data": {"subject": "Hi", "message": "Lunch?"}}
        channel.basic_publish("notifications", "notify.email", json.dumps(note).encode(), mandatory=True)
        wait_until(
            lambda: len(_kept("classify")) == 3 and len(_kept("receive")) == 3 and all_done(),
            timeout=90,
            message="the three kinds of plain messages are worked on",
        )

    assert count(Ticket) == 2
    assert letters() == []


def _kept(actor: str) -> list[int]:
    from db.models import Attempt

    with reading() as session:
        return list(session.scalars(select(Attempt.id).where(Attempt.actor == actor, Attempt.outcome == "completed")))


def test_a_message_waits_while_the_database_is_away(service: JobBroker, channel: Any, monkeypatch: pytest.MonkeyPatch):
    from sqlalchemy.exc import OperationalError

    away = [True]

    def flaky(*_: Any) -> None:
        if away:
            away.pop()
            raise OperationalError("INSERT", {}, Exception("the database is away"))
        real(*_)

    real = jobs.enqueue
    monkeypatch.setattr(jobs, "enqueue", flaky)
    channel.basic_publish("tickets", "ticket.created", b'{"title": "VPN drops"}', mandatory=True)

    with running(scheduler=False):
        wait_until(lambda: count(Ticket) == 1 and all_done(), timeout=90, message="the message is redelivered")

    assert (away, letters()) == ([], [])


def test_a_message_that_breaks_its_reader_stops_no_consumer(
    service: JobBroker, channel: Any, monkeypatch: pytest.MonkeyPatch
):
    accept_message = PlainJson.accept

    def unforeseen(self: PlainJson, session: Any, message_id: Any, account: str) -> None:
        if b"odd" in self.body:
            raise RecursionError("nobody thought of that")
        accept_message(self, session, message_id, account)

    monkeypatch.setattr(PlainJson, "accept", unforeseen)
    for title in (b"odd", b"VPN drops"):
        channel.basic_publish("tickets", "ticket.created", b'{"title": "%s"}' % title, mandatory=True)

    with running(scheduler=False):
        wait_until(lambda: count(Ticket) == 1 and all_done(), timeout=90, message="the one behind it is a ticket")

    assert [(letter.raw, letter.error_type) for letter in letters()] == [(b'{"title": "odd"}', "RecursionError")]


# -- stale delivery tags ----------------------------------------------------------------------------------------------


def a_message_of_an_earlier_connection_acks_nothing(service: JobBroker, channel: Any) -> None:
    # Given a message that is being worked on when its channel breaks, so that it is delivered again
    hint = classify.message_with_options(args=([1],)).encode()
    channel.basic_publish("", "ai.classify", hint, mandatory=True)
    before = service.consume("ai.classify", prefetch=1, timeout=60_000)
    stale = next(before)
    before.close()
    after = service.consume("ai.classify", prefetch=1, timeout=60_000)
    try:
        again = next(after)
        assert stale is not None
        assert again is not None
        assert stale._tag == again._tag, "the very case: both are the first message of their channel"
        # When the first one is done now, over the channel that took the other's place
        after.ack(stale)
        after.nack(stale)
    finally:
        after.close()
    # Then the second is not acked by that, and given to the next consumer
    assert channel.queue_declare("ai.classify", passive=True).method.message_count == 1


def test_a_stale_delivery_tag_acks_nothing(service: JobBroker, channel: Any):
    a_message_of_an_earlier_connection_acks_nothing(service, channel)


def test_without_the_guard_another_message_is_acked(service: JobBroker, channel: Any, monkeypatch: pytest.MonkeyPatch):
    reached: list[Any] = []

    def ack(self: Any, message: Any) -> None:
        reached.append(message)
        self.subscription.ack(message._tag)

    monkeypatch.setattr(GuardedConsumer, "ack", ack)

    with pytest.raises(AssertionError):
        a_message_of_an_earlier_connection_acks_nothing(service, channel)
    assert len(reached) == 1


def test_its_own_message_is_acked(service: JobBroker, channel: Any):
    channel.basic_publish("", "ai.classify", classify.message_with_options(args=([1],)).encode(), mandatory=True)
    consumer = service.consume("ai.classify", prefetch=1, timeout=60_000)
    message = next(consumer)
    consumer.ack(message)
    consumer.close()

    assert channel.queue_declare("ai.classify", passive=True).method.message_count == 0


@pytest.mark.parametrize("name", ["classify_2", "\ud800", "nul\0"])
def test_a_hint_for_an_unknown_actor_is_a_dead_letter(service: JobBroker, channel: Any, name: str):
    hint = json.loads(classify.message_with_options(args=([1],)).encode())
    body = json.dumps(hint | {"actor_name": name}).encode()
    channel.basic_publish("", "ai.classify", body, mandatory=True)
    consumer = service.consume("ai.classify", prefetch=1, timeout=60_000)
    assert next(consumer) is None
    consumer.close()

    assert [(letter.key, letter.raw) for letter in letters()] == [("ai.classify", body)]
    assert channel.queue_declare("ai.classify", passive=True).method.message_count == 0


def test_one_connection_serves_all_queues_and_is_closed_with_the_last(service: JobBroker, rabbitmq: RabbitMQ):
    wait_until(lambda: connections(rabbitmq) == 0, timeout=60, message="those of earlier tests are closed")
    consumers = [service.consume(queue) for queue in sorted(service.get_declared_queues())]
    assert len(consumers) > 3
    assert connections(rabbitmq) == 1
    for consumer in consumers:
        consumer.close()

    wait_until(lambda: connections(rabbitmq) == 0, timeout=60, message="the connection is closed")


def connections(rabbitmq: RabbitMQ) -> int:
    return int(rabbitmq.evaluate("length(rabbit_networking:connections())"))


def test_every_consumer_hears_at_once_that_the_connection_broke(
    service: JobBroker, rabbitmq: RabbitMQ, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(subscriptions, "STEADY_AFTER", float("inf"))
    consumers = [service.consume(queue, timeout=60_000) for queue in ("ai.classify", "notify.email")]
    threading.Timer(0.5, rabbitmq.close_connections).start()
    for consumer in consumers:
        with pytest.raises(ConnectionClosed):
            next(consumer)
        consumer.close()

    again = service.consume("ai.classify", timeout=1)
    assert next(again) is None
    again.close()


def test_a_steady_consumer_goes_on_when_its_connection_broke(
    service: JobBroker, rabbitmq: RabbitMQ, rabbitmq_url: str, monkeypatch: pytest.MonkeyPatch
):
    # Given a hint in work when the broker closes the connection, so that it is delivered again
    monkeypatch.setattr(subscriptions, "STEADY_AFTER", 0.0)
    consumer = service.consume("ai.classify", prefetch=1, timeout=1000)
    with pika.BlockingConnection(pika.URLParameters(rabbitmq_url)) as connection:
        connection.channel().basic_publish("", "ai.classify", classify.message_with_options(args=([1],)).encode())
    before = next(consumer)
    rabbitmq.close_connections()

    # Then the same consumer receives it, and each is settled on its own channel
    again = wait_until(lambda: next(consumer), 30, "the consumer goes on")
    consumer.ack(before)
    consumer.nack(again)
    consumer.close()
    with pika.BlockingConnection(pika.URLParameters(rabbitmq_url)) as connection:
        dead = connection.channel().queue_declare("ai.classify.XQ", passive=True).method.message_count
    assert dead == 1, "the ack of the first is not that of the second"


def test_a_queue_that_is_deleted_is_declared_again(service: JobBroker, channel: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(subscriptions, "STEADY_AFTER", float("inf"))
    consumer = service.consume("ai.classify", timeout=60_000)
    other = service.consume("notify.email", timeout=1)
    channel.queue_delete("ai.classify")
    with pytest.raises(ConnectionClosed):
        next(consumer)
    consumer.close()

    again = service.consume("ai.classify", timeout=1)
    assert (next(again), next(other)) == (None, None)
    again.close()
    other.close()


# -- dead-letter queues -----------------------------------------------------------------------------------------------


def test_messages_that_rabbitmq_dead_letters_are_moved_into_the_table(
    publisher: Publisher, channel: Any, service: JobBroker
):
    # Given a message that another consumer rejected, and hints, which are not the work itself; one is a newer version's,
    # and one names an actor and a job that are nowhere
    channel.basic_publish("", "notify.email", b'{"user_id": "ada"}', mandatory=True)
    method, _, _ = channel.basic_get("notify.email")
    channel.basic_nack(method.delivery_tag, requeue=False)
    enqueue(NewJob("classify_2", "1"))
    hint = json.loads(classify.message_with_options(args=([one_job().id],)).encode())
    theirs = hint | {"actor_name": "classify_2"}
    forged = json.dumps(theirs | {"args": [[10**12]]}).encode()
    for body in (json.dumps(hint).encode(), json.dumps(theirs).encode(), forged):
        channel.basic_publish("", "ai.classify.XQ", body, mandatory=True)
    wait_until(
        lambda: channel.queue_declare("notify.email.XQ", passive=True).method.message_count == 1,
        message="RabbitMQ has moved it",
    )
    # When the relay drains
    Relay(service, publisher, get_settings()).maintenance.drain()
    # Then the message and the forgery are dead letters with their bytes and the reason, and both queues are empty
    nowhere, letter = sorted(letters(), key=lambda letter: letter.key)
    assert (nowhere.key, nowhere.raw) == ("ai.classify", forged)
    assert "no actor 'classify_2'" in nowhere.error
    assert (letter.key, letter.raw) == ("notify.email", b'{"user_id": "ada"}')
    assert "rejected" in letter.error
    assert channel.queue_declare("notify.email.XQ", passive=True).method.message_count == 0
    assert channel.queue_declare("ai.classify.XQ", passive=True).method.message_count == 0


def test_a_message_stays_in_the_dead_letter_queue_while_the_table_is_away(
    publisher: Publisher, channel: Any, service: JobBroker, monkeypatch: pytest.MonkeyPatch
):
    channel.basic_publish("", "notify.email.XQ", b"nobody could read it", mandatory=True)

    def away(*_args: Any) -> None:
        raise OperationalError("INSERT", {}, Exception("server closed the connection"))

    with monkeypatch.context() as patch:
        patch.setattr(dead_letters, "record_message", away)
        with pytest.raises(OperationalError):
            Relay(service, publisher, get_settings()).maintenance.drain()
    assert letters() == []
    wait_until(
        lambda: channel.queue_declare("notify.email.XQ", passive=True).method.message_count == 1,
        message="the message is back",
    )

    Relay(service, publisher, get_settings()).maintenance.drain()
    assert [letter.raw for letter in letters()] == [b"nobody could read it"]


def test_a_long_dead_letter_queue_is_emptied_bit_by_bit(
    publisher: Publisher, channel: Any, service: JobBroker, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(admin, "MOST_DRAINED", 2)
    for number in range(3):
        channel.basic_publish("", "notify.email.XQ", b"message %d" % number, mandatory=True)
    found = []
    for _ in range(2):
        Relay(service, publisher, get_settings()).maintenance.drain()
        found.append(len(letters()))
    assert found == [2, 3]


def test_the_hint_of_a_dead_lettered_job_goes_to_the_dead_letter_queue(
    service: JobBroker, channel: Any, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(Maintenance, "drain", lambda _relay: None)
    enqueue(NewJob("classify", "17"))  # a ticket that is not there
    with running(scheduler=False):
        wait_until(lambda: len(letters()) == 1, timeout=90, message="the job is dead-lettered")
        wait_until(
            lambda: channel.queue_declare("ai.classify.XQ", passive=True).method.message_count == 1,
            message="its hint is in the dead-letter queue",
        )


def test_declaring_actors_opens_no_connection(rabbitmq: RabbitMQ, service: JobBroker, rabbitmq_url: str):
    assert rabbitmq.queues(rabbitmq_url) == {}
