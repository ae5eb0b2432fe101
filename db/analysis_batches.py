"""Batches of re-analysis: planned, uploaded, submitted, answered, then done or failed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from db.ids import parse_ids
from db.models import AiCall, AnalysisBatch
from db.reanalysis import StaleVerdict
from db.statements import table
from db.time import from_now, now

#: Final states.
FINISHED = ("done", "failed")
#: Hours after which a batch fails; the provider answers within 24.
TIMEOUT_HOURS = 26.0

_c = table(AnalysisBatch).c


def plan(session: Session, model: str, prompt_version: str, tickets: Sequence[StaleVerdict]) -> int:
    """Create a planned batch and return its id."""
    batch = AnalysisBatch(model=model, prompt_version=prompt_version, tickets=[tuple(each) for each in tickets])
    session.add(batch)
    session.flush()
    return batch.id


def load(session: Session, keys: Sequence[str]) -> dict[str, AnalysisBatch]:
    """Return the batches by their ids as text."""
    batches = select(AnalysisBatch).where(_c.id.in_(parse_ids(keys)))
    return {str(each.id): each for each in session.scalars(batches)}


def pending_tickets(session: Session) -> set[int]:
    """Return the ids of the tickets in unfinished batches."""
    unfinished = select(_c.tickets).where(
        _c.state.not_in(FINISHED), _c.created_at > from_now(-2 * TIMEOUT_HOURS * 3600)
    )
    return {ticket for tickets in session.scalars(unfinished) for ticket, _ in tickets}


def timed_out(session: Session, batch: int) -> bool:
    """Return whether the batch is older than TIMEOUT_HOURS."""
    late = _c.created_at < from_now(-TIMEOUT_HOURS * 3600)
    return session.scalar(select(_c.id).where(_c.id == batch, late)) is not None


def transition(session: Session, batch: int, before: str, state: str, **values: Any) -> bool:
    """Change the state of a batch that is in the state `before`, and other columns. Returns whether it was."""
    if state in FINISHED:
        values["finished_at"] = now()
    guarded = update(table(AnalysisBatch)).where(_c.id == batch, _c.state == before).values(state=state, **values)
    return session.scalar(guarded.returning(_c.id)) is not None


def pending_outcome(batch: int) -> str:
    """Return the outcome of a call whose batch has no answer yet."""
    return f"waits for the answer to batch {batch}"


def complete_calls(session: Session, batch: int, outcomes: dict[int, dict[str, Any]]) -> None:
    """Update the calls of a batch: outcome, tokens and cost by ticket id."""
    c = table(AiCall).c
    for ticket, values in outcomes.items():
        call = update(table(AiCall)).where(c.ticket_id == ticket, c.outcome == pending_outcome(batch))
        session.execute(call.values(**values))
