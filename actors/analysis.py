"""Asking an engine about tickets: what it gets to read, what else belongs to a verdict, and how both are kept.

What changes rarely (the model in use, what people decided, who is there) is looked up at most every few seconds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import structlog
from sqlalchemy.orm import Session

from actors.sla import target_of
from aura.ai import ClassificationRequest, EngineError, Verdict, make_engine
from aura.ai.engines.base import FewShotExample
from aura.ai.engines.factory import model_in_use, use_model
from aura.ai.text.masking import mask
from aura.jobs import metrics
from aura.jobs.actor import JobResult
from aura.jobs.ttl_cache import TTLCache
from aura.notifications import Agent, route
from aura.settings import get_settings
from db import (
    ai_costs,
    corrections,
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

logger = structlog.get_logger("aura.analysis")

#: Which place in the queue a ticket of each priority gets.
JOB_PRIORITY = {"low": 1, "medium": 3, "high": 6, "critical": 9}
#: Seconds that each look is good for.
MODEL_FRESH, PRECEDENTS_FRESH, STAFF_FRESH, HISTORY_FRESH = 30.0, 60.0, 2.0, 5.0
#: How many corrections an engine is shown as examples, and from how many days back.
PRECEDENTS, PRECEDENT_DAYS = 6, 14.0


@dataclass(frozen=True, slots=True)
class Analysis:
    """A verdict with what belongs to it: who could take the ticket, and what resolved others like it."""

    verdict: Verdict
    suggested_agent: str | None = None
    similar: tuple[SimilarTicket, ...] = ()
    #: Hours until half, and nine in ten, of the similar tickets were resolved.
    hours: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class NotClassified:
    """The remote engine has no verdict just now; the ticket keeps the one it has."""

    error: EngineError


def spent_today() -> float:
    """Return the US dollars of today's calls."""
    with reading() as session:
        return ai_costs.spent_today(session)


def classify_batch(batch: Sequence[TicketRow]) -> list[Verdict]:
    """Return one verdict per ticket; the local engine answers what the remote one does not."""
    questions = _questions(batch)
    return make_engine(get_settings(), spent_today).classify(questions)


def reclassify_batch(batch: Sequence[TicketRow]) -> Sequence[Verdict | EngineError]:
    """Return one verdict per ticket of the engine that is configured, or why it has none just now."""
    questions = requests_to_reclassify(batch)
    engine = make_engine(get_settings(), spent_today)
    # the local engine always has an answer
    answers: Sequence[Verdict | EngineError] = getattr(engine, "upgrade", engine.classify)(questions)
    return answers


def analyze(batch: Sequence[TicketRow], verdicts: Sequence[Verdict | EngineError]) -> list[Analysis | NotClassified]:
    """Add to each verdict who could take the ticket, and what resolved others like it."""
    with reading() as session:
        staff = [_agent(each, load) for each, load in _staff(session)]
        texts = [(ticket.id, f"{ticket.title}\n{ticket.description}") for ticket in batch]
        alike = similar.find_similar(session, texts) if _history(session) else {}
    return [
        NotClassified(verdict)
        if isinstance(verdict, EngineError)
        else _analysis(verdict, staff, tuple(alike.get(ticket.id, ())))
        for ticket, verdict in zip(batch, verdicts, strict=True)
    ]


def _analysis(verdict: Verdict, staff: list[Agent], alike: tuple[SimilarTicket, ...]) -> Analysis:
    agent = route(verdict.category, verdict.priority, staff)
    hours = similar.estimate_resolution([each.hours for each in alike])
    return Analysis(verdict, agent.name if agent else None, alike[:SHOWN], hours)


#: How many similar tickets a verdict names; the estimate is of more.
SHOWN = 3


def _questions(batch: Sequence[TicketRow]) -> list[ClassificationRequest]:
    precedents: tuple[FewShotExample, ...] = ()
    with reading() as session:
        follow_model(session)
        if get_settings().openai_api_key:
            precedents = _precedents(session)
    return [
        ClassificationRequest(
            title=ticket.title,
            description=ticket.description,
            language=ticket.language,
            department=ticket.department,
            claimed_priority=ticket.claimed_priority,
            precedents=precedents,
            id=ticket.id,
        )
        for ticket in batch
    ]


#: Comments that an engine reads, the newest, and the characters of each and of the text before them: the prompt holds 8,000.
COMMENTS, COMMENT, BEFORE_COMMENTS = 5, 800, 3_500


def requests_to_reclassify(batch: Sequence[TicketRow]) -> list[ClassificationRequest]:
    """Return what an engine may read of each ticket at a second look: what was added later, too."""
    with reading() as session:
        comments = reanalysis.latest_comments(session, [ticket.id for ticket in batch], COMMENTS)
    return [_with(question, comments.get(question.id, ())) for question in _questions(batch)]


def _with(question: ClassificationRequest, comments: Sequence[str]) -> ClassificationRequest:
    if not comments:
        return question
    later = [f"Added later: {text[:COMMENT]}" for text in comments]
    return replace(question, description="\n\n".join([question.description[:BEFORE_COMMENTS], *later]))


def _use_active_model(session: Session) -> str:
    active = local_models.active(session, known=model_in_use())
    if active is None:
        use_model("", None)
    elif active[1] is not None:
        use_model(*active)
        logger.info("the local engine answers with a model that was learned here", model=active[0])
    return model_in_use()


def _corrections(session: Session) -> tuple[FewShotExample, ...]:
    found = corrections.reviewed_tickets(session, PRECEDENTS, PRECEDENT_DAYS, changed=True)
    return tuple(FewShotExample(f"{each.title}: {each.description}", each.category, each.priority) for each in found)


