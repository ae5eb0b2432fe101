"""Deliveries: each once, each channel by itself, rates, and deliveries in doubt."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import select, update

from aura.notifications.signatures import new_secret
from aura.settings import Settings
from db import (
    endpoints,
    jobs,
    notifications,
    queue_controls,
    reading,
    transaction,
)
from db.jobs import NewJob
from db.models import ChannelRate, Job, Notification
from db.time import now
from tests.conftest import ROOT
from tests.embedded import (
    Hand,
    all_jobs,
    attempts,
    cache_no_controls,
    enqueue,
    letters,
    one_job,
    seconds_until_due,
)
from tests.receiver import Receiver, Reply
from tests.unit.jobs.tickets import accept

Configure = Callable[..., Settings]


@pytest.fixture
def receiver(database: str, configure: Configure) -> Iterator[Receiver]:
    with Receiver() as receiver:
        configure(AURA_WEBHOOK_HOSTS=receiver.host, AURA_CHANNEL_RATES="off")
        with transaction() as session:
            for channel in ("slack", "teams", "webhook"):
                endpoints.add(session, f"desk-{channel}", channel, f"{receiver.url}/{channel}", new_secret())
        yield receiver


def enqueue_delivery(key: str, channel: str = "webhook", state: str = "enqueued", recipient: str | None = None) -> None:
    """Write a notification and enqueue its delivery."""
    row: dict[str, Any] = {"id": key, "ticket_id": None, "event": "message", "channel": channel, "role": ""}
    row |= {"recipient": recipient or f"desk-{channel}", "dedupe_key": key, "subject": "s", "body": "b"}
    with transaction() as session:
        notifications.write(session, [row | {"state": state}])
        jobs.enqueue(session, [NewJob(channel, key)])


def state(key: str) -> str:
    with reading() as session:
        return str(session.scalar(select(Notification.state).where(Notification.id == key)))


def paused() -> dict[str, float]:
    """Return for how many seconds each queue is paused."""
    with reading() as session:
        clock = session.scalar(select(now()))
        assert clock is not None
        return {
            name: (held.paused_until - clock).total_seconds()
            for name, held in queue_controls.current(session).items()
            if held.paused and held.paused_until is not None
        }


def test_a_delivery_is_recorded_once(receiver: Receiver, hand: Hand) -> None:
    enqueue_delivery("a")
    hand.run()
    assert (state("a"), all_jobs(), len(receiver.arrived)) == ("sent", [], 1)
    assert receiver.arrived[0].headers["webhook-id"] == "a"
    # When the delivery is enqueued again, by a late hint or by a person
    with transaction() as session:
        jobs.enqueue(session, [NewJob("webhook", "a")])
    hand.run()
    assert (state("a"), all_jobs(), len(receiver.arrived)) == ("sent", [], 1)


@pytest.mark.parametrize("gone", ["delayed", "digested", "in_doubt"])
def test_a_delayed_digested_or_doubtful_notification_is_not_sent(gone: str, receiver: Receiver, hand: Hand) -> None:
    enqueue_delivery("a")
    with transaction() as session:
        session.execute(update(Notification).values(state=gone))
    hand.run()
    assert (state("a"), all_jobs(), receiver.arrived) == (gone, [], [])


@pytest.mark.parametrize("recipient", ["nobody", "desk-slack"])
def test_an_unknown_endpoint_of_the_channel_becomes_a_dead_letter(
    recipient: str, receiver: Receiver, hand: Hand
) -> None:
    enqueue_delivery("a", recipient=recipient)
    hand.run()
    [letter] = letters()
    assert letter.error == f"webhook endpoint {recipient!r} does not exist"
    assert (state("a"), receiver.arrived) == ("enqueued", [])


def test_a_retry_after_pauses_one_channel_alone(
    receiver: Receiver, hand: Hand, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache_no_controls(monkeypatch)
    receiver.reply = lambda arrived: Reply(429, {"Retry-After": "700"}) if arrived.path == "/slack" else Reply()
    for number in range(3):
        enqueue_delivery(f"slack-{number}", "slack")
        enqueue_delivery(f"hook-{number}", "webhook")
        enqueue_delivery(f"teams-{number}", "teams")
    hand.run()
    # Then Slack pauses, and the other channels deliver
    [(queue, seconds)] = paused().items()
    assert queue == "notify.slack"
    assert 600 < seconds <= 700
    assert sorted(each.path for each in receiver.arrived if each.path != "/slack") == ["/teams"] * 3 + ["/webhook"] * 3
    assert {state(f"{kind}-{n}") for kind in ("hook", "teams") for n in range(3)} == {"sent"}
    assert {state(f"slack-{n}") for n in range(3)} == {"enqueued"}
    asked = sum(each.path == "/slack" for each in receiver.arrived)
    assert len(attempts("retried")) == asked
    # And after the pause the messages are delivered
    receiver.reply = lambda _: Reply()
    with transaction() as session:
        queue_controls.resume(session, "notify.slack")
        make_jobs_due(session)
    hand.run()
    assert {state(f"slack-{n}") for n in range(3)} == {"sent"}


def make_jobs_due(session: Any) -> None:
    session.execute(update(Job).values(due_at=now(), hinted_at=None))


def test_a_retry_after_of_a_webhook_delays_no_other_webhook(receiver: Receiver, hand: Hand) -> None:
    with transaction() as session:
        endpoints.add(session, "other", "webhook", f"{receiver.url}/other")
    receiver.reply = lambda arrived: Reply(429, {"Retry-After": "3000"}) if arrived.path == "/webhook" else Reply()
    enqueue_delivery("a")
    enqueue_delivery("b", recipient="other")
    hand.run()
    assert (state("a"), state("b"), paused()) == ("enqueued", "sent", {})
    [seconds] = seconds_until_due()
    assert 2900 < seconds <= 3000


@pytest.mark.parametrize("status", [404, 410, 302])
def test_an_answer_that_is_final_is_a_dead_letter(status: int, receiver: Receiver, hand: Hand) -> None:
    receiver.reply = lambda _: Reply(status)
    enqueue_delivery("a")
    hand.run()
    [letter] = letters()
    assert letter.error.startswith(f"endpoint desk-webhook answered {status}")
    assert len(receiver.arrived) == 1


# Rates


def test_a_delay_by_the_rate_limit_counts_no_attempt(receiver: Receiver, hand: Hand, configure: Configure) -> None:
    configure(AURA_CHANNEL_RATES="webhook=0.01")
    enqueue_delivery("a")
    enqueue_delivery("b")
    enqueue_delivery("c", "teams")
    hand.run()
    # Then one message is sent; the other waits for its turn, without an attempt counted or recorded
    assert sorted(map(state, "ab")) == ["enqueued", "sent"]
    assert one_job().attempts == 0
    assert attempts("retried") == []
    assert 90 < paused()["notify.webhook"] <= 100
    assert "AURA_CHANNEL_RATES" in _reason("notify.webhook")
    # And another channel does not wait
    assert state("c") == "sent"


def _reason(queue: str) -> str:
    with reading() as session:
        return queue_controls.current(session)[queue].reason


def test_a_delivery_waits_for_a_near_turn(receiver: Receiver, hand: Hand, configure: Configure) -> None:
    configure(AURA_CHANNEL_RATES="webhook=50")
    for number in range(4):
        enqueue_delivery(f"n{number}")
    hand.run()
    assert {state(f"n{number}") for number in range(4)} == {"sent"}
    assert paused() == {}


TURNS = """
import sys
from db import channel_rates, transaction
print("ready", flush=True)
sys.stdin.readline()
for _ in range(int(sys.argv[1])):
    with transaction() as session:
        assert channel_rates.turn(session, "slack", 0.1, 1e6)[0]
