"""Ticket counts for the overview page, and the queue of tickets to review."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import update

from db import reading, ticket_stats, tickets, transaction
from db.models import Ticket
from db.new_tickets import NewTicket
from db.time import from_now
from pipelines.triage import triage
from tests.embedded import Hand
from tests.unit.db.helpers import create, save_verdicts, update_tickets, verdict

pytestmark = pytest.mark.usefixtures("database")


def test_an_empty_database_has_zero_counts():
    with reading() as session:
        stats = ticket_stats.ticket_stats(session)
        assert ticket_stats.review_queue(session) == (0, None)
    assert (stats.tickets, stats.review, stats.dead, stats.incidents, stats.categories) == (0, 0, 0, 0, {})


def test_tickets_are_counted_by_category_priority_and_sla_state():
    first, second, third = create(*[NewTicket(title=str(number)) for number in range(3)])
    save_verdicts(verdict(first), verdict(second), verdict(third, category="Access", priority="low"))
    with transaction() as session:
        for ticket, state in ((first, "warned"), (second, "breached"), (third, "breached")):
            session.execute(update(Ticket).where(Ticket.id == ticket).values(sla_state=state))
        session.execute(update(Ticket).where(Ticket.id == third).values(status="resolved"))

    with reading() as session:
        stats = ticket_stats.ticket_stats(session)
    assert (stats.warned, stats.late) == (1, 1), "a resolved ticket is not late"
    assert (stats.categories, stats.priorities) == ({"Network": 2, "Access": 1}, {"high": 2, "low": 1})


def test_categories_are_those_of_the_last_day():
    (ticket,) = create(NewTicket(title="x"))
    save_verdicts(verdict(ticket))
    update_tickets(created_at=from_now(-ticket_stats.HOURS * 3600 - 1))

    with reading() as session:
        assert ticket_stats.ticket_stats(session).categories == {}


def test_the_review_queue_returns_the_longest_waiting_ticket_after_the_skipped_ones():
    first, second = create(NewTicket(title="1"), NewTicket(title="2"))
    save_verdicts(verdict(first, confidence=0.1), verdict(second, confidence=0.1))
    with transaction() as session:
        session.execute(update(Ticket).where(Ticket.id == second).values(classified_at=from_now(-60)))

    with reading() as session:
        assert [ticket_stats.review_queue(session, skip) for skip in range(3)] == [(2, second), (2, first), (2, None)]


def test_ticket_stats_count_the_tickets_that_need_a_person(hand: Hand, configure: Callable[..., object]):
    with reading() as session:
        assert ticket_stats.ticket_stats(session).tickets == 0
        assert ticket_stats.review_queue(session) == (0, None)
    with transaction() as session:
        ids = tickets.create(session, "test", [(NewTicket(title=f"VPN drops {n}"), {}) for n in range(3)])
    triage.send_many(ids)
    hand.run()
    with transaction() as session:
        session.execute(update(Ticket).values(needs_review=False, category="Network", priority="high"))
        session.execute(update(Ticket).where(Ticket.id != ids[2]).values(needs_review=True))
        session.execute(update(Ticket).where(Ticket.id == ids[1]).values(classified_at=from_now(-60)))
        session.execute(update(Ticket).where(Ticket.id == ids[2]).values(category="Email", sla_state="breached"))

    with reading() as session:
        found = ticket_stats.ticket_stats(session)
        order = [ticket_stats.review_queue(session, skip) for skip in range(3)]

    assert (found.tickets, found.review, found.late, found.warned, found.dead) == (1, 2, 1, 0, 0)
    assert (found.categories, found.priorities) == ({"Network": 2, "Email": 1}, {"high": 3})
    assert order == [(2, ids[1]), (2, ids[0]), (2, None)]
