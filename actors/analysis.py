"""Analysis of tickets: asks an engine for verdicts, completes them with agent and similar tickets, and saves them.

The steps `classify` and `reanalyze` and the actor `advance` of `actors.batch_analysis` use it. Rarely changed values (the
active model, corrections, agents) are cached for seconds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import structlog
from sqlalchemy.orm import Session

from actors import metrics
from actors.attachment_texts import with_attachments
from actors.excerpts import excerpt
from actors.footers import follow_footers
from actors.sla import target_of
from aura.ai import ClassificationRequest, EngineError, Verdict, make_engine
from aura.ai.engines.base import FewShotExample
from aura.ai.engines.durations import longest_request
from aura.ai.engines.factory import concurrency as calls_in_flight
from aura.ai.engines.factory import model_in_use, use_model
from aura.ai.engines.few_shot import example_of
from aura.ai.text.content import content
from aura.jobs.actor import TIME_LIMIT, JobResult
from aura.jobs.ttl_cache import TTLCache
from aura.notifications import Agent, route
from aura.settings import Settings, get_settings
from db import (
    ai_costs,
    analysis_batches,
    corrections,
    hints,
    incidents,
    local_models,
    notifications,
    queue_controls,
    reading,
    reanalysis,
    similar,
    tickets,
)
from db.database import after_commit
from db.similar import SimilarTicket
from db.tickets import TicketRow

if TYPE_CHECKING:
    from aura.ai.engines.async_remote import AsyncRemoteEngine, PreparedRequest

logger = structlog.get_logger("aura.analysis")

#: Seconds of an attempt beside the request for the remote engine.
MARGIN = 10.0
#: The actors whose jobs call a remote engine.
CALLING = ("classify", "reanalyze")

#: Priority of a ticket's jobs by the ticket's priority.
JOB_PRIORITY = {"low": 1, "medium": 3, "high": 6, "critical": 9}
#: Seconds that a cached value is used.
MODEL_TTL, EXAMPLES_TTL, AGENTS_TTL, HISTORY_TTL = 30.0, 60.0, 2.0, 5.0
#: Corrections that an engine gets as examples, and their age in days.
EXAMPLES_LIMIT, EXAMPLES_DAYS = 6, 14.0
#: Similar tickets that a verdict names; the estimated hours are those of more.
SIMILAR_LIMIT = 3
#: Comments that an engine reads at a re-analysis, newest first; characters of each, and of the description before them.
COMMENTS_LIMIT, COMMENT_LENGTH, DESCRIPTION_LENGTH = 5, 800, 3_500


@dataclass(frozen=True, slots=True)
class Analysis:
    """A verdict with the suggested agent and similar resolved tickets."""

    verdict: Verdict
    suggested_agent: str | None = None
    similar: tuple[SimilarTicket, ...] = ()
    #: Hours until half, and nine tenths, of the similar tickets were resolved.
    hours: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class NotClassified:
    """The remote engine returned no verdict; the ticket keeps the one it has."""

    error: EngineError


# -- ask the engine ---------------------------------------------------------------------------------------------------


def classify_batch(batch: Sequence[TicketRow]) -> list[Verdict]:
    """Return one verdict for each ticket; the local engine replaces a remote one that fails."""
    return make_engine(get_settings(), spent_today, running_calls).classify(with_attachments(_requests(batch)))


def reclassify_batch(batch: Sequence[TicketRow]) -> Sequence[Verdict | EngineError]:
    """Return the configured engine's verdict, or its error, for each ticket; no other engine replaces it."""
    engine = make_engine(get_settings(), spent_today, running_calls)
    # the local engine has no `reclassify`, because its `classify` never fails
    ask = getattr(engine, "reclassify", engine.classify)
    verdicts: Sequence[Verdict | EngineError] = ask(requests_to_reclassify(batch))
    return verdicts


class Question(NamedTuple):
    """A request for the remote engine, and the part of the engine that is asked on an event loop."""

    engine: AsyncRemoteEngine
    prepared: PreparedRequest


def prepare(batch: Sequence[TicketRow]) -> list[Question]:
    """Return the requests for the remote engine, one for each ticket."""
    return _questions(with_attachments(_requests(batch)))


def prepare_again(batch: Sequence[TicketRow]) -> list[Question]:
    """Return the requests of a re-analysis, one for each ticket."""
    return _questions(requests_to_reclassify(batch))


def _questions(requests: Sequence[ClassificationRequest]) -> list[Question]:
    engine: Any = make_engine(get_settings(), spent_today, running_calls)
    return [Question(engine.single, prepared) for prepared in engine.single.prepare(requests)]


def concurrency(settings: Settings) -> int:
    """Return how many calls of a remote engine a worker process may have in flight; 0 with the local engine."""
    return calls_in_flight(settings)


