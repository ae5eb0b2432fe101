"""Costs of the remote engine by day and model, and the agreement of the engines."""

from __future__ import annotations

import pytest

from db import ai_costs, reading, tickets, transaction
from db.models import AiCall
from db.new_tickets import NewTicket
from tests.embedded import move
from tests.unit.db.helpers import create, save_verdicts, verdict

pytestmark = pytest.mark.usefixtures("database")


def call(ticket_id: int, cost: float, outcome: str = "answered") -> None:
    row = {"ticket_id": ticket_id, "model": "m", "prompt_version": "p", "sent": "", "masked": {}, "outcome": outcome}
    row |= {"input_tokens": 100, "output_tokens": 10, "cost": cost, "latency_ms": 1.0}
    with transaction() as session:
        tickets.save_ai_calls(session, [row])


def test_costs_are_summed_by_day_and_model():
    (ticket,) = create(NewTicket(title="x"))
    call(ticket, 0.5)
    call(ticket, 0.25, outcome="no answer")

    with reading() as session:
        assert ai_costs.spent_today(session) == 0.75
        [row] = ai_costs.by_model(session, 1)
    assert {name: row[name] for name in row if name != "day"} == {
        "model": "m", "calls": 2, "failed": 1, "input_tokens": 200, "output_tokens": 20, "dollars": 0.75,
    }  # fmt: skip


def test_costs_of_earlier_days_are_not_spent_today():
    (ticket,) = create(NewTicket(title="x"))
    call(ticket, 0.5)
    move(AiCall, created_at=-2 * 86_400)

    with reading() as session:
        assert ai_costs.spent_today(session) == 0.0
        assert ai_costs.by_model(session, 1) == []
        assert len(ai_costs.by_model(session, 3)) == 1


def test_agreement_counts_fallbacks_cached_answers_and_disagreements():
    (ticket,) = create(NewTicket(title="x"))
    remote = verdict(ticket) | {"engine": "openai"}
    save_verdicts(verdict(ticket), verdict(ticket) | {"fallback": "no answer"}, remote, remote | {"cached": True})
    save_verdicts(remote | {"disagreement": "local: Access, low"}, remote)

    with reading() as session:
        assert ai_costs.agreement(session, 1) == {
            "verdicts": 6, "remote": 4, "stepped_in": 1, "cached": 1, "disagreed": 1, "disagreement": 0.25,
        }  # fmt: skip
        assert ai_costs.agreement(session, 0)["disagreement"] is None
