"""Celery, sending after the commit, acknowledging late, with publisher confirms; `celery -A bench.peers.celery worker`."""

# celery ships no types
# mypy: disable-error-code="import-untyped, untyped-decorator"
from __future__ import annotations

from celery import Celery

from bench.peers import steps

app = Celery("bench", broker=steps.rabbitmq_url())
app.conf.update(
    task_acks_late=True,
    task_ignore_result=True,
    broker_transport_options={"confirm_publish": True},
)


@app.task
def intake(ticket_id: int) -> None:
    steps.prepare(ticket_id)
    classify.delay(ticket_id)


@app.task
def classify(ticket_id: int) -> None:
    steps.judge(ticket_id)
    notify.delay(ticket_id)


@app.task
def notify(ticket_id: int) -> None:
    for notification_id in steps.notify(ticket_id):
        email.delay(notification_id)


@app.task
def email(notification_id: str) -> None:
    steps.deliver(notification_id)


def send(ids: list[int]) -> None:
    for ticket_id in ids:
        intake.delay(ticket_id)
