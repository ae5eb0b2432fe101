"""Worker processes under kill and SIGTERM, and messages with unusual properties."""

from __future__ import annotations

import json
import os
import signal
import subprocess

import pika

from tests.acceptance.conftest import STOP_SECONDS, Installation, Mailbox
from tests.services import wait_until


def test_the_worker_command_ends_when_its_relay_was_killed(
    service_installation: Installation, mailbox: Mailbox
) -> None:
    installation = service_installation
    worker = installation.procfile("worker")
    worker.wait_for_output("Worker process is ready")
    registered = "SELECT name FROM workers WHERE kind = 'relay'"
    name = wait_until(lambda: installation.scalar(registered), 60, "no relay is registered")

    # When the relay is killed, which the worker command itself does not notice
    os.kill(int(name.rpartition(":")[2]), signal.SIGKILL)
    # Then the command ends, for its supervisor to start it again
    assert worker.process is not None
    worker.process.wait(STOP_SECONDS + 90)
    assert "no relay is running" in worker.output()
    # And the jobs enqueued meanwhile are finished after that
    installation.aura("tickets", "create", "Printer jams", "--requester", "ada@example.com")
    installation.start("worker-again", *worker.command)
    installation.wait_until_notified(1)
    installation.check_each_once()


def test_no_property_of_a_message_stops_its_queue(service_installation: Installation) -> None:
    installation = service_installation
    installation.procfile("worker").wait_for_output("Worker process is ready")
    connection = pika.BlockingConnection(pika.URLParameters(installation.variables["RABBITMQ_URL"]))
    channel = connection.channel()

    def declared() -> bool:
        with pika.BlockingConnection(pika.URLParameters(installation.variables["RABBITMQ_URL"])) as other:
            try:
                return bool(other.channel().queue_declare("tickets.intake", passive=True).method.consumer_count)
            except pika.exceptions.ChannelClosedByBroker:
                return False

    wait_until(declared, 60, "the queue has no consumer")
    # Given a message id that is no UTF-8, and headers too deep to decode
    deep: object = 1
    for _ in range(200):
        deep = {"a": deep}
    for number, properties in enumerate(
        (
            pika.BasicProperties(message_id=b"\xff\xfe\x80"),  # type: ignore[arg-type]
            pika.BasicProperties(headers={"a": deep}),
            pika.BasicProperties(content_encoding="gzip", content_type="text/csv", priority=255, expiration="60000"),
        )
    ):
        body = json.dumps({"title": f"Ticket {number}", "requester": "ada@example.com"}).encode()
        channel.basic_publish("tickets", "ticket.created", body, properties)
    # Then they are tickets like any other, and so is the next message
    channel.basic_publish("tickets", "ticket.created", b'{"title": "The last one"}')
    installation.wait_until_notified(4)
    connection.close()


def test_sigterm_under_load_releases_jobs_and_counts_no_attempt(
    service_installation: Installation, mailbox: Mailbox
) -> None:
    installation = service_installation
    mailbox.slow = 0.1  # so that not everything is done before the worker is stopped
    worker = installation.procfile("worker")
    file = installation.folder / "tickets.jsonl"
    file.write_text(
        "\n".join(json.dumps({"title": f"Ticket {n}", "requester": f"p{n}@example.com"}) for n in range(400))
    )
    worker.wait_for_output("Worker process is ready")
    installation.aura("import", str(file))
    wait_until(
        lambda: installation.scalar("SELECT count(*) FROM tickets WHERE stage <> 'received'") > 50, 90, "nothing moves"
    )

    # When the worker command is stopped in the middle
    assert worker.terminate() == 0
    # Then nothing is leased, no attempt is counted, and nobody is registered
    assert installation.scalar("SELECT count(*) FROM jobs") > 0, "stopped too late to prove anything"
    assert installation.scalar("SELECT count(*) FROM jobs WHERE lease IS NOT NULL OR attempts > 0") == 0
    assert installation.scalar("SELECT count(*) FROM workers") == 0
    # And the next worker finishes all tickets
    mailbox.slow = 0.0
    installation.start("worker-again", *worker.command)
    installation.wait_until_notified(400)
    installation.check_each_once()
    assert set(mailbox.received.values()) == {1}


def test_a_closed_pipe_is_no_error(service_installation: Installation) -> None:
    command = "aura tickets list --format json | head -c 1"
    result = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command], env=service_installation.env(), capture_output=True, text=True
    )
    assert "Traceback" not in result.stderr