follow_model = TTLCache(MODEL_FRESH, _use_active_model)
_precedents = TTLCache(PRECEDENTS_FRESH, _corrections)
_staff = TTLCache(STAFF_FRESH, notifications.agents)
active_incidents = TTLCache(
    HISTORY_FRESH, lambda session: incidents.active_incidents(session, get_settings().incident_minutes)
)
_history = TTLCache(HISTORY_FRESH, similar.any_resolved)


def _agent(row: Any, load: int) -> Agent:
    return Agent(row.name, row.email, tuple(row.skills), row.team, row.capacity, load, row.available)


def save(session: Session, done: list[JobResult], changes: Mapping[int, str] | None = None) -> None:
    """Append the verdicts and make them current; log what left the house, and put each job in its place of the queue.

    Of a second look, `changes` says what is different and why it was taken, by ticket.
    """
    answered = [each for each in done if isinstance(each.result, Analysis)]
    for each in answered:
        each.priority = JOB_PRIORITY[each.result.verdict.priority]
    if answered:
        tickets.save_verdicts(
            session, [_row(each.item, each.result, (changes or {}).get(each.item.id, "")) for each in answered]
        )
    calls = [(each.item.id, call) for each in done for call in _calls(each.result)]
    after_commit(session, lambda: _count([each.result.verdict for each in answered], [call for _, call in calls]))
    tickets.save_ai_calls(
        session, [{"ticket_id": ticket, **_fields(call, tickets.AI_CALL_COLUMNS[1:])} for ticket, call in calls]
    )


def _count(verdicts: Sequence[Verdict], calls: Sequence[Any]) -> None:
    for verdict in verdicts:
        how = "fallback" if verdict.fallback else "cached" if verdict.cached else "answered"
        metrics.VERDICTS.labels(verdict.engine, how).inc()
    for call in calls:
        metrics.TOKENS.labels(call.model, "input").inc(call.input_tokens)
        metrics.TOKENS.labels(call.model, "output").inc(call.output_tokens)
        metrics.COST.labels(call.model).inc(call.cost)


def save_reanalyzed(session: Session, done: list[JobResult], queue: str) -> None:
    """Save what a second look gave; its ticket goes on only when there is something to tell.

    Where the engine has no answer, the verdict stays, and its queue waits if asked to.
    """
    save(session, done, changes(session, [(each.item, each.result, _why(each)) for each in done]))
    untold = set(reanalysis.unnotified(session, [each.item.id for each in done]))
    for each in done:
        if each.item.id not in untold:
            each.job = replace(each.job, next_steps=())
    errors = [(each.item.id, each.result.error) for each in done if isinstance(each.result, NotClassified)]
    # what will not be answered later either has been looked at; the rest is found again by the next sweep
    reanalysis.mark_current(session, [ticket for ticket, error in errors if error.permanent])
    waits = [(error.retry_after, str(error)) for _, error in errors if error.retry_after]
    if waits:
        seconds, reason = max(waits)
        queue_controls.pause(session, queue, seconds, reason)


def _why(each: JobResult) -> str:
    return str(each.job.args[0]) if each.job.args else "somebody asked for it"


def changes(session: Session, looks: Sequence[tuple[TicketRow, Analysis | NotClassified, str]]) -> dict[int, str]:
    """Return what each second look changed and why it was taken, by ticket."""
    before = tickets.latest_verdicts(session, [ticket.id for ticket, _, _ in looks])
    return {
        ticket.id: f"{_difference(before.get(ticket.id), look.verdict)}; looked at again because {why}"
        for ticket, look, why in looks
        if isinstance(look, Analysis)
    }


def _difference(before: tuple[str, str] | None, verdict: Verdict) -> str:
    if before is None:
        return "first verdict"
    pairs = zip(("category", "priority"), before, (verdict.category, verdict.priority), strict=True)
    return ", ".join(f"{name} {old} -> {new}" for name, old, new in pairs if old != new) or "nothing changed"


#: Characters of a ticket that anything but the ticket repeats.
QUOTED = 2_000


def quoted(text: str) -> str:
    """Return the beginning of what a ticket says as others may read it, in mails and summaries: masked."""
    return mask(text[:QUOTED]).text if get_settings().ai_mask == "on" else text[:QUOTED]


def _calls(result: Analysis | NotClassified) -> tuple[Any, ...]:
    return result.verdict.calls if isinstance(result, Analysis) else result.error.calls


def _fields(of: Any, names: Sequence[str]) -> dict[str, Any]:
    return {name: getattr(of, name) for name in names}


_SAID = (
    *("category", "confidence", "priority", "priority_confidence", "reason", "engine", "model", "prompt_version"),
    *("fallback", "disagreement", "sentiment", "self_fix", "words", "input_tokens", "output_tokens"),
    *("cost", "cached", "latency_ms"),
)


def _row(ticket: TicketRow, analysis: Analysis, change: str) -> dict[str, Any]:
    verdict, hours = analysis.verdict, analysis.hours or (None, None)
    target = target_of(verdict.priority, ticket.created_at, ticket.paused_seconds)
    return _fields(verdict, _SAID) | {
        "ticket_id": ticket.id,
        "change": change,
        "due_at": target.due_at,
        "warn_at": target.warn_at,
        "paused_seconds": ticket.paused_seconds,
        "needs_review": verdict.review or verdict.confidence < get_settings().review_below,
        "language": ticket.language,
        "summary": quoted(verdict.summary),
        "suggested_agent": analysis.suggested_agent,
        "similar": [
            {
                "id": each.id,
                "title": quoted(each.title)[:200],
                "score": round(each.score, 3),
                "resolution": quoted(each.resolution)[:500],
            }
            for each in analysis.similar
        ],
        "resolution_p50": hours[0],
        "resolution_p90": hours[1],
    }
