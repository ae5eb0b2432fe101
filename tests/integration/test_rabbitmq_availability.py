"""RabbitMQ and the database fail in part: hosts, queues, rights, alarms, deliveries; the rest goes on, and doctor names it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pika
import psycopg2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from dramatiq.errors import ConnectionClosed
from psycopg2 import sql

from aura.jobs.actor import Unclaimed
from aura.jobs.broker import JobBroker
from aura.jobs.rabbitmq import subscriptions
from aura.jobs.rabbitmq.consumer import GuardedConsumer, GuardedMessage
from aura.jobs.rabbitmq.publisher import Publisher
from aura.jobs.relay import Relay
from aura.jobs.transport import PublishFailed
from aura.settings import get_settings
from aura.web import health
from db.database import dispose
from db.jobs import NewJob
from tests.conftest import wait_until
from tests.embedded import all_jobs, enqueue, fresh_broker, letters
from tests.receiver import PEM
from tests.services import PostgreSQL, RabbitMQ, free_port


@pytest.fixture
def publisher(service: JobBroker) -> Iterator[Publisher]:
    publisher = Publisher(get_settings(), service.get_declared_queues, service.program.topology)
    yield publisher
    publisher.close()


@pytest.fixture
def channel(rabbitmq_url: str) -> Iterator[Any]:
    """A channel of an operator, in confirm mode."""
    with pika.BlockingConnection(pika.URLParameters(rabbitmq_url)) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        yield channel


def policy(rabbitmq: RabbitMQ, url: str, queue: str, definition: str) -> None:
    """Set a policy of one queue."""
    vhost = url.rpartition("/")[2]
    pattern = f"^{queue.replace('.', '[.]')}$"
    rabbitmq.evaluate(
        f'rabbit_policy:set(<<"{vhost}">>, <<"p">>, <<"{pattern}">>, [{definition}], 0, <<"queues">>, <<"tests">>)'
    )


@contextmanager
def database_away(postgresql: PostgreSQL, url: str) -> Iterator[None]:
    """Have the database refuse everybody while the block runs."""
    name = url.rpartition("/")[2]

    def allow(allowed: bool) -> None:
        with closing(psycopg2.connect(postgresql.url)) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                statement = sql.SQL("ALTER DATABASE {} WITH ALLOW_CONNECTIONS {}")
                cursor.execute(statement.format(sql.Identifier(name), sql.Literal(allowed)))
                cursor.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))

    allow(False)
    try:
        yield
    finally:
        allow(True)


def read(consumer: GuardedConsumer, times: int) -> list[Any]:
    """Read so many times; return the hints."""
    return [hint for hint in (next(consumer) for _ in range(times)) if hint is not None]


# -- deliveries --------------------------------------------------------------------------------------------------------


def test_a_database_that_is_away_makes_no_dead_letters_of_tickets(
    postgres: str,
    rabbitmq_url: str,
    rabbitmq: RabbitMQ,
    postgresql: PostgreSQL,
    channel: Any,
    configure: Callable[..., Any],
):
    # Given tickets in a quorum queue whose delivery limit is far below RabbitMQ 4's 20
    settings = configure(DATABASE_URL=postgres, RABBITMQ_URL=rabbitmq_url, AURA_QUORUM_QUEUES="true")
    with fresh_broker(settings) as broker:
        consumer = broker.consume("tickets.intake", 10, 100)
        assert isinstance(consumer, GuardedConsumer)
        policy(rabbitmq, rabbitmq_url, "tickets.intake", '{<<"delivery-limit">>, 2}')
        for number in range(5):
            body = json.dumps({"title": f"Ticket {number}", "requester": f"p{number}@example.com"})
            channel.basic_publish("tickets", "ticket.created", body.encode(), mandatory=True)

        # When the consumer tries more often than the limit while the database is away
        with database_away(postgresql, postgres):
            assert read(consumer, 8) == []
            assert consumer.subscription.alive, "a channel that closes counts a delivery of each message"

            # Then nothing is consumed again before the database answers
            with pytest.raises(ConnectionClosed, match="the database is unavailable"):
                broker.consume("tickets.intake", 10, 100)
        dispose()
        wait_until(lambda: read(consumer, 1) == [] and len(all_jobs()) == 5, 30, "every ticket is a job")
        assert letters() == []
        assert channel.queue_declare("tickets.intake.XQ", passive=True).method.message_count == 0
        consumer.close()


@pytest.mark.parametrize("quorum", ["true", "false"])
def test_a_hint_that_nobody_could_claim_is_delivered_again(
    postgres: str, rabbitmq_url: str, configure: Callable[..., Any], quorum: str
):
    settings = configure(DATABASE_URL=postgres, RABBITMQ_URL=rabbitmq_url, AURA_QUORUM_QUEUES=quorum)
    with fresh_broker(settings) as broker:
        publisher = Publisher(settings, broker.get_declared_queues, broker.program.topology)
        enqueue(NewJob("classify", "1"))
        assert Relay(broker, publisher, settings).round() == 1
        consumer = broker.consume("ai.classify", 1, 2000)
        hint = next(consumer)
        assert isinstance(hint, GuardedMessage)

        hint.stuff_exception(Unclaimed("the database is away"))
        assert hint.failed
        consumer.nack(hint)

        again = next(consumer)
        assert again is not None and again.args == hint.args
        consumer.close()
        publisher.close()


@contextmanager
def consumer_timeout(rabbitmq: RabbitMQ) -> Iterator[None]:
    """Have RabbitMQ close a channel that acks nothing for half a second."""
    expression = (
        "[application:set_env(rabbit, K, V) || {{K, V}} <- [{{consumer_timeout, {}}}, {{channel_tick_interval, {}}}]]"
    )
    rabbitmq.evaluate(expression.format(500, 300))
    try:
        yield
    finally:
        rabbitmq.evaluate(expression.format(1_800_000, 60_000))


@pytest.mark.parametrize("steady", [False, True])
def test_the_reason_of_a_closed_channel_is_in_the_log(
    service: JobBroker,
    rabbitmq: RabbitMQ,
    channel: Any,
    steady: bool,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
):
    monkeypatch.setattr(subscriptions, "STEADY_AFTER", 0.0 if steady else float("inf"))
    with consumer_timeout(rabbitmq):
        consumer = service.consume("ai.classify", 1, 1000)
        enqueue(NewJob("classify", "1"))
        publisher = Publisher(get_settings(), service.get_declared_queues, service.program.topology)
        Relay(service, publisher, get_settings()).round()
        publisher.close()
        assert next(consumer) is not None, "a hint that is not acked"
        if steady:
            wait_until(lambda: read(consumer, 1), 30, "the consumer goes on, and the hint is delivered again")
            [line] = [each for each in caplog.messages if each.startswith("ai.classify is consumed again")]
            assert "delivery acknowledgement" in line
        else:  # Dramatiq logs the error
            with pytest.raises(ConnectionClosed, match="delivery acknowledgement"):
                wait_until(lambda: read(consumer, 1), 30, "RabbitMQ closes the channel")  # type: ignore[arg-type]
        consumer.close()


# -- queues ------------------------------------------------------------------------------------------------------------


def test_a_queue_with_other_arguments_stops_no_other_queue(
    service: JobBroker, publisher: Publisher, channel: Any, caplog: pytest.LogCaptureFixture
):
    channel.queue_declare("ai.classify.XQ", durable=True, arguments={"x-message-ttl": 1000})
    channel.queue_declare("notify.email", durable=True)
    enqueue(NewJob("classify", "1"), NewJob("email", "1"), NewJob("notify", "1"))

    assert Relay(service, publisher, get_settings()).round() == 3
    assert {"queue ai.classify.XQ", "queue notify.email"} <= set(publisher.problems)
    for queue in ("ai.classify", "notify.email", "tickets.notify"):
        consumer = service.consume(queue, 1, 3000)
        assert next(consumer) is not None, queue
        consumer.close()
    found = health.check_rabbitmq()
    assert not found.ok
    assert "ai.classify.XQ" in found.detail and "x-message-ttl" in found.detail and "notify.email" in found.detail
    assert "AURA_QUORUM_QUEUES" in found.fix


def test_a_queue_that_refuses_messages_holds_up_no_other_queue(
    service: JobBroker, publisher: Publisher, rabbitmq: RabbitMQ, rabbitmq_url: str
):
    publisher.open()
    policy(rabbitmq, rabbitmq_url, "ai.classify", '{<<"max-length">>, 0}, {<<"overflow">>, <<"reject-publish">>}')
    enqueue(NewJob("classify", "1"), NewJob("notify", "1"))
    relay = Relay(service, publisher, get_settings())

    with pytest.raises(PublishFailed, match=r"ai\.classify") as caught:
        relay.round()
    assert caught.value.routing_keys == {"ai.classify"}
    assert {job.actor: job.hinted_at is not None for job in all_jobs()} == {"classify": False, "notify": True}

    enqueue(NewJob("notify", "2"))
    assert relay.round() == 1, "the queue that refuses is left out for a while"


def test_a_virtual_host_with_quorum_queues_by_default_gets_classic_ones(
    rabbitmq: RabbitMQ, configure: Callable[..., Any], postgres: str
):
    url = rabbitmq.vhost_url(vhost := f"quorum-{uuid.uuid4().hex[:8]}")
    every = ", ".join(3 * ['<<".*">>'])
    rabbitmq.evaluate(f'rabbit_vhost:put_vhost(<<"{vhost}">>, <<>>, [], <<"quorum">>, undefined, <<"tests">>)')
    rabbitmq.evaluate(f'rabbit_auth_backend_internal:set_permissions(<<"guest">>, <<"{vhost}">>, {every}, <<"tests">>)')
    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        channel = connection.channel()
        channel.queue_declare("untyped", durable=True)
        with pytest.raises(pika.exceptions.ChannelClosedByBroker, match="classic"):
            channel.queue_declare("untyped", durable=True, arguments={"x-queue-type": "classic"})
    with fresh_broker(configure(DATABASE_URL=postgres, RABBITMQ_URL=url)) as broker:
        publisher = Publisher(get_settings(), broker.get_declared_queues, broker.program.topology)
        publisher.open()
        assert publisher.problems == {}
        publisher.close()
        assert health.check_rabbitmq().ok, health.check_rabbitmq()
    rabbitmq.delete_vhost(url)


# -- rights, alarms, connections -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rights", "named"),
    [
        (("^$", ".*", ".*"), "queue ai.classify.XQ"),
        ((".*", "^$", ".*"), "amq.default"),
        ((".*", ".*", "^$"), "queue ai.classify.XQ"),
    ],
    ids=["configure", "write", "read"],
)
@pytest.mark.parametrize("declared", [True, False])
def test_the_doctor_names_a_right_that_lacks(
    service: JobBroker,
    publisher: Publisher,
    rabbitmq: RabbitMQ,
    rabbitmq_url: str,
    configure: Callable[..., Any],
    rights: tuple[str, str, str],
    named: str,
    declared: bool,
):
    vhost = rabbitmq_url.rpartition("/")[2]
    if declared:
        publisher.open()
    before = rabbitmq.queues(rabbitmq_url)
    three = ", ".join(f'<<"{each}">>' for each in rights)
    rabbitmq.evaluate('rabbit_auth_backend_internal:add_user(<<"limited">>, <<"p">>, <<"tests">>)')
    rabbitmq.evaluate(
        f'rabbit_auth_backend_internal:set_permissions(<<"limited">>, <<"{vhost}">>, {three}, <<"tests">>)'
    )
    configure(
        RABBITMQ_URL=rabbitmq_url.replace("guest:guest", "limited:p"), DATABASE_URL="postgresql://a:b@127.0.0.1:1/a"
    )

    found = health.check_rabbitmq()

    assert not found.ok
    assert named in found.detail and "ACCESS_REFUSED" in found.detail and "set_permissions" in found.fix
    assert rabbitmq.queues(rabbitmq_url) == before, "the doctor creates nothing"


def test_an_idle_relay_opens_no_further_connection(service: JobBroker, publisher: Publisher, rabbitmq: RabbitMQ):
    relay = Relay(service, publisher, get_settings())
    publisher.open()
    relay.maintenance.drain()

    def connections() -> str:
        return rabbitmq.evaluate("lists:sort(rabbit_networking:connections())")

    before = connections()
    for _ in range(3):
        relay.maintenance.drain()
        publisher.depths(["ai.classify", "notify.email"])
        publisher.wait(0, lambda: True)
    assert connections() == before


def test_the_connection_for_administration_outlives_its_heartbeats(
    service: JobBroker, publisher: Publisher, rabbitmq: RabbitMQ
):
    publisher.open()
    rabbitmq.close_connections()
    wait_until(lambda: not int(rabbitmq.evaluate("length(rabbit_networking:connections())")), 20)
    with pytest.raises(PublishFailed):
        publisher.wait(5, lambda: False)
    publisher.open()
    assert publisher.depths(["ai.classify"]) == {"ai.classify": 0}


def test_another_host_serves_when_one_is_dead(
    rabbitmq_url: str, rabbitmq: RabbitMQ, postgres: str, configure: Callable[..., Any]
):
    dead = f"127.0.0.1:{free_port()}"
    hosts = rabbitmq_url.replace(f"127.0.0.1:{rabbitmq.port}", f"{dead},127.0.0.1:{rabbitmq.port}")
    with fresh_broker(configure(DATABASE_URL=postgres, RABBITMQ_URL=hosts)) as broker:
        publisher = Publisher(get_settings(), broker.get_declared_queues, broker.program.topology)
        for _ in range(5):
            publisher.open()
            publisher.close()
        consumer = broker.consume("ai.classify", 1, 100)
        assert next(consumer) is None
        consumer.close()
        found = health.check_rabbitmq()
    assert not found.ok and f"host {dead}" in found.detail


@pytest.fixture(scope="module")
def client_certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an authority (ca.pem) and a client certificate of it with its key (client.pem)."""
    folder = tmp_path_factory.mktemp("client")
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
    names = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]) for name in ("authority", "guest")]
    begin = datetime.now(UTC) - timedelta(days=1)
    for number, file in enumerate(("ca.pem", "client.pem")):
        builder = x509.CertificateBuilder().subject_name(names[number]).issuer_name(names[0])
        builder = builder.public_key(keys[number].public_key()).serial_number(number + 1)
        builder = builder.not_valid_before(begin).not_valid_after(begin + timedelta(days=9))
        builder = builder.add_extension(x509.BasicConstraints(ca=number == 0, path_length=None), critical=True)
        made = builder.sign(keys[0], hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        key = keys[number].private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        (folder / file).write_bytes(made + (key if number else b""))
    return folder


@pytest.fixture
def client_tls_port(rabbitmq: RabbitMQ, client_certificate: Path) -> Iterator[int]:
    """A port on which the broker demands a client certificate."""
    port = free_port()
    listener = f'{{"127.0.0.1", {port}}}'
    rabbitmq.evaluate("rabbit_networking:ensure_ssl()")
    files = f'{{cacertfile, "{client_certificate}/ca.pem"}}, {{certfile, "{PEM}"}}, {{keyfile, "{PEM}"}}'
    options = f"[{files}, {{verify, verify_peer}}, {{fail_if_no_peer_cert, true}}]"
    assert rabbitmq.evaluate(f"rabbit_networking:start_ssl_listener({listener}, {options}, 1)") == "ok"
    yield port
    rabbitmq.evaluate(f"rabbit_networking:stop_tcp_listener({listener})")


def test_a_private_authority_and_a_client_certificate(
    rabbitmq_url: str, rabbitmq: RabbitMQ, client_tls_port: int, client_certificate: Path, configure: Callable[..., Any]
):
    url = rabbitmq_url.replace("amqp://", "amqps://").replace(f":{rabbitmq.port}", f":{client_tls_port}")
    certificate = f"certfile={client_certificate}/client.pem"

    def answer(query: str) -> health.Check:
        configure(RABBITMQ_URL=f"{url}?{query}", DATABASE_URL="postgresql://a:b@127.0.0.1:1/a")
        return health.check_rabbitmq()

    assert answer(f"cacertfile={PEM}&{certificate}").ok, answer(f"cacertfile={PEM}&{certificate}")
    assert not answer(f"cacertfile={PEM}").ok, "without a certificate"
    assert not answer(certificate).ok, "the system does not know this authority"
    assert "cacertfile=/nowhere.pem cannot be used: No such file" in answer("cacertfile=/nowhere.pem").detail
    assert "verify must be verify_peer" in answer("verify=verify_none").detail
