"""Dramatiq with its own pipelines: `intake | classify | notify`, publisher confirms; `dramatiq bench.peers.piped`."""

from __future__ import annotations

import dramatiq
from dramatiq.brokers.rabbitmq import RabbitmqBroker

from bench.peers import steps

dramatiq.set_broker(RabbitmqBroker(url=steps.rabbitmq_url(), confirm_delivery=True))


@dramatiq.actor
def intake(ticket_id: int) -> int:
    steps.prepare(ticket_id)
    return ticket_id


@dramatiq.actor
def classify(ticket_id: int) -> int:
    steps.judge(ticket_id)
    return ticket_id


@dramatiq.actor
def notify(ticket_id: int) -> None:
    for notification_id in steps.notify(ticket_id):
        email.send(notification_id)


@dramatiq.actor
def email(notification_id: str) -> None:
    steps.deliver(notification_id)


def send(ids: list[int]) -> None:
    for ticket_id in ids:
        # what a step returns is the argument of the next
        (intake.message(ticket_id) | classify.message() | notify.message()).run()  # type: ignore[call-arg]
