"""Actions on tickets: locks, comments, agents and SLA checks."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from sqlalchemy import select

from db import reading, ticket_actions, transaction
from db.models import Agent, Comment
from db.new_tickets import NewTicket
from db.ticket_actions import ACTION, COMMENT_LIMIT
from db.tickets import UnknownTicket
from db.time import from_now
from tests.unit.db.helpers import create, one_ticket, update_tickets

pytestmark = pytest.mark.usefixtures("database")


@pytest.mark.parametrize("number", [0, -1, 999, 2**63])
def test_an_unknown_ticket_cannot_be_locked(number: int):
    with pytest.raises(UnknownTicket, match=f"^no ticket {number}$"), transaction() as session:
        ticket_actions.lock_ticket(session, number)


def test_a_comment_changes_the_ticket_and_an_action_does_not():
    (ticket,) = create(NewTicket(title="x"))
    with transaction() as session:
        action = ticket_actions.record_action(session, ticket, "nora", "assigned to Ada")
    assert one_ticket().changed_at is None
    with transaction() as session:
        comment = ticket_actions.add_comment(session, ticket, " ", "y" * (COMMENT_LIMIT + 1), "api")
    assert one_ticket().changed_at is not None

    with reading() as session:
        rows = session.scalars(select(Comment).order_by(Comment.id)).all()
    assert [(row.id, row.author, row.source) for row in rows] == [
        (action, "nora", ACTION),
        (comment, "operator", "api"),
    ]
    assert [len(row.text) for row in rows] == [15, COMMENT_LIMIT]


def test_an_agent_is_found_by_name_or_address_in_any_case():
    with transaction() as session:
        session.add(Agent(name="Nora Lee", email="nora@example.com"))

    with reading() as session:
        names = [ticket_actions.find_agent(session, each) for each in (" nora lee ", "NORA@example.com", "nobody")]
    assert names == ["Nora Lee", "Nora Lee", None]


def test_due_sla_checks_are_locked_and_saved():
    (ticket,) = create(NewTicket(title="x"))
    with reading() as session:
        assert not ticket_actions.any_sla_check_due(session)
    update_tickets(sla_next_at=from_now(-1))

    due = datetime(2030, 1, 1, tzinfo=UTC)
    with transaction() as session:
        assert ticket_actions.any_sla_check_due(session)
        assert [each.id for each in ticket_actions.lock_due_for_sla_check(session, 10)] == [ticket]
        row = {"id": ticket, "due_at": due, "sla_next_at": None, "sla_state": "warned"}
        ticket_actions.save_sla_checks(session, [row])
        ticket_actions.save_sla_checks(session, [])

    assert (one_ticket().due_at, one_ticket().sla_state) == (due, "warned")
    with reading() as session:
        assert not ticket_actions.any_sla_check_due(session)