def time_limit(settings: Settings) -> int:
    """Return the milliseconds of an attempt: with a remote engine, a call may wait for an equal one and for the rate limits."""
    return max(TIME_LIMIT, round((longest_request(settings) + MARGIN) * 1000) if settings.openai_api_key else 0)


def spent_today() -> float:
    """Return the costs of today's calls in US dollars."""
    with reading() as session:
        return ai_costs.spent_today(session)


def running_calls() -> int:
    """Return how many calls may be running or not yet recorded: one per running job, one per ticket of an open batch."""
    with reading() as session:
        running = hints.running(session)
        return sum(running.get(actor, 0) for actor in CALLING) + len(analysis_batches.pending_tickets(session))


def requests_to_reclassify(batch: Sequence[TicketRow]) -> list[ClassificationRequest]:
    """Return the requests of a re-analysis: the tickets with their newest comments."""
    with reading() as session:
        comments = reanalysis.latest_comments(session, [ticket.id for ticket in batch], COMMENTS_LIMIT)
    return with_attachments([_with_comments(request, comments.get(request.id, ())) for request in _requests(batch)])


def _requests(batch: Sequence[TicketRow]) -> list[ClassificationRequest]:
    examples: tuple[FewShotExample, ...] = ()
    with reading() as session:
        follow_model(session)
        if get_settings().openai_api_key:
            examples = _examples(session)
    return [
        ClassificationRequest(
            title=ticket.title,
            description=ticket.description,
            language=ticket.language,
            department=ticket.department,
            claimed_priority=ticket.claimed_priority,
            examples=examples,
            id=ticket.id,
        )
        for ticket in batch
    ]


def _with_comments(request: ClassificationRequest, comments: Sequence[str]) -> ClassificationRequest:
    if not comments:
        return request
    added = [f"Added later: {text[:COMMENT_LENGTH]}" for text in comments]
    return replace(request, description="\n\n".join([request.description[:DESCRIPTION_LENGTH], *added]))


# -- complete the verdicts --------------------------------------------------------------------------------------------


def analyze(batch: Sequence[TicketRow], verdicts: Sequence[Verdict | EngineError]) -> list[Analysis | NotClassified]:
    """Add the suggested agent and similar resolved tickets to each verdict."""
    with reading() as session:
        follow_footers(session)
        agents = [to_agent(row, load) for row, load in _agents(session)]
        texts = [(ticket.id, "\n".join(content(ticket.title, ticket.description))) for ticket in batch]
        resolved = similar.find_similar(session, texts) if _any_resolved(session) else {}
    return [
        NotClassified(verdict)
        if isinstance(verdict, EngineError)
        else _analysis(verdict, agents, tuple(resolved.get(ticket.id, ())))
        for ticket, verdict in zip(batch, verdicts, strict=True)
    ]


def _analysis(verdict: Verdict, agents: list[Agent], resolved: tuple[SimilarTicket, ...]) -> Analysis:
    agent = route(verdict.category, verdict.priority, agents)
    hours = similar.estimate_resolution([each.hours for each in resolved])
    return Analysis(verdict, agent.name if agent else None, resolved[:SIMILAR_LIMIT], hours)


def to_agent(row: Any, load: int) -> Agent:
    """Return the agent of a row of `db.notifications.agents`."""
    return Agent(row.name, row.email, tuple(row.skills), row.team, row.capacity, load, row.available)


# -- save -------------------------------------------------------------------------------------------------------------


def save(session: Session, done: list[JobResult], changes: Mapping[int, str] | None = None) -> None:
    """Save the verdicts and the calls to the remote engine; the next step gets the priority of the verdict.

    `changes` describes the changes of a re-analysis, by ticket (see `describe_changes`).
    """
    analyzed = [each for each in done if isinstance(each.result, Analysis)]
    for each in analyzed:
        each.priority = JOB_PRIORITY[each.result.verdict.priority]
    if analyzed:
        rows = [verdict_row(each.item, each.result, (changes or {}).get(each.item.id, "")) for each in analyzed]
        tickets.save_verdicts(session, rows)
    calls = [(each.item.id, call) for each in done for call in _calls(each.result)]
    tickets.save_ai_calls(
        session, [{"ticket_id": ticket, **_fields(call, tickets.AI_CALL_COLUMNS[1:])} for ticket, call in calls]
    )
    verdicts = [each.result.verdict for each in analyzed]
    after_commit(session, lambda: _count(verdicts, [call for _, call in calls]))


