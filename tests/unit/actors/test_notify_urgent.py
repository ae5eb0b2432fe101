"""Property, on the database: a notification for the desk is written for each urgent ticket, and is sent within a minute.

`make check` runs 20 histories; CHAOS_HISTORIES=10000 runs a fiftieth of them here (the same property of the decisions alone is
in tests/unit/notifications/test_decide_urgent.py).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select, update

from actors import analysis, notification_settings
from actors.events import announce_event
from aura.desk import incidents as decisions
from aura.desk.ticket_actions import assign, correct, set_status
from aura.errors import AuraError
from aura.jobs import process_state
from aura.settings import PRIORITIES
from db import incidents, preferences, reading, tickets, transaction
from db.models import Agent, Base, Notification, Ticket
from db.new_tickets import NewTicket
from pipelines.incidents import propose_incidents
from pipelines.triage import triage
from tests.embedded import Hand

URGENT = ("high", "critical")
TITLES = ("Payroll portal shows error 503", "The payroll portal shows error 503 again", "Outlook calendar is empty")
PRIORITY, NUMBER = st.sampled_from(PRIORITIES), st.integers(0, 20)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("create"), st.sampled_from(TITLES), st.integers(0, 4), PRIORITY, st.integers(1, 6)),
        st.tuples(st.sampled_from(["sweep", "accept", "dismiss"])),
        st.tuples(st.just("correct"), NUMBER, PRIORITY),
        st.tuples(st.sampled_from(["assign", "unassign", "resolve", "reopen", "escalate"]), NUMBER),
        st.tuples(st.just("quiet"), st.sampled_from(["service-desk@localhost", "ann@example.com"])),
        st.tuples(st.just("away"), st.booleans()),
    ),
    min_size=3,
    max_size=12,
)


def empty() -> None:
    with transaction() as session:
        for each in reversed(Base.metadata.sorted_tables):
            if each.name not in ("alembic_version", "workers", "signing_keys"):
                session.execute(delete(each))
    process_state.reset()


def create(title: str, first: int, priority: str, count: int) -> None:
    new = [(NewTicket(title=title, requester=f"p{number}@example.com"), {}) for number in range(first, first + count)]
    with transaction() as session:
        created = tickets.create(session, "test", new)
        chosen = update(Ticket).where(Ticket.id.in_(created))
        session.execute(chosen.values(priority=priority, priority_by="human"))
        triage.send_many(created)


def act(step: tuple[Any, ...]) -> None:
    match step:
        case ("create", title, first, priority, count):
            create(title, first, priority, count)
        case ("sweep",):
            propose_incidents()
        case (("accept" | "dismiss") as decision,):
            for number in [each["id"] for each in _proposed()]:
                {"accept": decisions.accept, "dismiss": decisions.dismiss}[decision](number)
        case ("quiet", recipient):
            with transaction() as session:
                preferences.save(session, recipient, {"quiet_from": "00:00", "quiet_to": "23:59", "timezone": "UTC"})
        case ("away", away):
            with transaction() as session:
                session.execute(update(Agent).values(available=not away))
        case (kind, number, *more):
            of_ticket(kind, number, *more)


def of_ticket(kind: str, number: int, priority: str = "") -> None:
    actions: dict[str, Callable[[], Any]] = {
        "correct": lambda: correct(number, "nora", priority=priority),
        "assign": lambda: assign(number, "ann", "nora"),
        "unassign": lambda: assign(number, None, "nora"),
        "resolve": lambda: set_status(number, "resolved", "nora"),
        "reopen": lambda: set_status(number, "open", "nora"),
        "escalate": lambda: escalate(number),
    }
    with suppress(AuraError):  # there is no such ticket, or its status does not allow it
        actions[kind]()


def escalate(number: int) -> None:
    with transaction() as session:
        if session.get(Ticket, number) is not None:
            announce_event(session, number, "ticket.escalated", 1)


def _proposed() -> list[dict[str, Any]]:
    with reading() as session:
        return incidents.listing(session, "proposed")


def check() -> None:
    """Check that the desk is notified of the present version of each urgent ticket."""
    with reading() as session:
        urgent = session.execute(select(Ticket.id, Ticket.version).where(Ticket.priority.in_(URGENT))).all()
        for number, version in urgent:
            of_version = Notification.dedupe_key.like(f"{number}:ticket.%classified:{version}:%")
            desk = (Notification.role.in_(("agent", "team")), Notification.state.in_(("sent", "enqueued")))
            assert session.scalars(select(Notification.id).where(of_version, *desk)).all(), (number, version)


@pytest.fixture
def desk(sqlite: str, configure: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    configure(AURA_DIGEST_ABOVE="0")
    monkeypatch.setattr(notification_settings, "cached_settings", notification_settings.load_settings)
    monkeypatch.setattr(analysis, "active_incidents", lambda session: incidents.active_incidents(session, 15))


@given(staffed=st.booleans(), steps=STEPS)
@settings(
    max_examples=int(os.environ.get("CHAOS_HISTORIES", "0")) // 50 or 20,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_an_urgent_ticket_notifies_the_desk_on_the_database(
    desk: None, hand: Hand, staffed: bool, steps: list[tuple[Any, ...]]
):
    empty()
    if staffed:
        with transaction() as session:
            skills = ["Network", "Hardware", "Software", "Email", "Access", "Security", "Other"]
            session.add(Agent(name="ann", email="ann@example.com", skills=skills, capacity=3))
    for step in steps:
        act(step)
        process_state.reset()
        hand.run()
        check()
