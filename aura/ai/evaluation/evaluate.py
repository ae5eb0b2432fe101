"""Evaluation of an engine on labelled tickets: accuracy, F1, confusion, calibration and coverage, in plain Python."""

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
#: Tickets that are classified at a time.
BATCH = 32

#: Classifies a batch: a verdict on each request, or the reason why there is none.
Classify = Callable[[Sequence[ClassificationRequest]], Sequence[Verdict | EngineError]]


class Prediction(NamedTuple):
    """A predicted label and the true one; `applied`: the verdict is applied without review."""

    truth: str
    predicted: str
    confidence: float
    applied: bool


def measure(predictions: Sequence[Prediction], precision: float) -> dict[str, Any]:
    """Return the metrics of one label as values for JSON, with the coverage at a precision."""
    right = sum(each.truth == each.predicted for each in predictions)
    per_class = _per_class(predictions)
    f1s = [row["f1"] for row in per_class.values() if row["support"]]
    applied = [each for each in predictions if each.applied]
    return {
        "tickets": len(predictions),
        "accuracy": _share(right, len(predictions)),
        "macro_f1": round(sum(f1s) / len(f1s), 4) if f1s else 0.0,
        "per_class": per_class,
        "confusion": _confusion(predictions),
        "ece": _ece(predictions),
        "reliability": reliability(predictions),
        "coverage": coverage(predictions, precision),
        "applied": {
            "share": _share(len(applied), len(predictions)),
            "accuracy": _share(sum(each.truth == each.predicted for each in applied), len(applied))
            if applied
            else None,
        },
    }


def _share(part: float, whole: float) -> float:
    return round(part / whole, 4) if whole else 0.0


def _per_class(predictions: Sequence[Prediction]) -> dict[str, dict[str, float]]:
    truths, predicted = Counter(each.truth for each in predictions), Counter(each.predicted for each in predictions)
    hits = Counter(each.truth for each in predictions if each.truth == each.predicted)
    return {
        name: {
            "precision": _share(hits[name], predicted[name]),
            "recall": _share(hits[name], truths[name]),
            "f1": _share(2 * hits[name], truths[name] + predicted[name]),
            "support": truths[name],
        }
        for name in sorted(truths | predicted)
    }


def _confusion(predictions: Sequence[Prediction]) -> dict[str, dict[str, int]]:
    """Return the number of predictions by true label and predicted label."""
    matrix: dict[str, dict[str, int]] = {}
    for (truth, predicted), count in sorted(Counter((each.truth, each.predicted) for each in predictions).items()):
        matrix.setdefault(truth, {})[predicted] = count
    return matrix


def reliability(predictions: Sequence[Prediction]) -> list[dict[str, float]]:
    """Return mean confidence and accuracy of each range of confidence with predictions."""
    bins: list[list[Prediction]] = [[] for _ in range(BINS)]
    for each in predictions:
        bins[min(int(each.confidence * BINS), BINS - 1)].append(each)
    return [
        {
            "from": at / BINS,
            "to": (at + 1) / BINS,
            "tickets": len(members),
            "confidence": _share(sum(each.confidence for each in members), len(members)),
            "accuracy": _share(sum(each.truth == each.predicted for each in members), len(members)),
        }
        for at, members in enumerate(bins)
        if members
    ]


def _ece(predictions: Sequence[Prediction]) -> float:
    """Return the expected calibration error: the mean difference of confidence and accuracy."""
    gaps = sum(row["tickets"] * abs(row["confidence"] - row["accuracy"]) for row in reliability(predictions))
    return round(gaps / len(predictions), 4) if predictions else 0.0


def coverage(predictions: Sequence[Prediction], precision: float) -> dict[str, float]:
    """Return the largest share of the predictions, by falling confidence, whose precision is at least the wanted one."""
    ranked = sorted(predictions, key=lambda each: -each.confidence)
    right, best = 0, (0, 0)
    for count, each in enumerate(ranked, start=1):
        right += each.truth == each.predicted
        last = count == len(ranked) or ranked[count].confidence != each.confidence
        if last and right / count >= precision:
            best = (count, right)
    return {
        "wanted_precision": precision,
        "share": _share(best[0], len(ranked)),
        "precision": _share(best[1], best[0]),
    }


class Evaluation(NamedTuple):
    """The verdicts of an engine on labelled tickets, None for each without one, and the last error."""

    examples: Sequence[Example]
    verdicts: Sequence[Verdict | None]
    last_error: str

    def report(self, categories: Sequence[str], precision: float) -> dict[str, Any]:
        """Return the metrics of each label that the tickets have, and the costs and latencies of the verdicts."""
        pairs = [(each, verdict) for each, verdict in zip(self.examples, self.verdicts, strict=True) if verdict]
        metrics: dict[str, Any] = {}
        for label in LABELS:
            predictions = [
                Prediction(
                    name_of(truth, categories) if label == "category" else truth,
                    name_of(verdict.category, categories) if label == "category" else verdict.priority,
                    verdict.confidence if label == "category" else verdict.priority_confidence,
                    not verdict.review,
                )
                for each, verdict in pairs
                if (truth := getattr(each, label)) is not None
            ]
            if predictions:
                metrics[label] = measure(predictions, precision)
        latencies = sorted(verdict.latency_ms for _, verdict in pairs) or [0.0]
        return {
            **metrics,
            "tickets": len(self.examples),
            "unanswered": len(self.examples) - len(pairs),
            "last_error": self.last_error,
            "cost": round(sum(verdict.cost for _, verdict in pairs), 6),
            "latency_ms": {"p50": latencies[len(latencies) // 2], "p95": latencies[int(len(latencies) * 0.95)]},
        }


def evaluate(
    classify: Classify, examples: Sequence[Example], progress: Callable[[int], None] = lambda _count: None
) -> Evaluation:
    """Classify every ticket; tickets without a verdict are counted. ``progress`` is called with the number of tickets."""
    answers: list[Verdict | EngineError] = []
    # an id per ticket, for its budget; negative, because ids of stored tickets are positive
    first = -time.time_ns()
    rest = iter(enumerate(examples))
    while batch := list(islice(rest, BATCH)):
        answers += classify(
            [
                ClassificationRequest(
                    each.title, each.description, detect(f"{each.title}\n{each.description}"), id=first - at
                )
                for at, each in batch
            ]
        )
        progress(len(answers))
    errors = [str(answer) for answer in answers if isinstance(answer, EngineError)]
    return Evaluation(
        examples, [None if isinstance(each, EngineError) else each for each in answers], errors[-1] if errors else ""
    )
