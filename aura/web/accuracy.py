"""Accuracy of verdicts, measured on the tickets whose category or priority a person corrected or confirmed."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from aura.ai.evaluation.evaluate import Prediction, measure
from aura.ai.training.datasets import LABELS
from aura.settings import get_settings
from db import corrections


def accuracy(session: Session) -> dict[str, Any]:
    """Return the measures of each label (category, priority) that has reviewed tickets."""
    target = get_settings().auto_apply_precision
    by_field: dict[str, list[Prediction]] = {}
    for each in corrections.reviewed_verdicts(session):
        by_field.setdefault(each.field, []).append(Prediction(each.actual, each.predicted, each.confidence, False))
    return {name: measure(by_field[name], target) for name in LABELS if name in by_field}
