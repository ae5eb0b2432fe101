"""Events of tickets: the jobs that announce them, and their keys."""

from __future__ import annotations

import pytest

import actors
from actors import events
from aura.errors import InvalidInput
from db import jobs, transaction
from db.jobs import Failure, NewJob
from tests.embedded import Hand, all_jobs, claim, enqueue
from tests.unit.actors.helpers import (
    create_ticket,
    notifications_to,
)

pytestmark = pytest.mark.usefixtures("database")


def test_a_dead_letter_notifies_the_team(hand: Hand):
    number = create_ticket()
    enqueue(NewJob("classify", str(number)))
    claimed = claim("classify", all_jobs()[-1].id)
    failure = Failure("RuntimeError", "boom", "Traceback", "f")
    with transaction() as session:
        jobs.dead_letter(session, [(job, failure) for job in claimed])
        events.enqueue_dead_letter_events(session, actors.broker, [(job, "boom") for job in claimed])
    hand.run()

    (letter,) = notifications_to("service-desk@localhost")
    assert (letter.event, letter.role, letter.state) == ("ticket.dead_lettered", "team", "sent")
    assert "classify: boom" in letter.body


def test_the_key_of_an_event_job_names_ticket_event_and_version():
    job = events.event_job(17, "ticket.escalated", 3, "late", ["agent"])

    assert (job.actor, job.key, job.args) == ("announce", "17:ticket.escalated:3", ["late", "agent"])
    assert events.parse_key(job.key) == ("17", "ticket.escalated", "3")


@pytest.mark.parametrize(
    ("event", "version", "field"),
    [
        ("ticket.deleted", 1, "event"),
        *(("ticket.warned", version, "version") for version in ("", "a:b", "x" * 81, "a\0")),
    ],
)
def test_an_invalid_event_or_version_is_rejected(event: str, version: int | str, field: str):
    with pytest.raises(InvalidInput, match=f"^{field}: "):
        events.event_job(17, event, version)


@pytest.mark.parametrize("key", ["", "17", "17:ticket.warned", "17:ticket.warned:", "x:ticket.warned:1", "17:other:1"])
def test_a_malformed_key_is_not_parsed(key: str):
    assert events.parse_key(key) is None