"""


@pytest.mark.slow
def test_two_processes_share_a_rate(database: str, configure: Configure) -> None:
    with reading() as session:
        started = session.scalar(select(now()))
    command = [sys.executable, "-c", TURNS, "25"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    both = [subprocess.Popen(command, cwd=ROOT, **pipes) for _ in range(2)]  # type: ignore[call-overload]
    for each in both:
        assert each.stdout.readline() == "ready\n"
    for each in both:
        each.stdin.write("\n")
        each.stdin.flush()
    for each in both:
        each.communicate(timeout=60)
        assert each.returncode == 0
    # Then fifty turns were taken, ten seconds apart
    with reading() as session:
        free_at = session.scalar(select(ChannelRate.free_at))
        ended = session.scalar(select(now()))
    assert free_at is not None and started is not None and ended is not None
    assert (free_at - started).total_seconds() >= 500
    assert (free_at - ended).total_seconds() <= 500


# Deliveries in doubt


@pytest.fixture
def at_most_once(receiver: Receiver, configure: Configure) -> Receiver:
    configure(AURA_WEBHOOK_HOSTS=receiver.host, AURA_CHANNEL_RATES="off", AURA_AT_MOST_ONCE_CHANNELS="webhook,slack")
    return receiver


def mark_sending(key: str) -> None:
    """Set the state that a worker leaves when it dies between sending and saving."""
    with transaction() as session:
        session.execute(update(Notification).where(Notification.id == key).values(state="sending"))


def test_an_at_most_once_delivery_of_a_dead_worker_is_in_doubt(at_most_once: Receiver, hand: Hand) -> None:
    enqueue_delivery("a")
    mark_sending("a")
    hand.run()
    assert (state("a"), all_jobs(), letters(), at_most_once.arrived) == ("in_doubt", [], [], [])
    # Then a person resends it with the same id, or settles it
    with transaction() as session:
        assert notifications.resend(session, "a") == "webhook"
        jobs.enqueue(session, [NewJob("webhook", "a")])
    hand.run()
    assert (state("a"), len(at_most_once.arrived)) == ("sent", 1)


def test_an_at_least_once_delivery_of_a_dead_worker_is_repeated(receiver: Receiver, hand: Hand) -> None:
    enqueue_delivery("a")
    mark_sending("a")
    hand.run()
    assert (state("a"), all_jobs(), len(receiver.arrived)) == ("sent", [], 1)


@pytest.mark.parametrize("status", [0, 502, 504])
def test_a_missing_answer_is_in_doubt_or_retried(status: int, at_most_once: Receiver, hand: Hand) -> None:
    at_most_once.reply = lambda _: Reply(status)
    enqueue_delivery("a", "slack")
    enqueue_delivery("b", "teams")
    hand.run()
    assert (state("a"), state("b")) == ("in_doubt", "enqueued")
    assert one_job().actor == "teams"
    assert sorted(each.path for each in at_most_once.arrived) == ["/slack", "/teams"]


@pytest.mark.parametrize("status", [429, 500, 404])
def test_a_refused_delivery_is_not_in_doubt(status: int, at_most_once: Receiver, hand: Hand) -> None:
    at_most_once.reply = lambda _: Reply(status)
    enqueue_delivery("a")
    hand.run()
    assert state("a") == "enqueued"
    assert len(letters()) == (status == 404)
    if status != 404:
        at_most_once.reply = lambda _: Reply()
        with transaction() as session:
            make_jobs_due(session)
        hand.run()
        assert state("a") == "sent"


def test_a_notification_is_in_state_sending_while_it_is_sent(at_most_once: Receiver, hand: Hand) -> None:
    arrived, released, seen = threading.Event(), threading.Event(), []

    def reply(_: Any) -> Reply:
        arrived.set()
        released.wait(30)
        return Reply()

    def look() -> None:
        arrived.wait(30)
        seen.append(state("a"))
        released.set()

    at_most_once.reply = reply
    looking = threading.Thread(target=look)
    looking.start()
    enqueue_delivery("a")
    hand.run()
    looking.join(30)
    assert seen == ["sending"]
    assert (state("a"), len(at_most_once.arrived)) == ("sent", 1)


def test_a_channel_that_only_logs_completes_a_hint_as_one_batch(database: str, hand: Hand) -> None:
    for number in range(20):
        enqueue_delivery(f"mail-{number}", "email", recipient="ada@example.com")
    hand.run()
    # jobs of one transaction have one duration
    assert len({each.seconds for each in attempts("completed")}) == 1
    assert len(attempts("completed")) == 20
    assert {state(f"mail-{number}") for number in range(20)} == {"sent"}


def test_a_channel_that_sends_completes_each_delivery_by_itself(receiver: Receiver, hand: Hand) -> None:
    for number in range(3):
        enqueue_delivery(f"hook-{number}")
    hand.run()
    assert len({each.seconds for each in attempts("completed")}) == 3


@pytest.mark.usefixtures("database")
def test_a_notification_that_was_sent_is_not_sent_again(hand: Hand):
    accept("Mailbox is full")
    hand.run()
    with reading() as session:
        sent = {n.id: n.sent_at for n in session.scalars(select(Notification)) if n.channel == "email"}

    enqueue(*[NewJob("email", key) for key in sent])
    hand.run()

    with reading() as session:
        again = {n.id: n.sent_at for n in session.scalars(select(Notification)) if n.channel == "email"}
    assert again == sent
