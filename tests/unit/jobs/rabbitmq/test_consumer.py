"""The consumer: traces of messages."""

from __future__ import annotations

from typing import Any

import pika
import pytest
from dramatiq.errors import ConnectionClosed
from dramatiq.message import Message
from sqlalchemy.exc import OperationalError

from aura.jobs.actor import DeadLettered, Unclaimed
from aura.jobs.rabbitmq import consumer
from aura.jobs.rabbitmq.consumer import GuardedConsumer, GuardedMessage, _traceparent
from tests.unit.traced import CALLER

pytestmark = pytest.mark.usefixtures("sqlite")


@pytest.mark.parametrize(
    ("headers", "taken"),
    [(None, None), ({"traceparent": CALLER}, CALLER), ({"traceparent": "x" * 99}, None), ({"traceparent": b"x"}, None)],
)
def test_a_message_may_name_its_span(headers: dict[str, Any] | None, taken: str | None):
    assert _traceparent(pika.BasicProperties(headers=headers)) == taken


class Inbox:
    """A subscription with some deliveries; records what becomes of them."""

    def __init__(self, *bodies: bytes) -> None:
        self.deliveries = [
            (pika.spec.Basic.Deliver(delivery_tag=n), pika.BasicProperties(), b) for n, b in enumerate(bodies, 1)
        ]
        self.settled: list[tuple[str, int]] = []
        self.alive = True

    def get(self, _timeout: float) -> Any:
        if not self.alive:
            raise ConnectionClosed("gone")
        return self.deliveries.pop(0) if self.deliveries else None

    def ack(self, tag: int) -> None:
        self.settled.append(("ack", tag))

    def reject(self, tag: int) -> None:
        self.settled.append(("reject", tag))

    def requeue(self, tag: int) -> None:
        self.settled.append(("requeue", tag))


def consume(inbox: Any) -> GuardedConsumer:
    return GuardedConsumer(None, "ai.classify", inbox, 0.01, None)  # type: ignore[arg-type]


def test_a_message_is_held_while_the_database_is_away(monkeypatch: pytest.MonkeyPatch):
    failing, seen = [True] * 5, list[bytes]()

    def understand(_queue: str, body: bytes, _broker: Any) -> Any:
        if failing:
            failing.pop()
            raise OperationalError("SELECT", {}, Exception("the database is away"))
        seen.append(body)

    monkeypatch.setattr(consumer.messages, "understand", understand)
    monkeypatch.setattr(consumer, "FIRST_PAUSE", 0.0)
    inbox = Inbox(b"one", b"two")
    ours = consume(inbox)

    for _ in range(5):
        assert next(ours) is None
    assert (seen, inbox.settled, len(inbox.deliveries)) == ([], [], 1), "neither settled, nor another one taken"
    assert [next(ours), next(ours)] == [None, None]
    assert (seen, inbox.settled) == ([b"one", b"two"], [("ack", 1), ("ack", 2)])


def test_a_message_is_not_held_beyond_its_channel(monkeypatch: pytest.MonkeyPatch):
    def away(*_: Any) -> Any:
        raise OperationalError("SELECT", {}, Exception("the database is away"))

    monkeypatch.setattr(consumer.messages, "understand", away)
    inbox = Inbox(b"one")
    ours = consume(inbox)
    assert next(ours) is None
    inbox.alive = False

    with pytest.raises(ConnectionClosed):
        next(ours)


@pytest.mark.parametrize(
    ("error", "outcome"),
    [(Unclaimed("away"), "requeue"), (DeadLettered("dead"), "reject"), (ValueError("other"), "ack")],
)
def test_a_hint_is_settled_by_the_error_of_its_attempt(error: Exception, outcome: str):
    inbox = Inbox()
    ours = consume(inbox)
    hint = GuardedMessage(Message("ai.classify", "classify", ([1],), {}, {}), 7, ours)

    hint.stuff_exception(error)
    (ours.nack if hint.failed else ours.ack)(hint)

    assert inbox.settled == [(outcome, 7)]
