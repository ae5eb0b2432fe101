"""SLA: resolution targets, pauses, and the events for warnings and breaches, each once."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from actors import analysis, sla_checks
from actors.sla import target_of
from aura.ai import Verdict
from aura.ai.engines.base import ClassificationRequest
from aura.desk.ticket_actions import correct, reopen, resolve, set_status
from aura.settings import Settings, SettingsError
from db import reading, ticket_actions, tickets, transaction
from db.models import Agent, Job, Notification, Ticket
from db.new_tickets import NewTicket
from db.time import from_now
from pipelines import scheduled_jobs as schedule
from pipelines.reanalysis import reanalysis
from pipelines.triage import triage
from tests.commands import Run
from tests.embedded import Hand, crash_before_commit

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

# -- until when -------------------------------------------------------------------------------------------------------


def test_a_target_is_set_with_the_first_verdict_and_counts_from_when_the_ticket_came_in(says: Says, hand: Hand) -> None:
    ticket = submit(hand, hours_ago=1)
    assert due_after(ticket) == 8
    found = ticket_of(ticket)
    assert found.due_at and found.sla_next_at and found.sla_state == ""
    assert found.due_at - found.sla_next_at == timedelta(hours=2), "a quarter of the time before"


def test_a_changed_priority_has_another_target_and_an_unchanged_one_keeps_it(says: Says, hand: Hand) -> None:
    ticket = submit(hand)
    first = ticket_of(ticket)
    reanalysis.send(ticket)
    hand.run()
    assert (ticket_of(ticket).due_at, ticket_of(ticket).sla_next_at) == (first.due_at, first.sla_next_at)

    says.priority = "low"
    reanalysis.send(ticket)
    hand.run()
    assert due_after(ticket) == 40
    correct(ticket, "nora", priority="critical")
    assert due_after(ticket) == 4
    says.priority = "high"
    reanalysis.send(ticket)
    hand.run()
    assert due_after(ticket) == 4, "a corrected priority is kept"
    correct(ticket, "nora", priority="medium")
    found = ticket_of(ticket)
    assert (found.due_at, found.sla_next_at) == (None, None), "this priority has no target"


def test_an_sla_check_corrects_a_target_that_changed_during_classification(says: Says, hand: Hand) -> None:
    number = submit(hand)
    with reading() as session:
        [loaded] = tickets.load(session, [str(number)]).values()
    set_status(number, "pending")
    pass_time(number, 3)
    set_status(number, "open")
    with transaction() as session:  # a verdict of before: as if nothing had been waited for
        row = analysis.verdict_row(loaded, analysis.Analysis(replace_priority("low")), "")
        tickets.save_verdicts(session, [row])
    assert due_after(number) == 11, "not that of a ticket which never waited"
    tick(hand)
    assert due_after(number) == 43
    assert recipients("ticket.warned") == []


def replace_priority(priority: str) -> Verdict:
    return Verdict("Network", 0.9, priority, 0.9, "because", "local", "m")


def test_a_priority_that_a_person_sets_first_gets_its_target_too(says: Says, hand: Hand) -> None:
    with transaction() as session:
        [number] = tickets.create(session, "test", [(NewTicket(title="VPN drops"), {})])
        session.execute(update(Ticket).where(Ticket.id == number).values(priority="low", priority_by="human"))
        triage.send(number)
    hand.run()
    tick(hand)
    assert due_after(number) == 40


# -- time that stands still -------------------------------------------------------------------------------------------


def test_the_target_pauses_while_the_ticket_is_pending(says: Says, hand: Hand) -> None:
    ticket = submit(hand)
    pass_time(ticket, 2)
    assert set_status(ticket, "pending").due_at is None
    assert (ticket_of(ticket).due_at, ticket_of(ticket).sla_next_at) == (None, None)
    pass_time(ticket, 100)
    tick(hand)
    assert recipients("ticket.escalated") == []

    set_status(ticket, "in_progress")
    assert due_after(ticket) == 108
    pass_time(ticket, 5)
    tick(hand)
    assert recipients("ticket.escalated") == []
    assert recipients("ticket.warned") != []


def test_a_changed_priority_of_a_pending_ticket_counts_when_the_target_resumes(says: Says, hand: Hand) -> None:
    ticket = submit(hand)
    set_status(ticket, "pending")
    correct(ticket, "nora", priority="critical")
    assert due_after(ticket) is None
    pass_time(ticket, 10)
    set_status(ticket, "open")
    assert due_after(ticket) == 14


def test_the_target_of_a_resolved_ticket_pauses_until_it_is_reopened(says: Says, hand: Hand) -> None:
    ticket = submit(hand)
    pass_time(ticket, 1)
    resolve(ticket, "Restarted the gateway")
    pass_time(ticket, 50)
    tick(hand)
    assert (recipients("ticket.warned"), recipients("ticket.escalated")) == ([], [])
    assert due_after(ticket) == 8, "to be compared with when it was resolved"

    reopen(ticket, "ada", "It is broken again")
    assert due_after(ticket) == 58
    set_status(ticket, "closed")
    pass_time(ticket, 50)
    tick(hand)
    assert recipients("ticket.escalated") == []


def test_pending_counts_business_hours_only(says: Says, hand: Hand, configure: Callable[..., Settings]) -> None:
    configure(AURA_BUSINESS_HOURS="Mon-Fri 08:00-18:00", AURA_TIMEZONE="Europe/Berlin", AURA_HOLIDAYS="2026-10-26")
    friday = datetime(2026, 10, 23, 12, tzinfo=UTC)  # 14:00 on the wall, clocks go back on Sunday
    assert target_of("high", friday, 0.0).due_at == datetime(2026, 10, 27, 11, tzinfo=UTC), "12:00 on Tuesday"
    assert target_of("high", friday, 2 * HOUR).due_at == datetime(2026, 10, 27, 13, tzinfo=UTC)


# -- warned and escalated ---------------------------------------------------------------------------------------------


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


def test_many_at_once_go_a_batch_at_a_time(says: Says, hand: Hand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sla_checks, "BATCH", 2)
    batches: list[int] = []
    look = sla_checks.check_sla
    monkeypatch.setattr(sla_checks, "check_sla", lambda session: batches.append(look(session)) or batches[-1])
    numbers = [submit(hand, 9, f"user{each}@example.com") for each in range(5)]
    tick(hand)
    assert batches == [2, 2, 1]
    assert {ticket_of(number).sla_state for number in numbers} == {"breached"}
    assert len(recipients("ticket.escalated")) == 5 * len(EVERYBODY)


def test_two_looks_at_once_tell_once(
    says: Says, hand: Hand, happened: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    pass_time(submit(hand), 9)
    assert _two_looks(monkeypatch) == [0, 1]
    assert [event for event, _, _ in happened].count("ticket.escalated") == 1


@pytest.mark.integration
def test_without_the_lock_two_looks_would_tell_twice(
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


def test_the_notification_contains_the_due_time(says: Says, hand: Hand, configure: Callable[..., Settings]) -> None:
    configure(AURA_TIMEZONE="Europe/Berlin")
    submit(hand)
    with reading() as session:
        body = session.scalars(select(Notification.body).where(Notification.role == "agent")).first()
        asked = session.scalars(select(Notification.body).where(Notification.role == "requester")).first()
    assert re.search(r"^Due: \d{4}-\d\d-\d\d \d\d:\d\d CES?T$", body or "", re.M)
    assert asked and "Due:" not in asked


@pytest.mark.parametrize("value", ["urgent=4h", "high=0h", "high=soon", "high=4"])
def test_invalid_targets_name_the_setting(value: str, configure: Callable[..., Settings]) -> None:
    with pytest.raises(SettingsError, match="AURA_SLA"):
        configure(AURA_SLA=value)


# -- commands ---------------------------------------------------------------------------------------------------------


def test_overdue_tickets_are_listed_first(says: Says, hand: Hand, run: Run) -> None:
    later, late = submit(hand), submit(hand, hours_ago=9)
    pending = submit(hand)
    set_status(pending, "pending")
    tick(hand)
    rows = run("tickets", "list", "--due", "--format", "json").json()
    assert [(row["id"], row["sla_state"]) for row in rows] == [(late, "breached"), (later, "")]
    assert "breached" in run("tickets", "list", "--due").out
