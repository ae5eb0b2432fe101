"""Tickets, classifications and mails requested by plain JSON messages, and events for another service."""

from __future__ import annotations

import json

import pika

from tests.acceptance.conftest import Installation, Mailbox
from tests.services import wait_until


def publish(channel: pika.adapters.blocking_connection.BlockingChannel, exchange: str, key: str, body: object) -> None:
    channel.basic_publish(exchange, key, json.dumps(body).encode())


def test_the_three_publish_snippets_are_processed(service_installation: Installation, mailbox: Mailbox) -> None:
    installation = service_installation
    installation.procfile("worker").wait_for_output("Worker process is ready")
    connection = pika.BlockingConnection(pika.URLParameters(installation.variables["RABBITMQ_URL"]))
    channel = connection.channel()
    # the worker declares the topology as it starts to consume
    wait_until(
        lambda: all(consumed(installation, queue) for queue in ("tickets.intake", "ai.classify", "notify.email")),
        60,
        "no queue",
    )
    events = channel.queue_declare("", exclusive=True).method.queue
    channel.queue_bind(events, "tickets", "ticket.classified.#")

    # When another program publishes a ticket
    ticket = {"title": "Cannot reach the VPN", "description": "Since this morning.", "requester": "ada@example.com"}
    publish(channel, "tickets", "ticket.created", ticket)
    # Then it is stored and passes the whole pipeline
    installation.wait_until_notified(1)
    ticket_id = installation.scalar("SELECT id FROM tickets")
    assert installation.scalar("SELECT source FROM tickets") == "message"

    # When it requests another classification
    publish(channel, "ai_processing", "ai.classify", {"ticket_id": ticket_id, "type": "classify"})
    # Then there is a second verdict
    wait_until(lambda: installation.scalar("SELECT count(*) FROM verdicts") == 2, 60, "no second verdict")

    # When it requests an e-mail
    data = {"subject": "Maintenance tonight", "message": "The VPN restarts at 22:00."}
    publish(channel, "notifications", "notify.email", {"user_id": "bob@example.com", "data": data})
    # Then the recipient gets it
    wait_until(lambda: "bob@example.com" in mailbox.recipients.values(), 60, "no mail for bob")

    # And the service that is bound to classifications receives CloudEvents
    method, properties, body = wait_until(lambda: get(channel, events), 60, "no event")
    event = json.loads(body)
    assert (event["specversion"], event["type"], event["subject"]) == (
        "1.0",
        "aura.ticket.classified",
        f"ticket/{ticket_id}",
    )
    assert event["data"]["category"] == "Network"
    assert method.routing_key == f"ticket.classified.network.{event['data']['priority']}"
    assert properties.message_id == event["id"]
    connection.close()


def test_a_malformed_message_is_a_dead_letter_and_stops_no_queue(service_installation: Installation) -> None:
    installation = service_installation
    installation.procfile("worker").wait_for_output("Worker process is ready")
    wait_until(lambda: all(consumed(installation, queue) for queue in ("ai.classify", "notify.email")), 60, "no queue")
    connection = pika.BlockingConnection(pika.URLParameters(installation.variables["RABBITMQ_URL"]))
    channel = connection.channel()
    for garbage in (
        b"",
        b"\xff\xfe",
        b"null",
        b"[1]",
        b'{"ticket_id": "17; DROP TABLE"}',
        b'{"actor_name": ["x"], "args": 1}',
    ):
        for exchange, key in (("ai_processing", "ai.classify"), ("notifications", "notify.email")):
            channel.basic_publish(exchange, key, garbage)
    wait_until(
        lambda: installation.scalar("SELECT count(*) FROM dead_letters WHERE raw IS NOT NULL") == 12,
        60,
        "not all are dead letters",
    )

    publish(channel, "tickets", "ticket.created", {"title": "Outlook does not start"})
    wait_until(
        lambda: installation.scalar("SELECT count(*) FROM tickets WHERE stage = 'notified'") == 1,
        90,
        "the good ticket waits",
    )
    listed = json.loads(installation.aura("dead-letters", "list", "--format", "json").stdout)
    assert {letter["error_type"] for letter in listed} == {"Malformed"}
    connection.close()


def consumed(installation: Installation, queue: str) -> bool:
    """Return whether the queue has a consumer, on a separate channel: a missing queue closes the channel."""
    with pika.BlockingConnection(pika.URLParameters(installation.variables["RABBITMQ_URL"])) as connection:
        try:
            return connection.channel().queue_declare(queue, passive=True).method.consumer_count > 0
        except pika.exceptions.ChannelClosedByBroker:
            return False


def get(channel: pika.adapters.blocking_connection.BlockingChannel, queue: str) -> tuple[object, object, bytes] | None:
    method, properties, body = channel.basic_get(queue, auto_ack=True)
    return (method, properties, body) if method is not None else None
