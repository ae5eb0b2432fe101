"""Plain Dramatiq, sending after the commit, with publisher confirms; the worker command is `dramatiq bench.peers.plain`."""

from __future__ import annotations

import dramatiq
from dramatiq.brokers.rabbitmq import RabbitmqBroker

from bench.peers import steps

dramatiq.set_broker(RabbitmqBroker(url=steps.rabbitmq_url(), confirm_delivery=True))


@dramatiq.actor
def intake(ticket_id: int) -> None:
    steps.prepare(ticket_id)
    classify.send(ticket_id)


@dramatiq.actor
def classify(ticket_id: int) -> None:
    steps.judge(ticket_id)
    notify.send(ticket_id)


@dramatiq.actor
def notify(ticket_id: int) -> None:
    for notification_id in steps.notify(ticket_id):
        email.send(notification_id)


@dramatiq.actor
def email(notification_id: str) -> None:
    steps.deliver(notification_id)


def send(ids: list[int]) -> None:
    for ticket_id in ids:
        intake.send(ticket_id)
