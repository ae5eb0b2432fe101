"""Batches of re-analysis: one durable job carries each through the provider's Batch API, a phase at a time.

1. planned: write down what is sent, reserve what it may cost, upload the file.
2. uploaded: submit it as a batch.
3. submitted: look again later, until the provider is done with it.
4. answered: keep the answers like live ones; a ticket without a good one is looked at alone, in `ai.reanalyze`.

Each phase is found again by its name when it was done and not recorded. While the provider cannot be reached the same
phase is tried again later; when it refuses, or a day has passed, every ticket of the batch goes on alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import structlog
from sqlalchemy.orm import Session

from actors import analysis
from actors.analysis import Analysis
from aura.ai import EngineError
from aura.ai.engines.batch_api import BatchApi
from aura.ai.engines.factory import make_engine
from aura.ai.engines.shared_state import SharedStateUnavailable
from aura.jobs.actor import JobResult, durable
from aura.settings import get_settings
from db import analysis_batches, jobs, reading, reanalysis, tickets
from db.jobs import NewJob
from db.models import AnalysisBatch
from db.tickets import TicketRow

logger = structlog.get_logger("aura.batches")

#: Seconds until the provider is asked again: how far it is, and after it could not be reached.
LOOK_EVERY, TRY_AGAIN = 60.0, 120.0
#: Tickets a second that go on alone.
PACE = 10.0
#: Tickets whose analyses are completed at a time.
AT_ONCE = 100


@dataclass(slots=True)
class Phase:
    """What a phase came to: the batch's next state and values, and what is kept with them."""

    state: str
    values: dict[str, Any] = field(default_factory=dict)
    delay: float = 0.0
    #: What left the house, and what came of it, by ticket.
    calls: list[dict[str, Any]] = field(default_factory=list)
    outcomes: dict[int, dict[str, Any]] = field(default_factory=dict)
    answered: list[tuple[TicketRow, Analysis, str]] = field(default_factory=list)
    #: Tickets that go on alone, and why they are looked at again.
    alone: list[tuple[int, str]] = field(default_factory=list)


def save_phase(session: Session, done: list[JobResult]) -> None:
    """Move each batch on, with everything that the phase came to, and promise its next phase."""
    for each in done:
        batch, phase = each.item, each.result
        if not analysis_batches.transition(session, batch.id, batch.state, phase.state, **phase.values):
            continue
        tickets.save_ai_calls(session, phase.calls)
        looks = [
            JobResult(each.job, ticket, look, each.priority, each.traceparent) for ticket, look, _ in phase.answered
        ]
        analysis.save(session, looks, analysis.changes(session, phase.answered))
        analysis_batches.complete_calls(session, batch.id, phase.outcomes)
        told = reanalysis.unnotified(session, [ticket.id for ticket, _, _ in phase.answered])
        promises = [NewJob("notify", str(ticket), pipeline="reanalysis") for ticket in told]
        promises += [
            # one by one and in no hurry, to keep out of the way of new tickets
            NewJob("reanalyze", str(ticket), [why], "reanalysis", ("notify",), delay=place / PACE)
            for place, (ticket, why) in enumerate(phase.alone)
        ]
        if phase.state not in analysis_batches.FINISHED:
            promises.append(NewJob(each.job.actor, each.job.key, delay=phase.delay))
        jobs.enqueue(session, promises)
        if phase.state != batch.state:
            logger.info("a batch moved on", batch=batch.id, state=phase.state, note=phase.values.get("note", ""))


@durable(
    queue_name="analysis.batches",
    load=analysis_batches.load,
    save=save_phase,
    batch=1,
    background=True,
    time_limit=1_800_000,
)
def advance(batches: list[AnalysisBatch]) -> list[Phase]:
    """Do the next phase of each batch."""
    return [_advance(batch) for batch in batches]


def _advance(batch: AnalysisBatch) -> Phase:
    if batch.state in analysis_batches.FINISHED:
        return Phase(batch.state)
    settings = get_settings()
    if settings.openai_api_key is None:
        return _give_up(batch, "OPENAI_API_KEY is not set any more")
    with reading() as session:
        if analysis_batches.timed_out(session, batch.id):
            return _give_up(batch, "the provider did not answer within a day")
    guarded: Any = make_engine(settings, analysis.spent_today)
    api = BatchApi(guarded, settings)
    try:
        return _PHASES[batch.state](batch, api)
    except EngineError as error:
        if error.permanent:
            api.settle(_name(batch), 0.0)
            return _give_up(batch, str(error))
        return Phase(batch.state, {"note": str(error)}, max(error.retry_after or 0.0, TRY_AGAIN))
    except SharedStateUnavailable as away:
        return Phase(batch.state, {"note": f"{away}, so nobody knows the budget"}, TRY_AGAIN)
    finally:
        api.close()


