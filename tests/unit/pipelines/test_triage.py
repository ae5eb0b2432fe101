"""The pipeline of triage: every step, its priority, and the notifications at its end."""

from __future__ import annotations

import pytest
from sqlalchemy import select, update

from actors.analysis import JOB_PRIORITY
from db import reading, transaction
from db.models import Agent, Notification, Ticket, VerdictRecord
from tests.embedded import (
    Hand,
    all_jobs,
    attempts,
    letters,
)
from tests.unit.jobs.tickets import accept, ticket

pytestmark = pytest.mark.usefixtures("database")


def test_a_ticket_passes_every_step_and_each_recipient_is_notified_once(hand: Hand):
    with transaction() as session:
        session.add(Agent(name="Nora", email="nora@example.com", skills=["Network"], capacity=5))
    ticket_id = accept("VPN drops every ten minutes", description="<p>Since this&nbsp;morning, from home.</p>")

    hand.run()

    found = ticket(ticket_id)
    assert (found.stage, found.category, found.assignee, found.notified_version) == ("notified", "Network", "Nora", 1)
    assert found.description == "Since this morning, from home."
    assert found.language == "en"
    assert (found.category_by, found.priority_by) == ("engine", "engine")
    assert all_jobs() == []
    assert letters() == []
    # every step and every e-mail once, in the ledger
    done = [attempt.actor for attempt in attempts()]
    assert done[:3] == ["intake", "classify", "notify"]
    assert set(done[3:]) == {"email"}
    assert {attempt.outcome for attempt in attempts()} == {"completed"}
    with reading() as session:
        notifications = session.scalars(select(Notification)).all()
    assert {n.state for n in notifications} == {"sent"}
    assert {"ada@example.com", "Nora"} <= {n.recipient for n in notifications}


def test_each_step_enqueues_the_next_with_the_priority_it_found(hand: Hand):
    accept("URGENT: ransomware on the file server, everything is encrypted!", priority="critical")
    seen = [(job.actor, job.priority, job.next_steps) for job in all_jobs()]

    while hand.relay():
        hand.work()
        seen += [(job.actor, job.priority, job.next_steps) for job in all_jobs() if job.actor in ("classify", "notify")]

    assert [(actor, then) for actor, _, then in seen] == [
        ("intake", ["classify", "notify"]),
        ("classify", ["notify"]),
        ("notify", []),
    ]
    with reading() as session:
        priority = session.scalars(select(VerdictRecord.priority)).one()
    assert seen[0][1] == 0
    assert seen[1][1] >= JOB_PRIORITY["high"], "its words sound urgent"
    assert seen[2][1] == JOB_PRIORITY[priority]


def test_a_value_of_a_human_is_changed_by_no_engine(hand: Hand):
    ticket_id = accept("VPN drops every ten minutes")
    with transaction() as session:
        session.execute(update(Ticket).values(category="Hardware", category_by="human"))

    hand.run()

    found = ticket(ticket_id)
    assert (found.category, found.category_by, found.priority_by) == ("Hardware", "human", "engine")
    with reading() as session:
        assert session.scalars(select(VerdictRecord.category)).all() == ["Network"], "its verdict is stored"
