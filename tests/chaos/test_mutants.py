"""With one safeguard of Aura off, the oracle turns red; a harness that cannot do that proves nothing.

Each test makes the one thing happen that the safeguard is for, and names the finding. `make chaos` also runs each with
the safeguard on, and the oracle stays green.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest

from tests.chaos.conftest import Build
from tests.chaos.driver import Driver
from tests.chaos.oracle import Verdict, at_rest, judge
from tests.chaos.system import VHOST, System
from tests.services import wait_until

pytestmark = pytest.mark.acceptance

LONG = int(os.environ.get("CHAOS_TIMES", "1")) > 1


def with_and_without(mutant: str) -> pytest.MarkDecorator:
    """Run a test with the safeguard off, and in the long version with it on too."""
    return pytest.mark.parametrize("mutant", [mutant, *([""] if LONG else [])])


def verdict_at_rest(system: System, driver: Driver) -> Verdict:
    wait_until(lambda: at_rest(system.rows), 240, "the system never comes to rest")
    return judge(system.engine, driver, system.post)


@with_and_without("outbox_bypassed")
def test_without_the_outbox_a_ticket_is_lost(build: Build, mutant: str) -> None:
    system = build(mutant=mutant, scheduler=False)
    # Given a web process that dies just before it commits the ticket and its job
    system.failpoints.arm("enqueue.before", "die")
    # When a ticket is posted, and posted again with the same key as there was no answer
    driver = Driver(system.port, 1).start().finish(120)
    assert driver.again[1], "the web process did not die"
    # Then it is accepted; with the ticket stored and the job not, nobody works on it
    verdict = verdict_at_rest(system, driver)
    assert set(driver.accepted) == {1}
    if mutant:
        assert verdict.lost == [f"number 1 (ticket {driver.accepted[1]}) was accepted and is received"]
    else:
        assert not verdict.red, verdict


@with_and_without("lease_check_off")
def test_without_the_lease_check_a_worker_that_slept_does_it_all_again(build: Build, mutant: str) -> None:
    system = build(mutant=mutant, workers=2, scheduler=False)
    # Given a worker that falls asleep with its work done and nothing recorded
    system.failpoints.arm("complete.begin", "hold")
    driver = Driver(system.port, 1).start().finish(120)
    system.failpoints.await_fired("complete.begin")
    pid = system.failpoints.pid("complete.begin")
    os.kill(pid, signal.SIGSTOP)
    # And is taken for dead, and another one finished the ticket
    system.age_dead_workers()
    system.wait_until_notified(1)
    # When it wakes up
    system.failpoints.arm("complete.after", "hold")
    system.failpoints.release("complete.begin")
    os.kill(pid, signal.SIGCONT)
    system.failpoints.await_fired("complete.after")
    assert system.failpoints.pid("complete.after") == pid
    system.failpoints.release("complete.after")
    # Then it changes nothing; if it does, the step counts twice
    verdict = verdict_at_rest(system, driver)
    if mutant:
        assert "completed step intake of 1: 2 times" in verdict.twice, verdict
    else:
        assert not verdict.red, verdict


NOTIFY_TWICE = """
import json, sys
from actors.notify import notify
from db import tickets, transaction
from db.new_tickets import NewTicket
from aura.jobs.pipeline import Pipeline

payload = json.loads(sys.argv[1])
with transaction() as session:
    [ticket_id] = tickets.create(session, "http", [(NewTicket.model_validate(payload), payload)])
    notify.send(ticket_id)
    Pipeline("again", notify).send(ticket_id)
print(ticket_id)
"""


@with_and_without("dedupe_off")
def test_without_the_dedupe_key_people_are_notified_twice(build: Build, mutant: str) -> None:
    system = build(mutant=mutant, scheduler=False)
    driver = Driver(system.port, 1)
    # Given a ticket that two jobs are about to notify people of, and one of them has read it already
    system.failpoints.arm("work.notify", "hold")
    created = subprocess.run(
        [sys.executable, "-c", NOTIFY_TWICE, json.dumps(driver.ticket(1))],
        env=system.env(),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    driver.accepted[1] = int(created.stdout)
    system.failpoints.await_fired("work.notify")
    # When the other one is done, if they are two
    left = "SELECT count(*) FROM jobs WHERE actor = 'notify' AND lease IS NULL"
    wait_until(lambda: system.scalar(left) == 0, 120, "the other one waits")
    # And it goes on with what it has read
    system.failpoints.release("work.notify")
    # Then nobody is notified twice
    verdict = verdict_at_rest(system, driver)
    if mutant:
        assert (
            f"notification {created.stdout.strip()} ticket.classified email person1@example.com: 2 times"
            in verdict.twice
        )
        assert any("different mails to person1@example.com" in each for each in verdict.twice), verdict
    else:
        assert not verdict.red, verdict


@with_and_without("consumer_guard_off")
def test_without_the_consumer_guard_a_message_is_lost(build: Build, mutant: str) -> None:
    system = build(mutant=mutant, scheduler=False)
    queue, url = "tickets.intake", system.rabbitmq.vhost_url(VHOST)

    def waiting() -> int:
        return system.rabbitmq.queues(url)[queue]

    # Given a ticket whose hint is not the first one on its connection, held in its first step
    driver = Driver(system.port, 5)
    for number in range(1, 5):
        driver.post(number)
        system.wait_until_notified(number)
    system.failpoints.arm("work.intake", "hold")
    driver.post(5)
    system.failpoints.await_fired("work.intake")
    # When the connection breaks, and the next one brings other tickets as messages, the first of which takes long to store
    system.rabbitmq.close_connections()
    system.failpoints.arm("enqueue.before", "hold")
    messages = range(6, 26)
    driver.publish(url, messages)
    system.failpoints.await_fired("enqueue.before")
    # And the step ends, with an ack that is good on the first connection; and the process dies
    system.failpoints.release("work.intake")
    wait_until(lambda: not system.rows("SELECT 1 FROM jobs WHERE actor = 'intake'"), 120, "the step never ends")
    if mutant:
        wait_until(lambda: waiting() < len(messages), 120, "nothing is acked by a foreign tag")
    os.kill(system.failpoints.pid("enqueue.before"), signal.SIGKILL)
    # Then RabbitMQ redelivers what was not stored, and all are finished; what a foreign tag acked is gone
    system.age_dead_workers()
    wait_until(lambda: not waiting(), 180, "the messages are not read")
    verdict = verdict_at_rest(system, driver)
    if mutant:
        assert len(verdict.lost) == 1, verdict
        assert "was confirmed by RabbitMQ and is not in the table" in verdict.lost[0]
    else:
        assert not verdict.red, verdict
