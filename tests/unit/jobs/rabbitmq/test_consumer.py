"""The consumer: traces of messages, and what it logs about messages that it cannot read."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pika
import pytest
from dramatiq.errors import ConnectionClosed
from dramatiq.message import Message
from pika.spec import Basic
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

import actors
from aura.jobs.actor import DeadLettered, Unclaimed
from aura.jobs.rabbitmq import consumer
from aura.jobs.rabbitmq.consumer import GuardedConsumer, GuardedMessage, _traceparent
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


class Inbox:
    """A subscription with some deliveries; records what becomes of them."""

    def __init__(self, *bodies: bytes) -> None:
        self.deliveries = [
            (pika.spec.Basic.Deliver(delivery_tag=n), pika.BasicProperties(), b) for n, b in enumerate(bodies, 1)
        ]
        self.settled: list[tuple[str, int]] = []
        self.alive = self.steady = self.channel_alone = True
        self.closed = False

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

    def close(self) -> None:
        self.closed = True


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
    hint = GuardedMessage(Message("ai.classify", "classify", ([1],), {}, {}), 7, inbox)  # type: ignore[arg-type]

    hint.stuff_exception(error)
    (ours.nack if hint.failed else ours.ack)(hint)

    assert inbox.settled == [(outcome, 7)]


HINT = Message("ai.classify", "classify", ([1],), {}, {}).encode()


def again(first: Inbox, *others: Inbox | ConnectionClosed) -> GuardedConsumer:
    """Return a consumer of the first subscription; each next one comes from `others`, in order."""
    left = list(others)

    def resubscribe() -> Any:
        found = left.pop(0)
        if isinstance(found, ConnectionClosed):
            raise found
        return found

    return GuardedConsumer(actors.broker, "ai.classify", first, 0.01, None, None, resubscribe)  # type: ignore[arg-type]


def test_a_consumer_whose_connection_broke_consumes_again_at_once():
    first, second = Inbox(HINT), Inbox(HINT)
    ours = again(first, second)
    early = next(ours)
    assert isinstance(early, GuardedMessage)
    first.alive = False

    assert next(ours) is None
    late = next(ours)

    assert first.closed and isinstance(late, GuardedMessage)
    ours.nack(early)
    ours.ack(late)
    assert (first.settled, second.settled) == ([("reject", 1)], [("ack", 1)]), "each on the channel that delivered it"


@pytest.mark.parametrize("reason", ["short", "database", "refused"])
def test_a_consumer_that_cannot_go_on_leaves_the_pause_to_dramatiq(reason: str):
    first = Inbox()
    first.alive, first.steady = False, reason != "short"
    ours = again(first, ConnectionClosed("refused") if reason == "refused" else Inbox())
    if reason == "database":
        ours._database_away.set()
    with pytest.raises(ConnectionClosed, match="refused" if reason == "refused" else "gone"):
        next(ours)