def _name(batch: AnalysisBatch) -> str:
    return f"aura-{batch.id}-{batch.created_at:%Y%m%dT%H%M%S%f}"


def _give_up(batch: AnalysisBatch, why: str) -> Phase:
    outcomes = {ticket: {"outcome": f"no answer: {why}"} for ticket, _ in batch.tickets}
    values = {"note": why, "failed": len(batch.tickets)}
    return Phase("failed", values, outcomes=outcomes, alone=[(ticket, reason) for ticket, reason in batch.tickets])


def _planned(batch: AnalysisBatch, api: BatchApi) -> Phase:
    found = _unchanged(batch)
    if not found:
        return Phase("done", {"note": "every ticket of it was looked at meanwhile"})
    lines = api.prepare(analysis.requests_to_reclassify([ticket for ticket, _ in found]))
    room = api.reserve(_name(batch), lines)
    if not room:
        # they are stale tomorrow, too
        return Phase("failed", {"note": "half of the day's budget has no room for it (AURA_AI_BUDGET_DAY)"})
    lines = lines[:room]
    file = api.upload(_name(batch), lines)
    call = {
        "model": batch.model,
        "prompt_version": batch.prompt_version,
        "outcome": analysis_batches.pending_outcome(batch.id),
        **dict.fromkeys(("input_tokens", "output_tokens", "cost", "latency_ms"), 0),
    }
    calls = [{**call, "ticket_id": line.id, "sent": line.sent, "masked": line.masked} for line in lines]
    kept = [(ticket.id, why) for ticket, why in found[:room]]
    note = f"the budget has room for {room} of {len(found)} tickets" if room < len(found) else ""
    return Phase("uploaded", {"input_file": file, "tickets": kept, "note": note}, calls=calls)


def _uploaded(batch: AnalysisBatch, api: BatchApi) -> Phase:
    return Phase("submitted", {"provider_id": api.submit(_name(batch), batch.input_file)}, LOOK_EVERY)


def _submitted(batch: AnalysisBatch, api: BatchApi) -> Phase:
    look = api.look(batch.provider_id)
    if not look.over:
        return Phase("submitted", {"note": look.status}, LOOK_EVERY)
    files = {"output_file": look.output_file, "error_file": look.error_file}
    return Phase("answered", {**files, "note": look.status})


def _answered(batch: AnalysisBatch, api: BatchApi) -> Phase:
    found = _unchanged(batch)
    questions = analysis.requests_to_reclassify([ticket for ticket, _ in found])
    said = api.answers(questions, (batch.output_file, batch.error_file))
    verdicts = {ticket: each for ticket, each in said.items() if not isinstance(each, EngineError)}
    phase = Phase("done")
    for start in range(0, len(found), AT_ONCE):
        chunk = [(ticket, why) for ticket, why in found[start : start + AT_ONCE] if ticket.id in verdicts]
        looks = analysis.analyze([ticket for ticket, _ in chunk], [verdicts[ticket.id] for ticket, _ in chunk])
        phase.answered += [
            (ticket, look, why) for (ticket, why), look in zip(chunk, looks, strict=True) if isinstance(look, Analysis)
        ]
    phase.alone = [(ticket.id, why) for ticket, why in found if ticket.id not in verdicts]
    for ticket, _ in batch.tickets:
        verdict = verdicts.get(ticket)
        phase.outcomes[ticket] = (
            {
                "outcome": "answered",
                "input_tokens": verdict.input_tokens,
                "output_tokens": verdict.output_tokens,
                "cost": verdict.cost,
            }
            if verdict
            else {"outcome": str(said.get(ticket, "no line in the batch's answer"))}
        )
    spent = sum(verdict.cost for verdict in verdicts.values())
    api.settle(_name(batch), spent)
    phase.values = {"answered": len(verdicts), "failed": len(phase.alone), "cost": spent}
    return phase


def _unchanged(batch: AnalysisBatch) -> list[tuple[TicketRow, str]]:
    """Return the tickets that nobody has touched since the batch was planned; the others have been looked at, or will be."""
    ids = [ticket for ticket, _ in batch.tickets]
    with reading() as session:
        same = reanalysis.unchanged_since(session, ids, batch.id)
        found = tickets.load(session, [str(ticket) for ticket in ids if ticket in same])
    return [(found[str(ticket)], why) for ticket, why in batch.tickets if str(ticket) in found]


_PHASES: dict[str, Callable[[AnalysisBatch, BatchApi], Phase]] = {
    "planned": _planned,
    "uploaded": _uploaded,
    "submitted": _submitted,
    "answered": _answered,
}
