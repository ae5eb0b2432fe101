"""Confidence that means something: a model's scores on tickets it has not seen, and the temperature that fits them.

Needs no scikit-learn: what is calibrated is the plain Python that works later.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from aura.ai.engines.model import Model, score, softmax
from aura.ai.training.datasets import Example


class Scored(NamedTuple):
    """What a model's plain Python said of one held-back ticket: scores before any temperature, and what was true."""

    names: Sequence[str]
    scores: Sequence[float]
    truth: str


def score_examples(model: Model, examples: Sequence[Example]) -> dict[str, list[Scored]]:
    """Return the scores of each label, computed as they are at work; of labels that are known."""
    found: dict[str, list[Scored]] = {"category": [], "priority": []}
    for each in examples:
        scores = score(each.title, each.description, model)
        if each.category is not None:
            found["category"].append(Scored(model.categories, scores.categories, each.category))
        if each.priority is not None and model.priorities:
            found["priority"].append(Scored(model.priorities, scores.priorities, each.priority))
    return found


def temperature(scored: Sequence[Scored]) -> float:
    """Return the temperature at which the probabilities fit the truth best (least log loss)."""
    known = [(each.scores, each.names.index(each.truth)) for each in scored if each.truth in each.names]

    def loss(heat: float) -> float:
        total = 0.0
        for scores, truth in known:
            top = max(scores)
            total -= (scores[truth] - top) / heat - math.log(sum(math.exp((s - top) / heat) for s in scores))
        return total

    return min((round(0.1 + 0.02 * step, 2) for step in range(150)), key=loss) if known else 1.0


def calibrate(model: dict[str, Any], scored: dict[str, list[Scored]]) -> None:
    """Set the temperatures of a model, and note how sure it was of held-back tickets and whether it was right.

    The notes are what thresholds are made from: for each class what was said rightly and wrongly, and how surely.
    """
    model["held_back"] = {}
    for label, each in scored.items():
        heat = model[f"{label}_temperature"] = temperature(each)
        notes: dict[str, dict[str, list[float]]] = {}
        for names, scores, truth in each:
            shares = softmax(scores, heat)
            said = names[shares.index(max(shares))]
            note = notes.setdefault(said, {"right": [], "wrong": []})
            note["right" if said == truth else "wrong"].append(round(max(shares), 4))
        model["held_back"][label] = {said: {k: sorted(v) for k, v in notes[said].items()} for said in sorted(notes)}
