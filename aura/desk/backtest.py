"""Backtest: classify reviewed tickets with another model and compare it with people's decisions.

Stores no verdict and sends no notification. The calls of the provider are recorded with their costs, as always.
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

#: Tickets in one batch.
BATCH = 32
FIELDS = ("category", "priority")

Classify = Callable[[list[ClassificationRequest]], list[Verdict | EngineError]]


class UnknownModel(NotFound):
    """There is no model of this name, or no key to use it."""


@dataclass(slots=True)
class Report:
    """Accuracy of the model, and of the verdicts that the tickets had."""

    model: str
    tickets: int = 0
    #: Number of right answers by field: of the model, and of the stored verdicts.
    right: dict[str, int] = field(default_factory=lambda: dict.fromkeys(FIELDS, 0))
    right_before: dict[str, int] = field(default_factory=lambda: dict.fromkeys(FIELDS, 0))
    #: Differences: {"ticket", "field", "before", "now", "human"}.
    changed: list[dict[str, Any]] = field(default_factory=list)
    unanswered: int = 0
    why_unanswered: str = ""
    dollars: float = 0.0
    latency_ms: list[float] = field(default_factory=list)

    def accuracy(self, right: dict[str, int]) -> dict[str, float]:
        """Return the share of the answered tickets, by field."""
        return {name: round(count / max(self.tickets, 1), 4) for name, count in right.items()}

    def as_dict(self) -> dict[str, Any]:
        """Return the report as plain values."""
        latencies = sorted(self.latency_ms) or [0.0]
        return {
            "model": self.model,
            "tickets": self.tickets,
            "accuracy": self.accuracy(self.right),
            "accuracy_before": self.accuracy(self.right_before),
            "changed": self.changed,
            "unanswered": self.unanswered,
            "why_unanswered": self.why_unanswered,
            "dollars": round(self.dollars, 6),
            "latency_ms": {"p50": latencies[len(latencies) // 2], "p95": latencies[int(len(latencies) * 0.95)]},
        }


def backtest(model: str, last: int, progress: Callable[[int, int], None] = lambda _done, _total: None) -> Report:
    """Classify the tickets that people reviewed last. Raises UnknownModel.

    `model` is a model of the provider, a version of a local model, or `shipped`.
    """
    classify, name = _engine(model, get_settings())
    report = Report(name)
    with reading() as session:
        reviewed = corrections.reviewed_tickets(session, last)
        before = tickets.latest_verdicts(session, [each.id for each in reviewed])
    for done, batch in _batches(reviewed):
        for each, answer in zip(batch, classify([_request(each) for each in batch]), strict=True):
            _add(report, each, answer, before.get(each.id))
        progress(done, len(reviewed))
    return report


def _batches(reviewed: list[ReviewedTicket]) -> Iterator[tuple[int, list[ReviewedTicket]]]:
    rest, done = iter(reviewed), 0
    while batch := list(islice(rest, BATCH)):
        done += len(batch)
        yield done, batch


def _engine(model: str, settings: Settings) -> tuple[Classify, str]:
    if model == local_models.SHIPPED or model.startswith("local-"):
        with reading() as session:
            body = None if model == local_models.SHIPPED else local_models.body(session, model)
        if model != local_models.SHIPPED and body is None:
            raise UnknownModel(f"there is no local model {model!r}")
        trained = read_model(gzip.decompress(body)) if body else None
        local = LocalEngine(settings.categories, trained, settings.auto_apply_precision)
        return lambda requests: list(local.classify(requests)), local.model.version
    if not settings.openai_api_key:
        raise UnknownModel(f"model {model!r} needs OPENAI_API_KEY; a local model is named local-... or shipped")
    # without the cache, whose answers may be another model's
    engine: Any = make_engine(settings.model_copy(update={"ai_model": model, "ai_cache_seconds": 0}))
    return engine.reclassify, model


def _request(each: ReviewedTicket) -> ClassificationRequest:
    return ClassificationRequest(each.title, each.description, id=each.id)


def _add(report: Report, truth: ReviewedTicket, answer: Verdict | EngineError, before: tuple[str, str] | None) -> None:
    """Add one answer to the report, and store its calls; `before` is the category and priority of the old verdict."""
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
    for position, name in enumerate(FIELDS):
        now, right = getattr(answer, name), getattr(truth, name)
        report.right[name] += now == right
        if before is not None:
            report.right_before[name] += before[position] == right
            if now != before[position]:
                report.changed.append(
                    {"ticket": truth.id, "field": name, "before": before[position], "now": now, "human": right}
                )
