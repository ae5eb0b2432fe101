"""Corrections: values that a person sets or confirms, and resolutions."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from db import corrections, reading, transaction
from db.corrections import ReviewedTicket, ReviewedVerdict
from db.models import Correction
from db.new_tickets import NewTicket
from db.tickets import UnknownTicket
from tests.unit.db.helpers import create, one_ticket, save_verdicts, verdict

pytestmark = pytest.mark.usefixtures("database")


def correct(ticket_id: int, **values: str) -> list[str]:
    with transaction() as session:
        return corrections.correct(session, ticket_id, "nora", values)


def test_a_correction_sets_the_value_and_raises_the_version():
    (ticket,) = create(NewTicket(title="VPN drops", description="Daily."))
    save_verdicts(verdict(ticket, category="Network", confidence=0.4))

    assert correct(ticket, category="Access") == ["category"]

    found = one_ticket()
    assert (found.category, found.category_by, found.version, found.needs_review) == ("Access", "human", 2, False)
    with reading() as session:
        [row] = session.scalars(select(Correction))
        assert (row.old, row.old_by, row.new, row.engine, row.confidence) == (
            "Network",
            "engine",
            "Access",
            "local",
            0.4,
        )
        assert corrections.reviewed_tickets(session, 10) == [
            ReviewedTicket(ticket, "VPN drops", "Daily.", "Access", "high")
        ]
        assert corrections.reviewed_verdicts(session) == [ReviewedVerdict("category", "Network", "Access", 0.4)]


def test_an_equal_value_confirms_the_verdict_without_a_new_version():
    (ticket,) = create(NewTicket(title="VPN drops"))
    save_verdicts(verdict(ticket, priority="high"))

    assert correct(ticket, priority="high") == []

    assert (one_ticket().priority_by, one_ticket().version) == ("human", 1)
    with reading() as session:
        assert len(corrections.reviewed_tickets(session, 10)) == 1
        assert corrections.reviewed_tickets(session, 10, changed=True) == []


def test_reviewed_tickets_are_the_newest_within_the_days():
    first, second = create(NewTicket(title="one"), NewTicket(title="two"))
    save_verdicts(verdict(first), verdict(second))
    correct(second, category="Access")
    correct(first, category="Access")

    with reading() as session:
        assert [each.id for each in corrections.reviewed_tickets(session, 10, days=1)] == [first, second]
        assert [each.id for each in corrections.reviewed_tickets(session, 1)] == [first]
        assert corrections.reviewed_tickets(session, 10, days=0) == []


@pytest.mark.parametrize("number", [0, -1, 999, 2**63])
def test_an_unknown_ticket_can_be_neither_corrected_nor_resolved(number: int):
    with pytest.raises(UnknownTicket, match=f"^no ticket {number}$"):
        correct(number, category="Access")
    with pytest.raises(UnknownTicket), transaction() as session:
        corrections.resolve(session, number, "done")


def test_a_resolution_is_stored_without_unstorable_characters_and_cut():
    (ticket,) = create(NewTicket(title="VPN drops"))
    with transaction() as session:
        corrections.resolve(session, ticket, "  Restarted.\0" + "x" * corrections.RESOLUTION_LIMIT)

    found = one_ticket()
    assert found.status == "resolved"
    assert found.resolved_at is not None
    assert found.resolution.startswith("Restarted.x")
    assert len(found.resolution) == corrections.RESOLUTION_LIMIT
