"""Thousands of mutated messages in every queue: no thread dies, good tickets behind them are done, nothing is dropped.

`aura.jobs.rabbitmq.messages` says which of them are malformed: each of those must be a dead letter with its bytes. A forgery that
reads well names jobs that are not there, and does nothing. CHAOS_ENVELOPES=10000 puts so many into each queue;
FUZZ_SEED repeats a run.
"""

from __future__ import annotations

import json
import os
import random
import threading
from collections import Counter
from typing import Any

import hypothesis
import pika
import pytest
from dramatiq import Message
from dramatiq.worker import ConsumerThread, WorkerThread
from hypothesis import HealthCheck, Phase, given
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.exc import DataError

from aura.jobs import maintenance
from aura.jobs.broker import JobBroker
from aura.jobs.program import Malformed
from aura.jobs.rabbitmq import messages
from aura.jobs.rabbitmq.publisher import Publisher
from aura.settings import get_settings
from db import reading
from db.models import Attempt, DeadLetter
from pipelines.embedded import running
from tests.conftest import wait_until
from tests.embedded import crash_before_commit
from tests.integration.test_rabbitmq import accept, all_done
from tests.services import RabbitMQ

ENVELOPES = int(os.environ.get("CHAOS_ENVELOPES", "50"))
SEED = int(os.environ.get("FUZZ_SEED", random.SystemRandom().randrange(10**6)))
#: No job has such a number.
NOBODY = 10**12

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from([NOBODY, 2**63, -1, 0, "", "\0", "\ud800", "ai.classify", "classify", "x" * 3000])
)
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=6,
)
PLAIN: dict[str, list[dict[str, Any]]] = {
    "tickets": [
        {"title": "VPN drops", "description": "since noon", "requester": "eve@example.com", "priority": "high"}
    ],
    "ai": [{"ticket_id": NOBODY, "type": "classify"}, {"ticket_id": str(NOBODY)}],
    "notify": [{"user_id": "eve@example.com", "data": {"subject": "Hi", "message": "Lunch?"}}],
}


@st.composite
def changed(draw: st.DrawFn, original: dict[str, Any], names: list[str]) -> bytes:
    """The JSON with keys changed, taken away, added, renamed or wrapped."""
    body = dict(original)
    for name in draw(st.lists(st.sampled_from(names), max_size=2)):
        body[name] = draw(anything)
    for name in draw(st.sets(st.sampled_from(names), max_size=1)):
        body.pop(name, None)
    whole: Any = draw(st.sampled_from([body, body, body, [body], {"body": body}, {**body, "actor_name": "classify"}]))
    return json.dumps(whole, ensure_ascii=draw(st.booleans())).encode("utf-8", "surrogatepass")


@st.composite
def damaged(draw: st.DrawFn, whole: bytes) -> bytes:
    """The bytes with some flipped, cut off, repeated or put in."""
    at = draw(st.integers(0, len(whole) - 1))
    some = draw(st.binary(min_size=1, max_size=4))
    cut, flipped = whole[:at], bytes([whole[at] ^ draw(st.integers(1, 255))])
    return draw(st.sampled_from([cut, cut + flipped + whole[at + 1 :], cut + some + whole[at:], whole + some, some]))


def bodies(queue: str, hint: dict[str, Any]) -> st.SearchStrategy[bytes]:
    originals = [hint, *PLAIN.get(queue.partition(".")[0], [])]
    names = sorted({*messages.ENVELOPE, "eta", *(name for original in originals for name in original)})
    return st.sampled_from(originals).flatmap(
        lambda original: changed(original, names) | damaged(json.dumps(original).encode())
    )


tables = st.dictionaries(
    st.text("abcxyz-", min_size=1, max_size=10),
    st.integers(-(2**31), 2**31 - 1) | st.text(max_size=10) | st.booleans() | st.just({"a": {"b": [1, "c"]}}),
    max_size=3,
)
#: What else may be odd about a message; none of it may matter.
properties = st.builds(
    pika.BasicProperties,
    headers=st.none() | tables,
    message_id=st.none() | st.text(max_size=20) | st.sampled_from([b"\xff\xfe", b"\0", "m"]),
    priority=st.none() | st.integers(0, 255),
    content_type=st.none() | st.sampled_from(["application/json", b"\xff", ""]),
    content_encoding=st.none() | st.sampled_from(["gzip", "utf-16"]),
    delivery_mode=st.sampled_from([1, 2]),
    timestamp=st.none() | st.sampled_from([0, 2**63]),
    expiration=st.none() | st.sampled_from(["86400000", "4000000000"]),
)


