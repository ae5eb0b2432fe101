"""Delays and digests on both databases: storms, quiet hours, changed preferences, concurrent workers."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from actors import digest as digest_actor
from aura.jobs.process_state import WORKER_ID
from aura.notifications import DIGEST, digest_policy
from aura.settings import get_settings
from db import preferences, transaction, workers
from db.jobs import NewJob
from db.models import Job, Worker
from tests.conftest import ROOT
from tests.embedded import Hand, all_jobs, enqueue, letters, move
from tests.unit.actors.digests import digest_in_two_workers, digest_result, save
from tests.unit.actors.helpers import (
    MANAGER,
    announce,
    create_ticket,
    digest_in_two_hours,
    end_delays,
    notifications_to,
    quiet_now,
    save_preference,
    states,
    subscribe,
    write_delayed,
)

pytestmark = pytest.mark.usefixtures("database")


def clock_of(moment: datetime | None) -> str:
    assert moment is not None
    return f"{moment:%H:%M}"


# -- storms -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def limit_of_three(configure: Callable[..., Any], database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than three notifications a minute to one recipient are a storm; it ends a full minute later."""
    configure(DATABASE_URL=database, AURA_DIGEST_ABOVE="3")
    monkeypatch.setattr(digest_policy, "end_of_minute", lambda moment: moment + timedelta(minutes=1))


@pytest.mark.usefixtures("limit_of_three")
def test_notifications_above_the_limit_of_a_minute_become_one_digest(hand: Hand):
    subscribe()
    numbers = [create_ticket() for _ in range(10)]
    for number in numbers:
        announce(number)
    hand.run()
    assert states() == {"sent": 3, "delayed": 7}

    end_delays()
    hand.run()

    assert states() == {"sent": 4, "digested": 7}
    (digest,) = notifications_to(event=DIGEST)
    assert {each.digest_id for each in notifications_to(state="digested")} == {digest.id}
    assert digest.subject == "[Aura] 7 notifications about 7 tickets"
    assert all(f"#{each.ticket_id} " in digest.body for each in notifications_to(state="digested"))
    assert all_jobs() == []


@pytest.mark.usefixtures("limit_of_three")
def test_a_storm_is_counted_for_each_recipient_over_all_workers_and_batches(hand: Hand):
    subscribe()
    subscribe("other@example.com", event="ticket.escalated")
    for _ in range(5):
        announce(create_ticket())
        hand.run()
    announce(create_ticket(), "ticket.escalated")
    hand.run()

    assert states() == {"sent": 3, "delayed": 3}
    assert states("other@example.com") == {"sent": 1}


@pytest.mark.usefixtures("limit_of_three")
def test_critical_notifications_are_not_delayed_by_a_storm(hand: Hand):
    subscribe()
    for _ in range(6):
        announce(create_ticket(priority="critical"))
    hand.run()

    assert states() == {"sent": 6}


def test_a_limit_of_zero_delays_nothing(hand: Hand, configure: Callable[..., Any], database: str):
    configure(DATABASE_URL=database, AURA_DIGEST_ABOVE="0")
    subscribe()
    for _ in range(40):
        announce(create_ticket())
    hand.run()

    assert states() == {"sent": 40}


@pytest.mark.usefixtures("limit_of_three")
def test_in_app_notifications_are_not_delayed_by_a_storm(hand: Hand):
    subscribe("boss", "in_app")
    for _ in range(6):
        announce(create_ticket())
    hand.run()

    assert states("boss") == {"sent": 6}


# -- quiet hours and digests ------------------------------------------------------------------------------------------


def test_quiet_hours_delay_a_notification_until_they_end(hand: Hand):
    subscribe()
    quiet = quiet_now()
    save_preference(**quiet)
    announce(create_ticket())
    hand.run()
    (waiting,) = notifications_to()
    assert (waiting.state, clock_of(waiting.delayed_until)) == ("delayed", quiet["quiet_to"])

    save_preference(quiet_from="", quiet_to="")
    end_delays()
    hand.run()

    assert [(each.id, each.state) for each in notifications_to()] == [(waiting.id, "sent")]
    assert all_jobs() == []


