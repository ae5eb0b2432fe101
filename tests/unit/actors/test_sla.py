"""SLA: resolution targets, pauses, and due times."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, update

from actors import analysis
from actors.sla import target_of
from aura.ai import Verdict
from aura.desk.ticket_actions import correct, reopen, resolve, set_status
from aura.settings import Settings, SettingsError
from db import reading, tickets, transaction
from db.models import Notification, Ticket
from db.new_tickets import NewTicket
from pipelines.reanalysis import reanalysis
from pipelines.triage import triage
from tests.embedded import Hand
from tests.unit.actors.sla_tickets import (
    HOUR,
    Says,
    due_after,
    pass_time,
    recipients,
    submit,
    tick,
    ticket_of,
)

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


def test_pending_time_counts_business_hours_only(says: Says, hand: Hand, configure: Callable[..., Settings]) -> None:
    configure(AURA_BUSINESS_HOURS="Mon-Fri 08:00-18:00", AURA_TIMEZONE="Europe/Berlin", AURA_HOLIDAYS="2026-10-26")
    friday = datetime(2026, 10, 23, 12, tzinfo=UTC)  # 14:00 on the wall, clocks go back on Sunday
    assert target_of("high", friday, 0.0).due_at == datetime(2026, 10, 27, 11, tzinfo=UTC), "12:00 on Tuesday"
    assert target_of("high", friday, 2 * HOUR).due_at == datetime(2026, 10, 27, 13, tzinfo=UTC)


# -- warned and escalated ---------------------------------------------------------------------------------------------


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
