"""Batches of re-analysis: guarded state transitions and the calls of a batch."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from db import analysis_batches, reading, tickets, transaction
from db.models import AiCall, AnalysisBatch
from db.new_tickets import NewTicket
from db.reanalysis import StaleVerdict
from tests.embedded import move
from tests.unit.db.helpers import create

pytestmark = pytest.mark.usefixtures("database")


def plan(*ticket_ids: int) -> int:
    with transaction() as session:
        return analysis_batches.plan(
            session, "m", "p", [StaleVerdict(each, "its verdict was old") for each in ticket_ids]
        )


def test_only_the_expected_state_is_left():
    batch = plan(7)
    with transaction() as session:
        assert analysis_batches.transition(session, batch, "planned", "uploaded", input_file="file-1")
        assert not analysis_batches.transition(session, batch, "planned", "uploaded", input_file="file-2")

    with reading() as session:
        found = analysis_batches.load(session, [str(batch), "x", "999"])
    assert [(key, each.state, each.input_file) for key, each in found.items()] == [(str(batch), "uploaded", "file-1")]
    assert found[str(batch)].finished_at is None


@pytest.mark.parametrize("state", analysis_batches.FINISHED)
def test_a_finished_batch_has_a_time_and_no_pending_tickets(state: str):
    batch = plan(7, 8)
    with transaction() as session:
        assert analysis_batches.pending_tickets(session) == {7, 8}
        analysis_batches.transition(session, batch, "planned", state)
        assert analysis_batches.pending_tickets(session) == set()

    with reading() as session:
        assert analysis_batches.load(session, [str(batch)])[str(batch)].finished_at is not None


def test_a_batch_times_out():
    batch = plan(7)
    with reading() as session:
        assert not analysis_batches.timed_out(session, batch)
    move(AnalysisBatch, created_at=-analysis_batches.TIMEOUT_HOURS * 3600 - 1)
    with reading() as session:
        assert analysis_batches.timed_out(session, batch)


def test_completing_calls_changes_those_of_the_batch_only():
    (ticket,) = create(NewTicket(title="x"))
    row = {"ticket_id": ticket, "model": "m", "prompt_version": "p", "sent": "", "masked": {}, "input_tokens": 0}
    row |= {"output_tokens": 0, "cost": 0.0, "latency_ms": 0.0}
    with transaction() as session:
        outcomes = [analysis_batches.pending_outcome(number) for number in (1, 2)]
        tickets.save_ai_calls(session, [row | {"outcome": outcome} for outcome in outcomes])
        analysis_batches.complete_calls(session, 1, {ticket: {"outcome": "answered", "cost": 0.5}})

    with reading() as session:
        calls = session.execute(select(AiCall.outcome, AiCall.cost).order_by(AiCall.id)).all()
    assert [tuple(each) for each in calls] == [("answered", 0.5), (outcomes[1], 0.0)]
