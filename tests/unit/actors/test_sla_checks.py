"""SLA checks: warnings and escalations, each announced once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select, update

from actors import sla_checks
from aura.desk.ticket_actions import correct, set_status
from aura.settings import Settings
from db import reading, ticket_actions, tickets, transaction
from db.models import Job, Ticket
from db.new_tickets import NewTicket
from db.time import from_now
from pipelines import scheduled_jobs as schedule
from tests.commands import Run
from tests.embedded import Hand, crash_before_commit
from tests.unit.actors.sla_tickets import (
    EVERYBODY,
    Says,
    due_after,
    pass_time,
    recipients,
    submit,
    tick,
    ticket_of,
)


def test_the_assignee_is_warned_once_and_a_breach_is_escalated_once(
    says: Says, hand: Hand, happened: list[Any]
) -> None:
    ticket = submit(hand)
    pass_time(ticket, 6.5)
    tick(hand)
    tick(hand)
    assert recipients("ticket.warned") == [("agent", "email"), ("agent", "in_app")]
    assert recipients("ticket.escalated") == []
    assert ticket_of(ticket).sla_state == "warned"

    pass_time(ticket, 2)
    tick(hand)
    tick(hand)
    assert recipients("ticket.escalated") == EVERYBODY
    found = ticket_of(ticket)
    assert (found.sla_state, found.sla_next_at) == ("breached", None)
    assert found.due_at is not None
    events = [
        (event, data.get("due_at")) for event, _, data in happened if event in ("ticket.warned", "ticket.escalated")
    ]
    assert [event for event, _ in events] == ["ticket.warned", "ticket.escalated"]
    assert events[1][1] == found.due_at.isoformat()


def test_after_an_outage_of_the_scheduler_only_the_escalation_is_announced(says: Says, hand: Hand) -> None:
    ticket = submit(hand)
    pass_time(ticket, 20)
    tick(hand)
    assert (recipients("ticket.warned"), recipients("ticket.escalated")) == ([], EVERYBODY)


def test_another_target_is_announced_again(says: Says, hand: Hand) -> None:
    ticket = submit(hand)
    pass_time(ticket, 9)
    tick(hand)
    correct(ticket, "nora", priority="low")
    tick(hand)
    assert (ticket_of(ticket).sla_state, recipients("ticket.escalated")) == ("", EVERYBODY)
    correct(ticket, "nora", priority="critical")
    tick(hand)
    assert len(recipients("ticket.escalated")) == 2 * len(EVERYBODY)


def test_an_sla_check_that_crashes_is_repeated_completely(says: Says, hand: Hand) -> None:
    ticket = submit(hand)
    pass_time(ticket, 9)
    with crash_before_commit() as session:
        assert sla_checks.check_sla(session) == 1
    assert ticket_of(ticket).sla_state == ""
    tick(hand)
    assert recipients("ticket.escalated") == EVERYBODY


def test_many_due_checks_run_batch_by_batch(says: Says, hand: Hand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sla_checks, "BATCH", 2)
    batches: list[int] = []
    look = sla_checks.check_sla
    monkeypatch.setattr(sla_checks, "check_sla", lambda session: batches.append(look(session)) or batches[-1])
    numbers = [submit(hand, 9, f"user{each}@example.com") for each in range(5)]
    tick(hand)
    assert batches == [2, 2, 1]
    assert {ticket_of(number).sla_state for number in numbers} == {"breached"}
    assert len(recipients("ticket.escalated")) == 5 * len(EVERYBODY)


def test_two_concurrent_sla_checks_announce_an_event_once(
    says: Says, hand: Hand, happened: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    pass_time(submit(hand), 9)
    assert _two_looks(monkeypatch) == [0, 1]
    assert [event for event, _, _ in happened].count("ticket.escalated") == 1


@pytest.mark.integration
def test_without_the_lock_two_concurrent_sla_checks_announce_twice(
    postgres: str, hand: Hand, happened: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    with transaction() as session:
        [number] = tickets.create(session, "test", [(NewTicket(title="VPN drops"), {})])
        values = {"priority": "high", "created_at": from_now(-90 * 86_400), "sla_next_at": from_now(-1)}
        session.execute(update(Ticket).where(Ticket.id == number).values(values))
    monkeypatch.setattr(
        ticket_actions, "_SELECT", type("Unlocked", (), {"where": lambda self, *by: _Unlocked(_held.where(*by))})()
    )
    assert _two_looks(monkeypatch) == [1, 1]
    assert [event for event, _, _ in happened].count("ticket.escalated") == 2


_held = ticket_actions._SELECT


class _Unlocked:
    """A query that takes no locks."""

    def __init__(self, query: Any) -> None:
        self.query = query

    def order_by(self, *by: Any) -> _Unlocked:
        return _Unlocked(self.query.order_by(*by))

    def limit(self, most: int) -> _Unlocked:
        return _Unlocked(self.query.limit(most))

    def with_for_update(self, **_options: Any) -> Any:
        return self.query


def _two_looks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Look twice at the same time: each waits, between finding and writing, until the other has looked too."""
    looked, both = ticket_actions.lock_due_for_sla_check, threading.Barrier(2)

    def to_look_at(session: Any, limit: int) -> Any:
        found = looked(session, limit)
        if session.get_bind().dialect.name == "postgresql":  # SQLite has one writer at a time
            both.wait(timeout=20)
        return found

    monkeypatch.setattr(ticket_actions, "lock_due_for_sla_check", to_look_at)
    counts: list[int] = []

    def once() -> None:
        with transaction() as session:
            counts.append(sla_checks.check_sla(session))

    threads = [threading.Thread(target=once) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    return sorted(counts)


def test_an_sla_check_without_due_tickets_enqueues_nothing(says: Says, hand: Hand) -> None:
    submit(hand)
    assert schedule.check_sla() == 0
    with reading() as session:
        assert session.scalars(select(Job)).all() == []


def test_without_targets_nothing_is_due(says: Says, hand: Hand, configure: Callable[..., Settings]) -> None:
    ticket = submit(hand)
    pass_time(ticket, 9)
    configure(AURA_SLA="off")
    tick(hand)
    found = ticket_of(ticket)
    assert (found.due_at, found.sla_next_at, recipients("ticket.escalated")) == (None, None, [])
    assert due_after(submit(hand)) is None


def test_overdue_tickets_are_listed_first(says: Says, hand: Hand, run: Run) -> None:
    later, late = submit(hand), submit(hand, hours_ago=9)
    pending = submit(hand)
    set_status(pending, "pending")
    tick(hand)
    rows = run("tickets", "list", "--due", "--format", "json").json()
    assert [(row["id"], row["sla_state"]) for row in rows] == [(late, "breached"), (later, "")]
    assert "breached" in run("tickets", "list", "--due").out
