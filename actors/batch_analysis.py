"""The actor `advance`: carries a batch of re-analyses through the provider's Batch API, one phase for each attempt.

    planned    select the tickets, reserve the budget, upload the file      -> uploaded
    uploaded   create the batch                                             -> submitted
    submitted  poll the provider until the batch has ended                  -> answered
    answered   save the verdicts; tickets without one are re-analyzed alone -> done

A phase that was completed but not recorded finds its result at the provider by the batch's name. While the provider is
unreachable the phase is repeated later. When it refuses the batch, or has not answered within a day, the batch fails and
each ticket is re-analyzed alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import structlog
from sqlalchemy.orm import Session

from actors import analysis
from actors.analysis import Analysis
from aura.ai import EngineError, Verdict
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

#: Seconds between two polls of the provider, and before the next attempt when it is unreachable.
POLL_SECONDS, RETRY_SECONDS = 60.0, 120.0
#: Tickets that are re-analyzed alone each second, so that new tickets do not wait for them.
TICKETS_PER_SECOND = 10.0
#: Tickets that are analyzed together.
CHUNK = 100
#: A phase downloads files of some thousand tickets. Milliseconds.
TIME_LIMIT = 1_800_000


@dataclass(slots=True)
class PhaseResult:
    """The next state of a batch with its columns, and the rows that are saved with it."""

    state: str
    values: dict[str, Any] = field(default_factory=dict)
    #: Seconds until the next phase.
    delay: float = 0.0
    #: New calls, and the outcome of earlier ones by ticket.
    calls: list[dict[str, Any]] = field(default_factory=list)
    outcomes: dict[int, dict[str, Any]] = field(default_factory=dict)
    #: Analyzed tickets, each with the reason of its re-analysis.
    analyses: list[tuple[TicketRow, Analysis, str]] = field(default_factory=list)
    #: Tickets to re-analyze alone, each with the reason.
    alone: list[tuple[int, str]] = field(default_factory=list)


def save_phase(session: Session, done: list[JobResult]) -> None:
    """Save the result of each phase and enqueue the next one; nothing when another attempt completed the phase."""
    for each in done:
        batch, result = each.item, each.result
        if not analysis_batches.transition(session, batch.id, batch.state, result.state, **result.values):
            continue
        tickets.save_ai_calls(session, result.calls)
        analyzed = [
            JobResult(each.job, ticket, analyzed, each.priority, each.traceparent)
            for ticket, analyzed, _ in result.analyses
        ]
        analysis.save(session, analyzed, analysis.describe_changes(session, result.analyses))
        analysis_batches.complete_calls(session, batch.id, result.outcomes)
        changed = reanalysis.unnotified(session, [ticket.id for ticket, _, _ in result.analyses])
        new_jobs = [NewJob("notify", str(ticket), pipeline="reanalysis") for ticket in changed]
        new_jobs += [
            NewJob("reanalyze", str(ticket), [reason], "reanalysis", ("notify",), delay=place / TICKETS_PER_SECOND)
            for place, (ticket, reason) in enumerate(result.alone)
        ]
        if result.state not in analysis_batches.FINISHED:
            new_jobs.append(NewJob(each.job.actor, each.job.key, delay=result.delay))
        jobs.enqueue(session, new_jobs)
        if result.state != batch.state:
            note = result.values.get("note", "")
            logger.info("batch advanced", batch=batch.id, state=result.state, note=note)


@durable(
    queue_name="analysis.batches",
    load=analysis_batches.load,
    save=save_phase,
    batch=1,
    background=True,
    time_limit=TIME_LIMIT,
)
def advance(batches: list[AnalysisBatch]) -> list[PhaseResult]:
    """Carry out the next phase of each batch."""
    return [_advance(batch) for batch in batches]


def _advance(batch: AnalysisBatch) -> PhaseResult:
    if batch.state in analysis_batches.FINISHED:
        return PhaseResult(batch.state)
    settings = get_settings()
    if settings.openai_api_key is None:
        return _failed(batch, "OPENAI_API_KEY is not set any more")
    with reading() as session:
        if analysis_batches.timed_out(session, batch.id):
            return _failed(batch, "the provider did not answer within a day")
    engine: Any = make_engine(settings, analysis.spent_today, analysis.running_calls)
    api = BatchApi(engine, settings)
    try:
        return _PHASES[batch.state](batch, api)
    except EngineError as error:
        if error.permanent:
            api.settle(_name(batch), 0.0)
            return _failed(batch, str(error))
        return PhaseResult(batch.state, {"note": str(error)}, max(error.retry_after or 0.0, RETRY_SECONDS))
    except SharedStateUnavailable as error:
        return PhaseResult(batch.state, {"note": f"{error}, so the budget is not known"}, RETRY_SECONDS)
    finally:
        api.close()


def _name(batch: AnalysisBatch) -> str:
    return f"aura-{batch.id}-{batch.created_at:%Y%m%dT%H%M%S%f}"


def _failed(batch: AnalysisBatch, reason: str) -> PhaseResult:
    """Return the result of a batch that failed: every ticket is re-analyzed alone."""
    outcomes = {ticket: {"outcome": f"no answer: {reason}"} for ticket, _ in batch.tickets}
    values = {"note": reason, "failed": len(batch.tickets)}
    alone = [(ticket, why) for ticket, why in batch.tickets]
    return PhaseResult("failed", values, outcomes=outcomes, alone=alone)


def _planned(batch: AnalysisBatch, api: BatchApi) -> PhaseResult:
    unchanged = _unchanged(batch)
    if not unchanged:
        return PhaseResult("done", {"note": "all its tickets were re-analyzed meanwhile"})
    lines = api.prepare(analysis.requests_to_reclassify([ticket for ticket, _ in unchanged]))
    count = api.reserve(_name(batch), lines)
    if not count:
        # the tickets stay stale, so the next scheduled re-analysis selects them again
        return PhaseResult("failed", {"note": "half of the day's budget has no room for it (AURA_AI_BUDGET_DAY)"})
    lines = lines[:count]
    file = api.upload(_name(batch), lines)
    call = {
        "model": batch.model,
        "prompt_version": batch.prompt_version,
        "outcome": analysis_batches.pending_outcome(batch.id),
        **dict.fromkeys(("input_tokens", "output_tokens", "cost", "latency_ms"), 0),
    }
    calls = [{**call, "ticket_id": line.id, "sent": line.sent, "masked": line.masked} for line in lines]
    selected = [(ticket.id, reason) for ticket, reason in unchanged[:count]]
    note = f"the budget has room for {count} of {len(unchanged)} tickets" if count < len(unchanged) else ""
    return PhaseResult("uploaded", {"input_file": file, "tickets": selected, "note": note}, calls=calls)


def _uploaded(batch: AnalysisBatch, api: BatchApi) -> PhaseResult:
    return PhaseResult("submitted", {"provider_id": api.submit(_name(batch), batch.input_file)}, POLL_SECONDS)


def _submitted(batch: AnalysisBatch, api: BatchApi) -> PhaseResult:
    progress = api.status(batch.provider_id)
    if not progress.finished:
        return PhaseResult("submitted", {"note": progress.status}, POLL_SECONDS)
    files = {"output_file": progress.output_file, "error_file": progress.error_file}
    return PhaseResult("answered", {**files, "note": progress.status})


def _answered(batch: AnalysisBatch, api: BatchApi) -> PhaseResult:
    unchanged = _unchanged(batch)
    requests = analysis.requests_to_reclassify([ticket for ticket, _ in unchanged])
    answers = api.results(requests, (batch.output_file, batch.error_file))
    verdicts = {ticket: each for ticket, each in answers.items() if not isinstance(each, EngineError)}
    analyses = _analyses(unchanged, verdicts)
    costs = sum(verdict.cost for verdict in verdicts.values())
    api.settle(_name(batch), costs)
    alone = [(ticket.id, reason) for ticket, reason in unchanged if ticket.id not in verdicts]
    return PhaseResult(
        "done",
        {"answered": len(verdicts), "failed": len(alone), "cost": costs},
        outcomes={ticket: _outcome(verdicts.get(ticket), answers.get(ticket)) for ticket, _ in batch.tickets},
        analyses=analyses,
        alone=alone,
    )


def _analyses(
    unchanged: list[tuple[TicketRow, str]], verdicts: dict[int, Verdict]
) -> list[tuple[TicketRow, Analysis, str]]:
    answered = [(ticket, reason) for ticket, reason in unchanged if ticket.id in verdicts]
    analyses: list[tuple[TicketRow, Analysis, str]] = []
    for start in range(0, len(answered), CHUNK):
        chunk = answered[start : start + CHUNK]
        batch = [ticket for ticket, _ in chunk]
        results = analysis.analyze(batch, [verdicts[ticket.id] for ticket in batch])
        for (ticket, reason), result in zip(chunk, results, strict=True):
            if isinstance(result, Analysis):
                analyses.append((ticket, result, reason))
    return analyses


def _outcome(verdict: Verdict | None, answer: Verdict | EngineError | None) -> dict[str, Any]:
    if verdict is None:
        return {"outcome": str(answer or "no line in the batch's answer")}
    return {
        "outcome": "answered",
        "input_tokens": verdict.input_tokens,
        "output_tokens": verdict.output_tokens,
        "cost": verdict.cost,
    }


def _unchanged(batch: AnalysisBatch) -> list[tuple[TicketRow, str]]:
    """Return the tickets that did not change since the batch was planned; the others are re-analyzed for their change."""
    ids = [ticket for ticket, _ in batch.tickets]
    with reading() as session:
        same = reanalysis.unchanged_since(session, ids, batch.id)
        loaded = tickets.load(session, [str(ticket) for ticket in ids if ticket in same])
    return [(loaded[str(ticket)], reason) for ticket, reason in batch.tickets if str(ticket) in loaded]


_PHASES: dict[str, Callable[[AnalysisBatch, BatchApi], PhaseResult]] = {
    "planned": _planned,
    "uploaded": _uploaded,
    "submitted": _submitted,
    "answered": _answered,
}
