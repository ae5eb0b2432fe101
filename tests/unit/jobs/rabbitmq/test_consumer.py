"""The consumer: traces of messages, and what it logs about messages that it cannot read."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pika
import pytest
from pika.spec import Basic
from sqlalchemy import select

import actors
from aura.jobs.rabbitmq.consumer import GuardedConsumer, _traceparent
from aura.jobs.rabbitmq.messages import ENVELOPE
from db import reading
from db.models import DeadLetter
from tests.unit.traced import CALLER

pytestmark = pytest.mark.usefixtures("sqlite")


@pytest.mark.parametrize(
    ("headers", "taken"),
    [(None, None), ({"traceparent": CALLER}, CALLER), ({"traceparent": "x" * 99}, None), ({"traceparent": b"x"}, None)],
)
def test_a_message_may_name_its_span(headers: dict[str, Any] | None, taken: str | None):
    assert _traceparent(pika.BasicProperties(headers=headers)) == taken


@pytest.mark.parametrize(
    ("queue", "body"),
    [
        ("notify.email", {"user_id": "Canary Jones", "data": {}}),
        ("notify.slack", {"user_id": "canary's room", "data": {}}),
        ("tickets.intake", dict.fromkeys(ENVELOPE) | {"queue_name": "other", "actor_name": "canary 'a' \"b\""}),
        ("ai.classify", {"ticket_id": 17, "type": "canary"}),
    ],
)
def test_the_warning_about_a_dead_letter_quotes_no_message(
    queue: str, body: dict[str, Any], caplog: pytest.LogCaptureFixture
):
    received = [(Basic.Deliver(delivery_tag=1), pika.BasicProperties(), json.dumps(body).encode())]
    subscription = SimpleNamespace(get=lambda _: received.pop(), ack=lambda _: None)
    GuardedConsumer(actors.broker, queue, subscription, 1.0, None).__next__()  # type: ignore[arg-type]
    with reading() as session:
        [letter] = session.scalars(select(DeadLetter)).all()
    assert "canary" in letter.error.lower()
    [line] = [each for each in caplog.messages if "dead-lettered" in each]
    assert queue in line
    assert "canary" not in line.lower()
