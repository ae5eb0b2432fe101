"""Batches of re-analysis: planned -> uploaded -> submitted -> answered -> done, or failed; every move is guarded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from db.models import AiCall, AnalysisBatch
from db.reanalysis import StaleVerdict
from db.statements import table
from db.time import from_now, now

#: States that a batch does not leave.
OVER = ("done", "failed")
#: Hours after which nobody waits for a batch any more; the provider promises an answer within 24.
PATIENCE_HOURS = 26.0

_c = table(AnalysisBatch).c


def plan(session: Session, model: str, prompt_version: str, tickets: Sequence[StaleVerdict]) -> int:
    """Write a new batch down and return its id."""
    batch = AnalysisBatch(model=model, prompt_version=prompt_version, tickets=[tuple(each) for each in tickets])
    session.add(batch)
    session.flush()
    return batch.id


def load(session: Session, keys: Sequence[str]) -> dict[str, AnalysisBatch]:
    """Return the batches by their ids as text."""
    ids = [int(key) for key in keys if key.isdecimal()]
    return {str(each.id): each for each in session.scalars(select(AnalysisBatch).where(_c.id.in_(ids)))}


def under_way(session: Session) -> set[int]:
    """Return the tickets of batches that are not over."""
    going = select(_c.tickets).where(_c.state.not_in(OVER), _c.created_at > from_now(-2 * PATIENCE_HOURS * 3600))
    return {ticket for tickets in session.scalars(going) for ticket, _ in tickets}


def too_late(session: Session, batch: int) -> bool:
    """Return whether it is time to give the batch up."""
    late = _c.created_at < from_now(-PATIENCE_HOURS * 3600)
    return session.scalar(select(_c.id).where(_c.id == batch, late)) is not None


def move(session: Session, batch: int, before: str, state: str, **values: Any) -> bool:
    """Move a batch on from the state it was seen in. Returns False when somebody else did."""
    if state in OVER:
        values["finished_at"] = now()
    moved = update(table(AnalysisBatch)).where(_c.id == batch, _c.state == before).values(state=state, **values)
    return session.scalar(moved.returning(_c.id)) is not None


def sent_with(batch: int) -> str:
    """Return the outcome of a call that waits for the answer to its batch."""
    return f"waits for the answer to batch {batch}"


def settle_calls(session: Session, batch: int, outcomes: dict[int, dict[str, Any]]) -> None:
    """Record what came of the calls of a batch: outcome, tokens and cost by ticket."""
    c = table(AiCall).c
    for ticket, values in outcomes.items():
        call = update(table(AiCall)).where(c.ticket_id == ticket, c.outcome == sent_with(batch))
        session.execute(call.values(**values))