@pytest.mark.parametrize(("event", "priority"), [("ticket.warned", "critical"), ("ticket.escalated", "low")])
@pytest.mark.parametrize("more", [{}, {"digest": "daily"}, {"digest": "hourly"}])
def test_critical_tickets_and_escalations_are_not_delayed(hand: Hand, event: str, priority: str, more: dict[str, str]):
    subscribe()
    save_preference(**quiet_now(), **more)
    announce(create_ticket(priority=priority), event)
    hand.run()

    assert states() == {"sent": 1}


def test_a_digest_is_in_the_preferred_language_and_lists_urgent_tickets_first(hand: Hand):
    subscribe()
    save_preference(**digest_in_two_hours(), language="de")
    low, high = create_ticket(priority="low"), create_ticket(priority="high")
    for number in (low, high):
        announce(number)
        announce(number, "ticket.resolved", note="<b>restart</b>")
    hand.run()
    assert states() == {"delayed": 4}

    end_delays()
    hand.run()

    (digest,) = notifications_to(event=DIGEST)
    assert digest.subject == "[Aura] 4 Benachrichtigungen zu 2 Tickets"
    assert digest.body.index(f"#{high} ") < digest.body.index(f"#{low} ")
    assert "bald fällig: 2\n" in digest.body
    assert (digest.data["count"], len(digest.data["notifications"])) == (4, 4)
    assert states() == {"sent": 1, "digested": 4}


def test_a_digest_about_one_ticket_links_to_the_ticket(hand: Hand):
    subscribe()
    save_preference(**digest_in_two_hours())
    number = create_ticket()
    announce(number, version=1)
    announce(number, version=2)
    hand.run()
    end_delays()
    hand.run()

    (digest,) = notifications_to(event=DIGEST)
    assert digest.ticket_id == number
    assert f"/tickets/{number}\n" in digest.body


def test_a_preference_that_becomes_invalid_ends_no_delay_late(hand: Hand):
    subscribe()
    save_preference(**quiet_now())
    for _ in range(2):
        announce(create_ticket())
    hand.run()
    save_preference(quiet_from="??", language="tlh")
    end_delays()
    hand.run()

    assert states() == {"digested": 2, "sent": 1}


# -- changed preferences --------------------------------------------------------------------


def change_preference(recipient: str = MANAGER, **values: str) -> int:
    with transaction() as session:
        preferences.save(session, recipient, values)
        return digest_actor.reschedule(session, recipient)


def test_ending_quiet_hours_delivers_the_delayed_notifications(hand: Hand):
    subscribe()
    save_preference(**quiet_now())
    for _ in range(3):
        announce(create_ticket())
    hand.run()
    assert states() == {"delayed": 3}

    assert change_preference(quiet_from="", quiet_to="") == 3
    hand.run()

    assert states() == {"digested": 3, "sent": 1}


def test_longer_quiet_hours_extend_the_delay(hand: Hand):
    subscribe()
    save_preference(**quiet_now(last=1))
    announce(create_ticket())
    hand.run()

    quiet = quiet_now(last=5)
    change_preference(**quiet)
    assert clock_of(notifications_to()[0].delayed_until) == quiet["quiet_to"]
    move(Job, due_at=-1)  # the end of the former quiet hours
    hand.run()
    assert states() == {"delayed": 1}
    assert [job.actor for job in all_jobs()] == ["digest"]


def test_a_changed_preference_delays_nothing_that_is_due_within_a_minute(hand: Hand, configure: Callable[..., Any]):
    configure(AURA_DIGEST_ABOVE="1")
    subscribe()
    for _ in range(3):
        announce(create_ticket(priority="high"))
    hand.run()
    assert states() == {"sent": 1, "delayed": 2}

    assert change_preference(**quiet_now(last=5)) == 0
    delayed = [each.delayed_until for each in notifications_to(state="delayed")]
    assert all(until and until < datetime.now(UTC) + timedelta(minutes=1) for until in delayed)


def test_a_preference_of_another_recipient_reschedules_nothing(hand: Hand):
    subscribe()
    save_preference(**quiet_now())
    announce(create_ticket())
    hand.run()

    assert change_preference("somebody@else.org", language="de") == 0
    hand.run()
    assert states() == {"delayed": 1}