def envelopes(queue: str, hint: dict[str, Any], number: int) -> list[tuple[bytes, pika.BasicProperties]]:
    """Return so many mutated messages for the queue, and the largest ones."""
    found = []

    @hypothesis.seed(SEED)
    @hypothesis.settings(
        max_examples=number, phases=[Phase.generate], database=None, suppress_health_check=list(HealthCheck)
    )
    @given(bodies(queue, hint), properties)
    def collect(body: bytes, odd: pika.BasicProperties) -> None:
        found.append((body, odd))

    collect()
    huge = [b"[" * 500_000, b'{"a":' * 5_000, json.dumps(hint | {"args": [[NOBODY] * 60_000]}).encode()]
    return found + [(body, pika.BasicProperties()) for body in huge]


def fate(queue: str, body: bytes, odd: pika.BasicProperties, broker: JobBroker) -> str:
    """Return what must become of a message: it is a hint, it becomes a job, or it is malformed."""
    try:
        message = messages.read(queue, body, broker)
        if isinstance(message, Message):
            return "hint"
        with crash_before_commit() as session:
            message.accept(session, odd.message_id)
    except (Malformed, DataError):
        return "malformed"
    return "plain"


def dead_lettered() -> Counter[tuple[str, bytes]]:
    """Return the messages among the dead letters, by queue and bytes."""
    with reading() as session:
        rows = session.execute(select(DeadLetter.key, DeadLetter.raw).where(DeadLetter.raw.is_not(None)))
        return Counter((row.key, row.raw) for row in rows)


def difference(found: Counter[tuple[str, bytes]], expected: Counter[tuple[str, bytes]]) -> dict[str, Any]:
    """Return what is too much and what is missing, short enough to read."""
    sides = {"too much": found - expected, "missing": expected - found}
    return {name: [(q, raw[:200]) for q, raw in list(some)[:5]] for name, some in sides.items() if some}


def test_mutated_messages_stop_nobody_and_are_all_accounted_for(
    service: JobBroker, rabbitmq: RabbitMQ, rabbitmq_url: str, monkeypatch: pytest.MonkeyPatch
):
    print(f"FUZZ_SEED={SEED}")
    # Given mutated messages in every queue, some of which expire there, and good tickets behind them
    expected: Counter[tuple[str, bytes]] = Counter()
    fates: Counter[str] = Counter()
    publisher = Publisher(get_settings(), service.get_declared_queues, service.program.topology)
    publisher.wait(0, lambda: True)
    publisher.close()
    with pika.BlockingConnection(pika.URLParameters(rabbitmq_url)) as connection:
        channel = connection.channel()
        for actor in sorted(service.actors.values(), key=lambda actor: actor.actor_name):
            queue = actor.queue_name
            hint = json.loads(actor.message_with_options(args=([NOBODY],)).encode())
            for body, odd in envelopes(queue, hint, ENVELOPES):
                what = fate(queue, body, odd, service)
                fates[what] += 1
                if what == "malformed":
                    expected[queue, body] += 1
                    odd.expiration = "0" if fates[what] % 50 == 0 else odd.expiration
                channel.basic_publish("", queue, body, odd)
    assert min(fates[what] for what in ("malformed", "hint", "plain")) > ENVELOPES / 20, fates
    good = [accept(f"Laptop {number} does not start") for number in range(20)]
    consumers = spy(monkeypatch, service)
    monkeypatch.setattr(maintenance, "DRAIN_EVERY", 1.0)
    # When the workers take them
    with running(scheduler=False):
        before = workforce()
        wait_until(all_done, timeout=60 + ENVELOPES / 20, message="every good ticket and every plain message is done")
        wait_until(
            lambda: not any(rabbitmq.queues(rabbitmq_url).values()),
            timeout=60 + ENVELOPES / 20,
            message="every queue is empty",
        )
        # Then all of them are alive, and no consumer had to be started again
        assert workforce() == before
        assert sorted(consumers) == sorted(service.get_declared_queues())
    # and each malformed one is a dead letter with its bytes, and nothing was done twice
    assert difference(dead_lettered(), expected) == {}
    with reading() as session:
        done = session.scalars(
            select(Attempt.actor).where(Attempt.key.in_(map(str, good)), Attempt.outcome == "completed")
        ).all()
    assert Counter(done) == dict.fromkeys(("intake", "classify", "notify"), len(good))


def workforce() -> set[threading.Thread]:
    """Return the worker and consumer threads that are alive."""
    return {thread for thread in threading.enumerate() if isinstance(thread, WorkerThread | ConsumerThread)}


def spy(monkeypatch: pytest.MonkeyPatch, service: JobBroker) -> list[str]:
    """Return a list that gets the queue of each consumer that is started."""
    started: list[str] = []
    consume = service.consume

    def noted(queue_name: str, *args: Any, **options: Any) -> Any:
        started.append(queue_name)
        return consume(queue_name, *args, **options)

    monkeypatch.setattr(service, "consume", noted)
    return started
