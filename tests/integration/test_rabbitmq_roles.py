"""The roles of deploy/rabbitmq on a real broker: each operation with each role, the allowed ones and the refused ones."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pika
import pytest
from pika.adapters.blocking_connection import BlockingChannel, BlockingConnection

from actors import TOPOLOGY
from aura.jobs.rabbitmq import topology
from tests.conftest import ROOT
from tests.services import RabbitMQ

pytestmark = pytest.mark.integration

ROLES = ("aura-publisher", "aura-reanalyzer", "aura-messenger", "aura-listener", "aura-monitor")
OWN = {"tickets": "ticket.created", "ai_processing": "ai.classify", "notifications": "notify.email"}
CLOUD_EVENT = "ticket.classified.security.critical"
#: Binding keys that receive tickets of other programs, and with them their passwords and addresses.
TICKET_KEYS = (
    *("ticket.created", "ticket.created.#", "ticket.#", "#", "*.*", "ticket.*", "*.created", "#.created", "ticket.*.#"),
    *("*.#", "#.#", "ticket.#.#", "*.created.#", "", "ticket", "ticket.created.*"),
)
EVENT_KEYS = (
    *("ticket.received", "ticket.classified.#", "ticket.classified.security.*", "ticket.classified.*.critical"),
    *("ticket.dead_lettered", "ticket.resolved", "ticket.status_changed.#"),
)


class Broker:
    """A virtual host with the shipped definitions, and a connection for each role."""

    def __init__(self, rabbitmq: RabbitMQ, url: str) -> None:
        self.rabbitmq, self.url = rabbitmq, url
        vhost = url.rpartition("/")[2]
        text = (ROOT / "deploy/rabbitmq/definitions.json").read_text().replace('"vhost": "/"', f'"vhost": "{vhost}"')
        file = rabbitmq.directory / f"roles-{vhost}.json"
        file.write_text(json.dumps(json.loads(text) | {"vhosts": [{"name": vhost}]}))
        rabbitmq.evaluate(f'ok = rabbit_definitions:import_raw(element(2, file:read_file("{file}")))')
        self.connections: dict[str, BlockingConnection] = {}
        for role in (*ROLES, "aura-worker"):
            password = f'rabbit_auth_backend_internal:change_password(<<"{role}">>, <<"secret">>, <<"tests">>)'
            rabbitmq.evaluate(password)
            self.connections[role] = self._connect(f"{role}:secret")
        self.admin = self._connect("guest:guest")
        for exchange in OWN:
            self.admin.channel().exchange_declare(exchange, "topic", durable=True)
        self.admin.channel().queue_declare("events.mine", durable=True)

    def _connect(self, login: str) -> BlockingConnection:
        return BlockingConnection(pika.URLParameters(self.url.replace("guest:guest", login)))

    def may(self, role: str, operation: Callable[[BlockingChannel], Any]) -> bool:
        """Return whether the broker allows the operation, on a channel of its own."""
        channel = self.connections[role].channel()
        channel.confirm_delivery()
        try:
            operation(channel)
        except pika.exceptions.ChannelClosedByBroker as error:
            if error.reply_code != 403:
                raise
            return False
        except pika.exceptions.UnroutableError:
            pass
        channel.close()
        return True

    def close(self) -> None:
        for connection in (*self.connections.values(), self.admin):
            connection.close()


@pytest.fixture
def broker(rabbitmq: RabbitMQ, rabbitmq_url: str) -> Iterator[Broker]:
    broker = Broker(rabbitmq, rabbitmq_url)
    yield broker
    broker.close()


def publish(exchange: str, key: str) -> Callable[[BlockingChannel], Any]:
    return lambda channel: channel.basic_publish(exchange, key, b"{}")


def test_each_role_publishes_one_kind_of_message_alone(broker: Broker) -> None:
    wanted = {
        "aura-publisher": {("tickets", "ticket.created")},
        "aura-reanalyzer": {("ai_processing", "ai.classify"), ("ai_processing", "ai.reanalyze")},
        "aura-messenger": {
            ("notifications", f"notify.{each}") for each in ("email", "slack", "teams", "webhook", "apprise")
        },
    }
    keys = {
        *(
            "ticket.created",
            "ticket.received",
            CLOUD_EVENT,
            "ticket.created.x",
            "ai.classify",
            "ai.reanalyze",
            "ai.other",
        ),
        *(f"notify.{channel}" for channel in ("email", "slack", "teams", "webhook", "apprise", "other")),
        *("tickets.intake", "tickets.intake.XQ", "retention", "events.mine", "", "#"),
    }
    exchanges = ("", *OWN, "amq.topic", "amq.direct", "amq.fanout", "amq.headers", "amq.match")
    for role in ROLES:
        allowed = {
            (exchange, key) for exchange in exchanges for key in keys if broker.may(role, publish(exchange, key))
        }
        assert allowed == wanted.get(role, set()), role


def test_no_role_reads_or_changes_a_queue_or_an_exchange_of_aura(broker: Broker) -> None:
    queues = [queue["name"] for queue in json.loads((ROOT / "deploy/rabbitmq/definitions.json").read_text())["queues"]]
    operations: dict[str, Callable[[str], Callable[[BlockingChannel], Any]]] = {
        "get": lambda queue: lambda channel: channel.basic_get(queue),
        "consume": lambda queue: lambda channel: channel.basic_consume(queue, lambda *_: None),
        "purge": lambda queue: lambda channel: channel.queue_purge(queue),
        "delete": lambda queue: lambda channel: channel.queue_delete(queue),
        "declare": lambda queue: lambda channel: channel.queue_declare(queue, durable=True),
        "bind": lambda queue: lambda channel: channel.queue_bind(queue, "tickets", "ticket.received"),
        "unbind": lambda queue: lambda channel: channel.queue_unbind(queue, "tickets", "ticket.created"),
    }
    for role in ROLES:
        for name, operation in operations.items():
            for queue in (*queues, "payroll"):
                assert not broker.may(role, operation(queue)), (role, name, queue)
        for exchange in (*OWN, "payroll"):
            assert not broker.may(role, lambda channel, name=exchange: channel.exchange_declare(name, "fanout")), role
            assert not broker.may(role, lambda channel, name=exchange: channel.exchange_delete(name)), role
        assert not broker.may(role, lambda channel: channel.queue_declare("")), role


def test_a_listener_binds_events_alone(broker: Broker) -> None:
    def bind(key: str, exchange: str = "tickets") -> bool:
        return broker.may("aura-listener", lambda channel: channel.queue_bind("events.mine", exchange, key))

    assert [key for key in EVENT_KEYS if not bind(key)] == []
    assert [key for key in TICKET_KEYS if bind(key)] == []
    assert [
        exchange for exchange in ("ai_processing", "notifications", "amq.topic") if bind("ticket.received", exchange)
    ] == []
    # When a ticket and an event are published
    worker = broker.connections["aura-worker"].channel()
    worker.confirm_delivery()
    worker.basic_publish("tickets", "ticket.created", b"password")
    worker.basic_publish("tickets", "ticket.received", b"event")
    # Then the listener's queue holds the event alone, and the listener may read, purge and delete it
    listener = broker.connections["aura-listener"].channel()
    assert listener.basic_get("events.mine", auto_ack=True)[2] == b"event"
    assert listener.basic_get("events.mine", auto_ack=True)[2] is None
    listener.queue_purge("events.mine")
    listener.queue_delete("events.mine")
    listener.queue_declare("events.other", durable=True)


def test_a_listener_gets_around_its_keys_with_no_exchange_of_its_own(broker: Broker) -> None:
    listener = broker.connections["aura-listener"].channel()
    listener.exchange_declare("events.mine", "topic")
    attempts: list[Callable[[BlockingChannel], Any]] = [
        # the exchange as the destination of a binding, as an alternate exchange, and as a dead-letter exchange
        *[lambda channel, key=key: channel.exchange_bind("events.mine", "tickets", key) for key in TICKET_KEYS],
        lambda channel: channel.exchange_bind("tickets", "events.mine", "#"),
        lambda channel: channel.exchange_declare("events.a", "topic", arguments={"alternate-exchange": "tickets"}),
        *[
            lambda channel, to=to: channel.queue_declare("events.d", arguments={"x-dead-letter-exchange": to})
            for to in (*OWN, "", "amq.topic")
        ],
        lambda channel: channel.queue_bind("tickets.intake", "events.mine", "#"),
    ]
    assert [number for number, each in enumerate(attempts) if broker.may("aura-listener", each)] == []
    assert broker.may(
        "aura-listener", lambda channel: channel.exchange_bind("events.mine", "tickets", "ticket.received")
    )


def test_a_forged_event_is_refused_or_carries_the_key_of_a_ticket(broker: Broker) -> None:
    """RabbitMQ before 4.0.x routes by CC and BCC unchecked; the delivery's routing key stays the checked one."""
    listener = broker.connections["aura-listener"].channel()
    listener.queue_bind("events.mine", "tickets", "ticket.classified.#")
    for header in ("CC", "BCC"):
        properties = pika.BasicProperties(headers={header: [CLOUD_EVENT]})
        broker.may(
            "aura-publisher",
            lambda channel, properties=properties: channel.basic_publish(
                "tickets", "ticket.created", b"{}", properties
            ),
        )
    keys = [
        method.routing_key for method, _, _ in iter(lambda: listener.basic_get("events.mine", True), (None, None, None))
    ]
    assert set(keys) <= {"ticket.created"}


def test_no_role_publishes_in_the_name_of_another(broker: Broker) -> None:
    channel = broker.connections["aura-publisher"].channel()
    channel.confirm_delivery()
    with pytest.raises(pika.exceptions.ChannelClosedByBroker, match="PRECONDITION_FAILED"):
        channel.basic_publish("tickets", "ticket.created", b"{}", pika.BasicProperties(user_id="aura-worker"))


def test_the_worker_declares_and_publishes_everything(broker: Broker) -> None:
    channel = broker.connections["aura-worker"].channel()
    channel.confirm_delivery()
    for queue in ("tickets.intake", "ai.classify", "notify.email"):
        topology.declare(channel, queue, TOPOLOGY, quorum=False)
        hint = TOPOLOGY.hint_route(queue)
        channel.basic_publish(hint.exchange, hint.routing_key, b"x", mandatory=True)
    channel.basic_publish("tickets", CLOUD_EVENT, b"{}")
    assert not broker.may("aura-worker", lambda channel: channel.queue_declare("payroll"))