def save_reanalyzed(session: Session, done: list[JobResult], queue: str) -> None:
    """Save a re-analysis; only tickets whose verdict changed go on to the next step.

    A ticket without a new verdict keeps its own. The queue pauses for as long as the engine asked.
    """
    save(session, done, describe_changes(session, [(each.item, each.result, _reason(each)) for each in done]))
    changed = set(reanalysis.unnotified(session, [each.item.id for each in done]))
    for each in done:
        if each.item.id not in changed:
            each.job = replace(each.job, next_steps=())
    errors = [(each.item.id, each.result.error) for each in done if isinstance(each.result, NotClassified)]
    # after a temporary error the ticket stays stale, so the next scheduled re-analysis selects it again
    reanalysis.mark_current(session, [ticket for ticket, error in errors if error.permanent])
    pauses = [(error.retry_after, str(error)) for _, error in errors if error.retry_after]
    if pauses:
        seconds, reason = max(pauses)
        queue_controls.pause(session, queue, seconds, reason)


def describe_changes(
    session: Session, analyses: Sequence[tuple[TicketRow, Analysis | NotClassified, str]]
) -> dict[int, str]:
    """Return the change and the reason of each re-analysis (ticket, result, reason), by ticket."""
    before = tickets.latest_verdicts(session, [ticket.id for ticket, _, _ in analyses])
    return {
        ticket.id: f"{_difference(before.get(ticket.id), analysis.verdict)}; re-analyzed because {reason}"
        for ticket, analysis, reason in analyses
        if isinstance(analysis, Analysis)
    }


def _difference(before: tuple[str, str] | None, verdict: Verdict) -> str:
    if before is None:
        return "first verdict"
    pairs = zip(("category", "priority"), before, (verdict.category, verdict.priority), strict=True)
    return ", ".join(f"{name} {old} -> {new}" for name, old, new in pairs if old != new) or "nothing changed"


def _reason(each: JobResult) -> str:
    return str(each.job.args[0]) if each.job.args else "a person asked for it"


def _calls(result: Analysis | NotClassified) -> tuple[Any, ...]:
    return result.verdict.calls if isinstance(result, Analysis) else result.error.calls


def _count(verdicts: Sequence[Verdict], calls: Sequence[Any]) -> None:
    for verdict in verdicts:
        how = "fallback" if verdict.fallback else "cached" if verdict.cached else "answered"
        metrics.VERDICTS.labels(verdict.engine, how).inc()
    for call in calls:
        metrics.TOKENS.labels(call.model, "input").inc(call.input_tokens)
        metrics.TOKENS.labels(call.model, "output").inc(call.output_tokens)
        metrics.COST.labels(call.model).inc(call.cost)


_VERDICT_FIELDS = (
    *("category", "confidence", "priority", "priority_confidence", "reason", "engine", "model", "prompt_version"),
    *("fallback", "disagreement", "sentiment", "self_fix", "words", "input_tokens", "output_tokens"),
    *("cost", "cached", "latency_ms"),
)


def verdict_row(ticket: TicketRow, analysis: Analysis, change: str) -> dict[str, Any]:
    """Return the row that `db.tickets.save_verdicts` writes."""
    verdict, hours = analysis.verdict, analysis.hours or (None, None)
    target = target_of(verdict.priority, ticket.created_at, ticket.paused_seconds)
    return _fields(verdict, _VERDICT_FIELDS) | {
        "ticket_id": ticket.id,
        "change": change,
        "due_at": target.due_at,
        "warn_at": target.warn_at,
        "paused_seconds": ticket.paused_seconds,
        "needs_review": verdict.review or verdict.confidence < get_settings().review_below,
        "language": ticket.language,
        "summary": excerpt(verdict.summary),
        "suggested_agent": analysis.suggested_agent,
        "similar": [
            {
                "id": each.id,
                "title": excerpt(each.title)[:200],
                "score": round(each.score, 3),
                "resolution": excerpt(each.resolution)[:500],
            }
            for each in analysis.similar
        ],
        "resolution_p50": hours[0],
        "resolution_p90": hours[1],
    }


def _fields(of: Any, names: Sequence[str]) -> dict[str, Any]:
    return {name: getattr(of, name) for name in names}


# -- cached values ----------------------------------------------------------------------------------------------------


def _use_active_model(session: Session) -> str:
    active = local_models.active(session, known=model_in_use())
    if active is None:
        use_model("", None)
    elif active[1] is not None:
        use_model(*active)
        logger.info("local model loaded", model=active[0])
    return model_in_use()


def load_examples(session: Session) -> tuple[FewShotExample, ...]:
    """Return recent corrections as examples for a remote engine, without other people's data."""
    decided = corrections.reviewed_tickets(session, EXAMPLES_LIMIT, EXAMPLES_DAYS, changed=True)
    examples = [example_of(each.title, each.description, each.category, each.priority) for each in decided]
    return tuple([example for example in examples if example])


follow_model = TTLCache(MODEL_TTL, _use_active_model)
_examples = TTLCache(EXAMPLES_TTL, load_examples)
_agents = TTLCache(AGENTS_TTL, notifications.agents)
active_incidents = TTLCache(
    HISTORY_TTL, lambda session: incidents.active_incidents(session, get_settings().incident_minutes)
)
_any_resolved = TTLCache(HISTORY_TTL, similar.any_resolved)
