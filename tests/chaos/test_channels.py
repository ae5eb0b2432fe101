"""Mail, webhook and Slack while worker processes are killed: each notification is recorded once, and what arrives twice
came in the moment between sending and recording, with the same id.

`make test` sends a few hundred tickets, `make chaos` as many as CHAOS_CHANNEL_TICKETS says.
"""

from __future__ import annotations

import os

import pytest

from tests.chaos.conftest import Build
from tests.chaos.driver import Driver
from tests.chaos.external_services import notification_of
from tests.chaos.oracle import at_rest
from tests.chaos.run import Run
from tests.chaos.schedule import parse, plan
from tests.chaos.system import System
from tests.services import wait_until

pytestmark = pytest.mark.acceptance

TICKETS = int(os.environ.get("CHAOS_CHANNEL_TICKETS", "150"))
SEED = int(os.environ.get("CHAOS_SEED", "1"))
#: Seconds over which tickets come in and workers die.
SECONDS = max(6.0, TICKETS / 50)
KILLS = max(4, TICKETS // 100)
#: What one process may be at when it is killed: each of its threads with one message.
THREADS = 4


def test_every_message_is_recorded_once_and_repeated_only_by_a_kill(build: Build) -> None:
    system = build(workers=2, threads=THREADS, scheduler=False)
    system.subscribe("webhook", "slack")
    planned = plan(SEED, SECONDS, parse(f"worker_killed*{KILLS}"))
    verdict = Run(system, Driver(system.port, TICKETS, seconds=SECONDS), planned).go(rest=300)
    report = "\n".join([f"CHAOS_SEED={SEED}", *map(str, planned), str(verdict)])
    # Then nothing is lost, and no event is notified twice with another id; the oracle compares ids, too
    assert not verdict.red, report
    assert verdict.counts["faults"] == KILLS, report
    # And each is recorded once
    recorded = (
        "SELECT channel, count(*), count(DISTINCT ticket_id), bool_and(state = 'sent') FROM notifications GROUP BY 1"
    )
    assert {row[0]: (row[1] == row[2], row[3]) for row in system.rows(recorded) if row[0] != "in_app"} == {
        "email": (True, True),
        "slack": (True, True),
        "webhook": (True, True),
    }
    # And there are no more repeats than messages that were under way in the processes that died
    repeats = verdict.counts["raw repeats"] + verdict.counts["webhook repeats"] + verdict.counts["slack repeats"]
    assert repeats <= KILLS * THREADS, report
    crashed = "SELECT key, count(*) FROM attempts WHERE outcome = 'crashed' AND actor = 'webhook' GROUP BY 1"
    crashes = dict(system.rows(crashed))
    twice = {key: times for key, times in system.desk.received["/webhook"].items() if times > 1}
    assert all(times - 1 <= crashes.get(key, 0) for key, times in twice.items()), report


def send_one_and_die_before_it_is_recorded(system: System, channel: str) -> tuple[str, list[int]]:
    """Have a worker die that has had the answer to its message, and has not recorded it.

    Returns what is recorded of it, and how often each id was received.
    """
    point = "send.after" if channel == "email" else "post.after"
    system.subscribe(*{channel} - {"email"})
    system.failpoints.arm(point, "die")
    # a requester without an address has an in-app notification
    Driver(system.port, 1, mail_every=1 if channel == "email" else 2).start().finish(120)
    system.failpoints.await_fired(point)
    system.age_dead_workers()
    wait_until(lambda: at_rest(system.rows), 240, "the system never comes to rest", 0.1)
    [(key, state)] = system.rows(f"SELECT id, state FROM notifications WHERE channel = '{channel}'")
    received = system.post.received if channel == "email" else system.desk.received["/webhook"]
    assert {notification_of(each) if channel == "email" else each for each in received} == {key}
    assert len(received) == 1
    return state, list(received.values())


@pytest.mark.parametrize("channel", ["email", "webhook"])
def test_an_unrecorded_message_is_sent_again_with_the_same_id(build: Build, channel: str) -> None:
    system = build(scheduler=False)
    assert send_one_and_die_before_it_is_recorded(system, channel) == ("sent", [2])
    # and with the same bytes
    assert len({each.body for each in system.desk.arrived}) == (channel == "webhook")


@pytest.mark.parametrize("channel", ["email", "webhook"])
def test_an_unrecorded_message_is_in_doubt_on_an_at_most_once_channel(build: Build, channel: str) -> None:
    system = build(scheduler=False, hold="email,webhook")
    assert send_one_and_die_before_it_is_recorded(system, channel) == ("in_doubt", [1])
    # there is neither a job nor a dead letter: a person decides
    assert system.rows("SELECT 1 FROM jobs UNION ALL SELECT 1 FROM dead_letters") == []


def test_other_channels_deliver_while_slack_hangs(build: Build) -> None:
    system = build(scheduler=False)
    system.subscribe("slack", "webhook")
    # Given a Slack that answers nothing until it is released
    hanging = system.desk.hang("/slack")
    Driver(system.port, 30).start().finish(120)
    # Then the other channels deliver, while Slack's share of the threads waits
    waiting = "SELECT count(*) FROM notifications WHERE state <> 'sent' AND channel <> 'slack'"
    delivered = "SELECT count(*) FROM notifications WHERE channel = 'webhook' AND state = 'sent'"
    wait_until(
        lambda: system.scalar(delivered) == 30 and system.scalar(waiting) == 0, 180, "the others wait for Slack", 0.1
    )
    assert system.scalar("SELECT count(*) FROM notifications WHERE channel = 'slack' AND state = 'sent'") == 0
    assert any(each.path == "/slack" for each in system.desk.arrived)
    hanging.set()
    wait_until(lambda: at_rest(system.rows), 240, "Slack never gets its messages", 0.1)
    assert system.scalar("SELECT count(*) FROM notifications WHERE state <> 'sent'") == 0


def test_two_processes_share_a_rate_and_count_no_attempt(build: Build) -> None:
    system = build(workers=2, scheduler=False, rates="webhook=20")
    system.subscribe("webhook")
    Driver(system.port, 40).start().finish(120)
    wait_until(lambda: at_rest(system.rows), 240, "the system never comes to rest", 0.1)
    # Then two processes have sent, and the fortieth no sooner than thirty-nine turns after the first was due
    tried = system.rows("SELECT worker, outcome FROM attempts WHERE actor = 'webhook'")
    assert len({worker for worker, _ in tried}) == 2
    assert {outcome for _, outcome in tried} == {"completed"}
    took = "SELECT extract(epoch FROM max(sent_at) - min(created_at)) FROM notifications WHERE channel = 'webhook'"
    assert system.scalar(took) >= 39 / 20
    assert list(system.desk.received["/webhook"].values()) == [1] * 40


def test_a_permanent_channel_error_becomes_a_dead_letter_that_names_it(build: Build) -> None:
    system = build(scheduler=False)
    system.subscribe("webhook")
    with system.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE endpoints SET url = 'https://127.0.0.1:1/'")
    Driver(system.port, 1).start().finish(120)
    wait_until(lambda: at_rest(system.rows), 240, "the system never comes to rest", 0.1)
    [(actor, error)] = system.rows("SELECT actor, error FROM dead_letters")
    assert (actor, error) == ("webhook", "endpoint webhook: only the ports 443 and 8443 are allowed")
    assert system.desk.arrived == []
