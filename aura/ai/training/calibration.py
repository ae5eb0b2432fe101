"""Calibration: fits the temperatures of a model to its scores on held-out tickets. Needs no scikit-learn."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from aura.ai.engines.model import Model, score, softmax
from aura.ai.text.priority_rules import Assessment
from aura.ai.training.datasets import Example


class Scored(NamedTuple):
    """A model's scores of one held-out ticket, before any temperature, and the true label."""

    names: Sequence[str]
    scores: Sequence[float]
    truth: str
    #: Bounds of a priority; a verdict outside of them is always reviewed.
    assessment: Assessment | None = None


def score_examples(model: Model, examples: Sequence[Example]) -> dict[str, list[Scored]]:
    """Return the scores of the examples by label ("category", "priority"); unlabelled examples are left out."""
    scored: dict[str, list[Scored]] = {"category": [], "priority": []}
    for example in examples:
        scores = score(example.title, example.description, model)
        if example.category is not None:
            scored["category"].append(Scored(model.categories, scores.categories, example.category))
        if example.priority is not None and model.priorities:
            scored["priority"].append(
                Scored(model.priorities, scores.priorities, example.priority, scores.features.assessment)
            )
    return scored


def temperature(scored: Sequence[Scored]) -> float:
    """Return the temperature with the least log loss; labels that the model does not have are ignored."""
    usable = [(each.scores, each.names.index(each.truth)) for each in scored if each.truth in each.names]

    def loss(candidate: float) -> float:
        total = 0.0
        for scores, truth in usable:
            top = max(scores)
            powers = sum(math.exp((score - top) / candidate) for score in scores)
            total -= (scores[truth] - top) / candidate - math.log(powers)
        return total

    return min((round(0.1 + 0.02 * step, 2) for step in range(150)), key=loss) if usable else 1.0


def calibrate(model: dict[str, Any], scored: dict[str, list[Scored]]) -> None:
    """Set a model's temperatures, and its verdicts on held-out tickets: by name, the confidences of right and wrong ones.

    Verdicts that the rules bound are left out, because they are reviewed whatever their confidence.
    """
    model["held_back"] = {}
    for label, examples in scored.items():
        fitted = model[f"{label}_temperature"] = temperature(examples)
        verdicts: dict[str, dict[str, list[float]]] = {}
        for names, scores, truth, assessment in examples:
            shares = softmax(scores, fitted)
            predicted = names[shares.index(max(shares))]
            if assessment and assessment.bounded(predicted) != predicted:
                continue
            confidences = verdicts.setdefault(predicted, {"right": [], "wrong": []})
            confidences["right" if predicted == truth else "wrong"].append(round(max(shares), 4))
        model["held_back"][label] = {
            name: {outcome: sorted(confidences) for outcome, confidences in verdicts[name].items()}
            for name in sorted(verdicts)
        }
