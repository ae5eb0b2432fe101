"""Deliveries: each once, each channel for itself, and what becomes of a message of which nobody knows."""

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
from db import channel_rates, endpoints, jobs, notifications, queue_controls, reading, transaction
from db.jobs import NewJob
from db.models import ChannelRate, Job, Notification
from db.time import elapsed, from_now, now
from tests.conftest import ROOT
from tests.embedded import Hand, all_jobs, attempts, cache_no_controls, letters, one_job, seconds_until_due
from tests.receiver import Receiver, Reply

Configure = Callable[..., Settings]


@pytest.fixture
def receiver(database: str, configure: Configure) -> Iterator[Receiver]:
    with Receiver() as receiver:
        configure(AURA_WEBHOOK_HOSTS=receiver.host, AURA_CHANNEL_RATES="off")
        with transaction() as session:
            for channel in ("slack", "teams", "webhook"):
                endpoints.add(session, f"desk-{channel}", channel, f"{receiver.url}/{channel}", new_secret())
        yield receiver


def tell(key: str, channel: str = "webhook", state: str = "enqueued", recipient: str | None = None) -> None:
    """Write a notification and promise its delivery."""
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


def test_what_is_sent_is_recorded_once(receiver: Receiver, hand: Hand) -> None:
    tell("a")
    hand.run()
    assert (state("a"), all_jobs(), len(receiver.arrived)) == ("sent", [], 1)
    assert receiver.arrived[0].headers["webhook-id"] == "a"
    # When it is promised again, by a hint that came late or a person's mistake
    with transaction() as session:
        jobs.enqueue(session, [NewJob("webhook", "a")])
    hand.run()
    assert (state("a"), all_jobs(), len(receiver.arrived)) == ("sent", [], 1)


@pytest.mark.parametrize("gone", ["delayed", "digested", "in_doubt"])
def test_what_waits_is_folded_or_unknown_is_left_alone(gone: str, receiver: Receiver, hand: Hand) -> None:
    tell("a")
    with transaction() as session:
        session.execute(update(Notification).values(state=gone))
    hand.run()
    assert (state("a"), all_jobs(), receiver.arrived) == (gone, [], [])


@pytest.mark.parametrize("recipient", ["nobody", "desk-slack"])
def test_an_endpoint_that_is_none_of_the_channel_is_a_dead_letter_with_the_fix(
    recipient: str, receiver: Receiver, hand: Hand
) -> None:
    tell("a", recipient=recipient)
    hand.run()
    [letter] = letters()
    assert letter.error == f"webhook endpoint {recipient!r} does not exist"
    assert (state("a"), receiver.arrived) == ("enqueued", [])


