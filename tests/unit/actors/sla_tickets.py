"""Tickets with a resolution target for the tests of SLA."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from actors import analysis
from aura.ai import Verdict
from aura.ai.engines.base import ClassificationRequest
from aura.settings import Settings
from db import reading, tickets, transaction
from db.models import Agent, Notification, Ticket
from db.new_tickets import NewTicket
from db.time import from_now
from pipelines import scheduled_jobs as schedule
from pipelines.triage import triage
from tests.embedded import Hand

HOUR = 3600.0


class Says:
    """An engine with a settable priority."""

    priority = "high"

    def classify(self, questions: list[ClassificationRequest]) -> list[Verdict]:
        return [Verdict("Network", 0.9, self.priority, 0.9, "because", "local", "m") for _ in questions]


@pytest.fixture
def says(database: str, configure: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch) -> Says:
    """An engine that says high, agents, and targets that run day and night: critical 4, high 8, low 40 hours."""
    configure(AURA_BUSINESS_HOURS="always", AURA_SLA="critical=4h,high=8h,low=40h")
    says = Says()
    monkeypatch.setattr(analysis, "make_engine", lambda *_: says)
    with transaction() as session:
        session.add_all([Agent(name=name, email=f"{name}@example.com", skills=["Network"]) for name in ("ann", "ben")])
    return says


@pytest.fixture
def happened(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int, dict[str, Any]]]:
    """The recorded outbox events, as (event, ticket, data)."""
    events: list[tuple[str, int, dict[str, Any]]] = []
    monkeypatch.setattr("db.outbox.record", lambda _session, rows: events.extend(rows))
    return events


def submit(hand: Hand, hours_ago: float = 0.0, requester: str = "ada@example.com") -> int:
    with transaction() as session:
        [number] = tickets.create(session, "test", [(NewTicket(title="VPN drops", requester=requester), {})])
        triage.send(number)
        session.execute(update(Ticket).where(Ticket.id == number).values(created_at=from_now(-hours_ago * HOUR)))
    hand.run()
    return number


def ticket_of(number: int) -> Ticket:
    with reading() as session:
        return session.get_one(Ticket, number)


def due_after(number: int) -> float | None:
    """Return how many hours after it came in the ticket is due."""
    ticket = ticket_of(number)
    return None if ticket.due_at is None else round((ticket.due_at - ticket.created_at).total_seconds() / HOUR, 2)


def pass_time(number: int, hours: float) -> None:
    """Let the hours pass for a ticket: all of its times move into the past."""
    times = (Ticket.created_at, Ticket.due_at, Ticket.sla_next_at, Ticket.paused_since, Ticket.resolved_at)
    ticket = ticket_of(number)
    shift = timedelta(hours=hours)
    with transaction() as session:
        moved = {time.key: value - shift for time in times if (value := getattr(ticket, time.key))}
        session.execute(update(Ticket).where(Ticket.id == number).values(moved))


def tick(hand: Hand) -> None:
    """Check the targets as the scheduler does every minute, and run the enqueued jobs."""
    schedule.check_sla()
    hand.run()


def recipients(event: str) -> list[tuple[str, str]]:
    """Return the recipients of an event, as (role, channel)."""
    with reading() as session:
        found = session.execute(select(Notification.role, Notification.channel).where(Notification.event == event))
        return sorted(map(tuple, found))


EVERYBODY = [("agent", "email"), ("agent", "in_app"), ("requester", "email"), ("team", "email")]