def test_a_digest_job_that_runs_late_respects_quiet_hours(hand: Hand):
    # Given a notification whose delay ended while no worker ran
    subscribe()
    save_preference(**digest_in_two_hours())
    announce(create_ticket())
    announce(create_ticket(), "ticket.escalated")  # delivered at once
    hand.run()
    quiet = quiet_now()
    save_preference(**quiet)
    # When a worker comes in the middle of quiet hours
    end_delays()
    hand.run()
    # Then it is delayed until they end, and a job is enqueued for then
    assert states() == {"delayed": 1, "sent": 1}
    (waiting,) = notifications_to(state="delayed")
    assert clock_of(waiting.delayed_until) == quiet["quiet_to"]
    assert [job.actor for job in all_jobs()] == ["digest"]


# -- concurrent workers and crashes --------------------------------------------------------------------------


def test_two_workers_deliver_each_delayed_notification_once():
    digest_in_two_workers()


def test_a_notification_written_during_the_digest_is_delivered_later():
    write_delayed(rows=2)
    done = digest_result()
    write_delayed(rows=1)
    save(done)

    assert states() == {"digested": 2, "enqueued": 1, "delayed": 1}
    assert sorted(job.actor for job in all_jobs()) == ["digest", "email"]


@pytest.mark.slow
def test_ten_thousand_delayed_notifications_become_one_digest(hand: Hand):
    numbers = [create_ticket() for _ in range(3)]
    for number in numbers:
        write_delayed(rows=3334 if number == numbers[0] else 3333, number=number)
    write_delayed("other@example.com", rows=1)
    enqueue(digest_actor.digest_job("email", MANAGER, 0.0), digest_actor.digest_job("email", "other@example.com", 0.0))
    hand.run()

    assert states() == {"digested": 10_000, "sent": 1}
    assert states("other@example.com") == {"sent": 1}
    (digest,) = notifications_to(event=DIGEST)
    assert "10000 notifications about 3 tickets" in digest.subject
    assert len(digest.data["notifications"]) == digest_actor.FACTS_LIMIT
    assert all_jobs() == []


@pytest.mark.parametrize("args", [[], ["email"], ["email", "x", "y"]])
def test_a_digest_job_without_a_recipient_becomes_a_dead_letter(hand: Hand, args: list[str]):
    enqueue(NewJob("digest", "x", args))
    hand.run()

    assert [each.error for each in letters()] == ["args: a digest job needs a channel and a recipient"]


def test_the_key_of_a_digest_job_names_nobody():
    job = digest_actor.digest_job("email", "ada@example.com", 0.0)
    assert "ada" not in job.key and job.key.startswith("email:")
    assert job.key == digest_actor.digest_job("email", "ada@example.com", 5.0).key
    assert job.key != digest_actor.digest_job("email", "bob@example.com", 0.0).key


def test_a_digest_job_accepts_addresses_of_any_length(hand: Hand):
    long = "x" * 60 + "@" + ".".join(["b" * 60] * 3) + ".example"
    assert len(f"email:{long}") > 200
    write_delayed(long, rows=2)
    enqueue(digest_actor.digest_job("email", long, 0.0))
    hand.run()

    assert states(long) == {"digested": 2, "sent": 1}


KILLED = """
import os, signal, sys
from aura import settings
settings.use(settings.given(env="development", DATABASE_URL=sys.argv[1]))
from tests import embedded
settings.use(settings.given(env="development", DATABASE_URL=sys.argv[1]))
import actors
from actors import deliver, digest
from aura.jobs.process_state import WORKER_ID
from db import transaction, workers

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

if sys.argv[2] == "before":
    digest.save_digested, digest.digest.save = die, die
else:
    deliver.ACTORS["email"].fn = die
with transaction() as session:
    workers.beat(session, WORKER_ID, "the one that is killed")
embedded.Hand(actors.broker).run()
"""


@pytest.mark.integration
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_worker_killed_between_digest_and_delivery_loses_and_repeats_nothing(hand: Hand, database: str, when: str):
    write_delayed(rows=4)
    enqueue(digest_actor.digest_job("email", MANAGER, 0.0))

    program = subprocess.run([sys.executable, "-c", KILLED, database, when], cwd=ROOT, capture_output=True, text=True)
    assert program.returncode == -9, program.stderr
    assert states() == ({"delayed": 4} if when == "before" else {"digested": 4, "enqueued": 1})
    assert len([job for job in all_jobs() if job.lease]) == 1

    move(Worker, heartbeat_at=-3600)
    with transaction() as session:
        workers.beat(session, WORKER_ID, "the test")
        workers.recover(session, get_settings().worker_dead_after)
    hand.run()
    assert states() == {"digested": 4, "sent": 1}
    assert all_jobs() == []
