"""How good an engine is on labelled tickets: accuracy, F1, confusion, calibration, and what it may decide alone.

Plain Python: `measure` takes what was true and what was said, and returns figures ready for JSON.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any, NamedTuple

from aura.ai.engines.base import ClassificationRequest, EngineError, Verdict
from aura.ai.text.language import detect
from aura.ai.training.datasets import LABELS, Example, name_of

#: Bins of the reliability chart.
BINS = 10
#: Tickets that an engine is asked about at a time.
BATCH = 32

#: An engine as it is asked here: a verdict on each question, or why there is none.
Ask = Callable[[Sequence[ClassificationRequest]], Sequence[Verdict | EngineError]]


class Prediction(NamedTuple):
    """One answer beside the truth; `applied` says that nobody would have looked at it."""

    truth: str
    said: str
    confidence: float
    applied: bool


def measure(answers: Sequence[Prediction], wanted: float) -> dict[str, Any]:
    """Return the figures of one label; `wanted` is the precision at which the coverage is given."""
    right = sum(each.truth == each.said for each in answers)
    per_class = _per_class(answers)
    there = [row["f1"] for row in per_class.values() if row["support"]]
    applied = [each for each in answers if each.applied]
    return {
        "tickets": len(answers),
        "accuracy": _share(right, len(answers)),
        "macro_f1": round(sum(there) / len(there), 4) if there else 0.0,
        "per_class": per_class,
        "confusion": _confusion(answers),
        "ece": _ece(answers),
        "reliability": reliability(answers),
        "coverage": coverage(answers, wanted),
        "applied": {
            "share": _share(len(applied), len(answers)),
            "accuracy": _share(sum(each.truth == each.said for each in applied), len(applied)) if applied else None,
        },
    }


def _share(part: float, whole: float) -> float:
    return round(part / whole, 4) if whole else 0.0


def _per_class(answers: Sequence[Prediction]) -> dict[str, dict[str, float]]:
    truths, saids = Counter(each.truth for each in answers), Counter(each.said for each in answers)
    hits = Counter(each.truth for each in answers if each.truth == each.said)
    return {
        name: {
            "precision": _share(hits[name], saids[name]),
            "recall": _share(hits[name], truths[name]),
            "f1": _share(2 * hits[name], truths[name] + saids[name]),
            "support": truths[name],
        }
        for name in sorted(truths | saids)
    }


def _confusion(answers: Sequence[Prediction]) -> dict[str, dict[str, int]]:
    """Return how often what was true (outer) was said to be what (inner)."""
    found: dict[str, dict[str, int]] = {}
    for (truth, said), count in sorted(Counter((each.truth, each.said) for each in answers).items()):
        found.setdefault(truth, {})[said] = count
    return found


def reliability(answers: Sequence[Prediction]) -> list[dict[str, float]]:
    """Return, for each range of confidence that occurs, how sure the engine was and how often it was right."""
    bins: list[list[Prediction]] = [[] for _ in range(BINS)]
    for each in answers:
        bins[min(int(each.confidence * BINS), BINS - 1)].append(each)
    return [
        {
            "from": at / BINS,
            "to": (at + 1) / BINS,
            "tickets": len(members),
            "confidence": _share(sum(each.confidence for each in members), len(members)),
            "accuracy": _share(sum(each.truth == each.said for each in members), len(members)),
        }
        for at, members in enumerate(bins)
        if members
    ]


def _ece(answers: Sequence[Prediction]) -> float:
    """Return the expected calibration error: how far confidence and accuracy lie apart, on average."""
    gaps = sum(row["tickets"] * abs(row["confidence"] - row["accuracy"]) for row in reliability(answers))
    return round(gaps / len(answers), 4) if answers else 0.0


def coverage(answers: Sequence[Prediction], wanted: float) -> dict[str, float]:
    """Return the largest share of the answers, the surest first, that is right as often as wanted."""
    ranked = sorted(answers, key=lambda each: -each.confidence)
    right, best = 0, (0, 0)
    for count, each in enumerate(ranked, start=1):
        right += each.truth == each.said
        last = count == len(ranked) or ranked[count].confidence != each.confidence
        if last and right / count >= wanted:
            best = (count, right)
    return {
        "wanted_precision": wanted,
        "share": _share(best[0], len(ranked)),
        "precision": _share(best[1], best[0]),
    }


class Evaluation(NamedTuple):
    """What an engine said about labelled tickets; None where it gave no answer, and the last reason for that."""

    examples: Sequence[Example]
    verdicts: Sequence[Verdict | None]
    why_unanswered: str

    def report(self, categories: Sequence[str], wanted: float) -> dict[str, Any]:
        """Return the figures of each label that the tickets have, and what the answers cost."""
        pairs = [(each, verdict) for each, verdict in zip(self.examples, self.verdicts, strict=True) if verdict]
        found: dict[str, Any] = {}
        for label in LABELS:
            answers = [
                Prediction(
                    name_of(truth, categories) if label == "category" else truth,
                    name_of(verdict.category, categories) if label == "category" else verdict.priority,
                    verdict.confidence if label == "category" else verdict.priority_confidence,
                    not verdict.review,
                )
                for each, verdict in pairs
                if (truth := getattr(each, label)) is not None
            ]
            if answers:
                found[label] = measure(answers, wanted)
        waits = sorted(verdict.latency_ms for _, verdict in pairs) or [0.0]
        return {
            **found,
            "tickets": len(self.examples),
            "unanswered": len(self.examples) - len(pairs),
            "why_unanswered": self.why_unanswered,
            "cost": round(sum(verdict.cost for _, verdict in pairs), 6),
            "latency_ms": {"p50": waits[len(waits) // 2], "p95": waits[int(len(waits) * 0.95)]},
        }


def ask_all(ask: Ask, examples: Sequence[Example], progress: Callable[[int], None] = lambda _done: None) -> Evaluation:
    """Ask an engine about every ticket; one that it cannot answer is counted, and the others go on."""
    answers: list[Verdict | EngineError] = []
    # each is a ticket of its own to the budget, and none that has a row
    first = -time.time_ns()
    rest = iter(enumerate(examples))
    while batch := list(islice(rest, BATCH)):
        answers += ask(
            [
                ClassificationRequest(
                    each.title, each.description, detect(f"{each.title}\n{each.description}"), id=first - at
                )
                for at, each in batch
            ]
        )
        progress(len(answers))
    why = [str(answer) for answer in answers if isinstance(answer, EngineError)]
    return Evaluation(
        examples, [None if isinstance(each, EngineError) else each for each in answers], why[-1] if why else ""
    )
