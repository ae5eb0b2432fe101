"""Replay before switching: what another model would have said about tickets that people have decided since.

Nothing of it reaches a ticket: no verdict is kept and nobody is told. Only what was sent out is logged, as always.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from aura.ai import ClassificationRequest, EngineError, Verdict
from aura.ai.engines.factory import make_engine
from aura.ai.engines.local import LocalEngine
from aura.ai.engines.model import read_model
from aura.errors import NotFound
from aura.settings import Settings, get_settings
from db import corrections, local_models, reading, tickets, transaction
from db.corrections import ReviewedTicket

#: Tickets that are asked about at a time.
BATCH = 32


class UnknownModel(NotFound):
    """No model has this name."""


@dataclass(slots=True)
class Report:
    """How a model did, beside what the tickets' verdicts said when they were made."""

    model: str
    tickets: int = 0
    #: How many it was right about, by field; and the verdicts that were given.
    right: dict[str, int] = field(default_factory=lambda: {"category": 0, "priority": 0})
    right_before: dict[str, int] = field(default_factory=lambda: {"category": 0, "priority": 0})
    #: Tickets about which it would have said something else: id, field, before, now, and what a human said.
    changed: list[dict[str, Any]] = field(default_factory=list)
    unanswered: int = 0
    why_unanswered: str = ""
    dollars: float = 0.0
    latency_ms: list[float] = field(default_factory=list)

    def accuracy(self, right: dict[str, int]) -> dict[str, float]:
        """Return the share of the answered tickets, by field."""
        return {name: round(count / max(self.tickets, 1), 4) for name, count in right.items()}

    def as_dict(self) -> dict[str, Any]:
        """Return all of it as plain values."""
        waits = sorted(self.latency_ms) or [0.0]
        return {
            "model": self.model,
            "tickets": self.tickets,
            "accuracy": self.accuracy(self.right),
            "accuracy_before": self.accuracy(self.right_before),
            "changed": self.changed,
            "unanswered": self.unanswered,
            "why_unanswered": self.why_unanswered,
            "dollars": round(self.dollars, 6),
            "latency_ms": {"p50": waits[len(waits) // 2], "p95": waits[int(len(waits) * 0.95)]},
        }


def backtest(model: str, last: int, progress: Callable[[int, int], None] = lambda _done, _all: None) -> Report:
    """Ask the model about the tickets that people decided last. Raises UnknownModel for a local model nobody has."""
    ask, name = _asker(model, get_settings())
    report = Report(name)
    with reading() as session:
        decided = corrections.reviewed_tickets(session, last)
        before = tickets.latest_verdicts(session, [each.id for each in decided])
    for done, batch in _batches(decided):
        for each, answer in zip(batch, ask([_question(each) for each in batch]), strict=True):
            _count(report, each, answer, before.get(each.id))
        progress(done, len(decided))
    return report


def _batches(decided: list[ReviewedTicket]) -> Iterator[tuple[int, list[ReviewedTicket]]]:
    rest, done = iter(decided), 0
    while batch := list(islice(rest, BATCH)):
        done += len(batch)
        yield done, batch


def _asker(
    model: str, settings: Settings
) -> tuple[Callable[[list[ClassificationRequest]], list[Verdict | EngineError]], str]:
    if model == local_models.SHIPPED or model.startswith("local-"):
        with reading() as session:
            body = None if model == local_models.SHIPPED else local_models.body(session, model)
        if model != local_models.SHIPPED and body is None:
            raise UnknownModel(f"there is no local model {model!r}; `aura models list` shows those there are")
        known = read_model(gzip.decompress(body)) if body else None
        local = LocalEngine(settings.categories, known, settings.auto_apply_precision)
        return lambda questions: list(local.classify(questions)), local.model.version
    if not settings.openai_api_key:
        raise UnknownModel(f"to ask {model!r}, set OPENAI_API_KEY; a local model is called local-... or shipped")
    # no answer that was given before: it is this model's own that counts
    engine: Any = make_engine(settings.model_copy(update={"ai_model": model, "ai_cache_seconds": 0}))
    return engine.reclassify, model


def _question(each: ReviewedTicket) -> ClassificationRequest:
    return ClassificationRequest(each.title, each.description, id=each.id)


def _count(
    report: Report, truth: ReviewedTicket, answer: Verdict | EngineError, before: tuple[str, str] | None
) -> None:
    calls = [
        {"ticket_id": truth.id, **{name: getattr(call, name) for name in tickets.AI_CALL_COLUMNS[1:]}}
        for call in answer.calls
    ]
    report.dollars += sum(call["cost"] for call in calls)
    with transaction() as session:
        tickets.save_ai_calls(session, calls)
    if isinstance(answer, EngineError):
        report.unanswered += 1
        report.why_unanswered = str(answer)
        return
    report.tickets += 1
    report.latency_ms.append(answer.latency_ms)
    for at, name in enumerate(("category", "priority")):
        said, right = getattr(answer, name), getattr(truth, name)
        report.right[name] += said == right
        if before is not None:
            report.right_before[name] += before[at] == right
            if said != before[at]:
                report.changed.append(
                    {"ticket": truth.id, "field": name, "before": before[at], "now": said, "human": right}
                )