def test_a_channel_that_asks_to_wait_waits_alone(
    receiver: Receiver, hand: Hand, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache_no_controls(monkeypatch)
    receiver.reply = lambda arrived: Reply(429, {"Retry-After": "7"}) if arrived.path == "/slack" else Reply()
    for number in range(3):
        tell(f"slack-{number}", "slack")
        tell(f"hook-{number}", "webhook")
        tell(f"teams-{number}", "teams")
    hand.run()
    # Then Slack is asked no more until then, and the others are done
    [(queue, seconds)] = paused().items()
    assert queue == "notify.slack"
    assert 5 < seconds <= 7
    assert sorted(each.path for each in receiver.arrived if each.path != "/slack") == ["/teams"] * 3 + ["/webhook"] * 3
    assert {state(f"{kind}-{n}") for kind in ("hook", "teams") for n in range(3)} == {"sent"}
    assert {state(f"slack-{n}") for n in range(3)} == {"enqueued"}
    asked = sum(each.path == "/slack" for each in receiver.arrived)
    assert len(attempts("retried")) == asked
    # And when that time has come they arrive
    receiver.reply = lambda _: Reply()
    with transaction() as session:
        queue_controls.resume(session, "notify.slack")
        jobs_due_now(session)
    hand.run()
    assert {state(f"slack-{n}") for n in range(3)} == {"sent"}


def jobs_due_now(session: Any) -> None:
    session.execute(update(Job).values(due_at=now(), hinted_at=None))


def test_one_webhook_that_asks_to_wait_does_not_hold_up_another(receiver: Receiver, hand: Hand) -> None:
    with transaction() as session:
        endpoints.add(session, "other", "webhook", f"{receiver.url}/other")
    receiver.reply = lambda arrived: Reply(429, {"Retry-After": "3000"}) if arrived.path == "/webhook" else Reply()
    tell("a")
    tell("b", recipient="other")
    hand.run()
    assert (state("a"), state("b"), paused()) == ("enqueued", "sent", {})
    [seconds] = seconds_until_due()
    assert 2900 < seconds <= 3000


@pytest.mark.parametrize("status", [404, 410, 302])
def test_an_answer_that_is_final_is_a_dead_letter(status: int, receiver: Receiver, hand: Hand) -> None:
    receiver.reply = lambda _: Reply(status)
    tell("a")
    hand.run()
    [letter] = letters()
    assert letter.error.startswith(f"endpoint desk-webhook answered {status}")
    assert len(receiver.arrived) == 1


# Rates


def test_a_rate_turn_spends_no_attempt(receiver: Receiver, hand: Hand, configure: Configure) -> None:
    configure(AURA_CHANNEL_RATES="webhook=0.01")
    tell("a")
    tell("b")
    tell("c", "teams")
    hand.run()
    # Then one has left, and the other waits for its turn, with its attempts unspent and nothing in the ledger
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


def test_a_turn_that_is_near_is_waited_for_in_place(receiver: Receiver, hand: Hand, configure: Configure) -> None:
    configure(AURA_CHANNEL_RATES="webhook=50")
    for number in range(4):
        tell(f"n{number}")
    hand.run()
    assert {state(f"n{number}") for number in range(4)} == {"sent"}
    assert paused() == {}


def test_a_turn_is_nobody_else_s(database: str) -> None:
    with transaction() as session:
        started = session.scalar(select(now()))
        taken, seconds = channel_rates.turn(session, "slack", 0.01, 1000.0)
        assert taken
        assert seconds < 1
    with transaction() as session:
        taken, seconds = channel_rates.turn(session, "slack", 0.01, 1000.0)
        assert taken
        assert 90 < seconds <= 100
    with transaction() as session:
        taken, seconds = channel_rates.turn(session, "slack", 0.01, 100.0)
        assert not taken
        assert 190 < seconds <= 200
        # other channels have turns of their own, and a refusal takes none
        assert channel_rates.turn(session, "teams", 0.01, 1.0)[0]
        assert channel_rates.turn(session, "slack", 0.01, 1000.0)[0]
    with reading() as session:
        free_at = session.scalar(select(ChannelRate.free_at).where(ChannelRate.channel == "slack"))
    assert 300 <= (free_at - started).total_seconds() < 310  # type: ignore[operator]


def test_a_rate_that_was_not_used_is_not_saved_up(database: str) -> None:
    with transaction() as session:
        channel_rates.turn(session, "slack", 100.0, 1.0)
        session.execute(update(ChannelRate).values(free_at=from_now(-60)))
    with transaction() as session:
        channel_rates.turn(session, "slack", 0.01, 1.0)
        assert -100.1 <= session.scalar(select(elapsed(ChannelRate.free_at))) <= -90  # type: ignore[operator]


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
    # Then fifty turns have been taken, ten seconds apart: none was given to both
    with reading() as session:
        free_at = session.scalar(select(ChannelRate.free_at))
        ended = session.scalar(select(now()))
    assert free_at is not None and started is not None and ended is not None
    assert (free_at - started).total_seconds() >= 500
    assert (free_at - ended).total_seconds() <= 500


# What nobody knows of


@pytest.fixture
def holding(receiver: Receiver, configure: Configure) -> Receiver:
    configure(AURA_WEBHOOK_HOSTS=receiver.host, AURA_CHANNEL_RATES="off", AURA_AT_MOST_ONCE_CHANNELS="webhook,slack")
    return receiver


def leave_as_sending(key: str) -> None:
    """Leave it as a worker does that died between sending and recording."""
    with transaction() as session:
        session.execute(update(Notification).where(Notification.id == key).values(state="sending"))


def test_what_a_dead_worker_was_sending_is_held(holding: Receiver, hand: Hand) -> None:
    tell("a")
    leave_as_sending("a")
    hand.run()
    assert (state("a"), all_jobs(), letters(), holding.arrived) == ("in_doubt", [], [], [])
    # Then a person decides: it is sent again with the same id, or is settled
    with transaction() as session:
        assert notifications.resend(session, "a") == "webhook"
        jobs.enqueue(session, [NewJob("webhook", "a")])
    hand.run()
    assert (state("a"), len(holding.arrived)) == ("sent", 1)


def test_what_a_dead_worker_was_sending_is_sent_again_elsewhere(receiver: Receiver, hand: Hand) -> None:
    tell("a")
    leave_as_sending("a")
    hand.run()
    assert (state("a"), all_jobs(), len(receiver.arrived)) == ("sent", [], 1)


@pytest.mark.parametrize("status", [0, 502, 504])
def test_what_is_unsure_is_held_and_elsewhere_tried_again(status: int, holding: Receiver, hand: Hand) -> None:
    holding.reply = lambda _: Reply(status)
    tell("a", "slack")
    tell("b", "teams")
    hand.run()
    assert (state("a"), state("b")) == ("in_doubt", "enqueued")
    assert one_job().actor == "teams"
    assert sorted(each.path for each in holding.arrived) == ["/slack", "/teams"]


@pytest.mark.parametrize("status", [429, 500, 404])
def test_what_surely_did_not_arrive_is_not_held(status: int, holding: Receiver, hand: Hand) -> None:
    holding.reply = lambda _: Reply(status)
    tell("a")
    hand.run()
    assert state("a") == "enqueued"
    assert len(letters()) == (status == 404)
    if status != 404:
        holding.reply = lambda _: Reply()
        with transaction() as session:
            jobs_due_now(session)
        hand.run()
        assert state("a") == "sent"


def test_while_it_is_sent_it_is_marked_and_nobody_else_sends_it(holding: Receiver, hand: Hand) -> None:
    arrived, released, seen = threading.Event(), threading.Event(), []

    def reply(_: Any) -> Reply:
        arrived.set()
        released.wait(30)
        return Reply()

    def look() -> None:
        arrived.wait(30)
        seen.append(state("a"))
        released.set()

    holding.reply = reply
    looking = threading.Thread(target=look)
    looking.start()
    tell("a")
    hand.run()
    looking.join(30)
    assert seen == ["sending"]
    assert (state("a"), len(holding.arrived)) == ("sent", 1)


# In-app


def test_an_in_app_notification_is_read_by_its_reader_alone(database: str) -> None:
    hostile = "<script>\u202e\r\nBcc: x" + "x" * 1000
    for number in range(5):
        row: dict[str, Any] = {"id": f"n{number}", "ticket_id": None, "event": "message", "channel": "in_app"}
        row |= {"recipient": "lena" if number else "rui", "role": "agent", "dedupe_key": f"n{number}"}
        with transaction() as session:
            notifications.write(session, [row | {"subject": hostile, "body": hostile, "state": "sent"}])
    with transaction() as session:
        assert [each.id for each in notifications.listing(session, "lena", limit=2)] == ["n4", "n3"]
        assert [each.id for each in notifications.listing(session, "lena", before="n3")] == ["n2", "n1"]
        assert notifications.listing(session, "lena")[0].subject == hostile
        assert notifications.unread(session, "lena") == 4
        # what is somebody else's, unknown, or read already stays as it is
        assert notifications.mark_read(session, "lena", ["n0", "n1", "n1", "nowhere"]) == 1
        assert notifications.mark_read(session, "lena", ["n1"]) == 0
        assert [each.id for each in notifications.listing(session, "lena", unread_only=True)] == ["n4", "n3", "n2"]
        assert (notifications.unread(session, "lena"), notifications.unread(session, "rui")) == (3, 1)
