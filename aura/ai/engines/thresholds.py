"""From which confidence on a verdict is applied without review, class by class.

Learned from held-back tickets, of which it is known how sure the model was and whether it was right. A class gets the
lowest confidence above which its verdicts are right as often as wanted, judged by a lower bound, so that few lucky
tickets are no evidence. A class that never gets there is always reviewed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import NamedTuple

#: How sure a model was of a verdict, and whether it was right.
Pair = tuple[float, bool]
#: Standard errors below what was seen that the bound lies.
CAUTION = 1.3
#: Verdicts that must have been seen above a threshold; the first few say nothing.
LEAST = 15


class Threshold(NamedTuple):
    """From which confidence on verdicts of one class are right often enough; None: never, as far as was seen."""

    confidence: float | None
    #: The share of the class's held-back verdicts that reach it, and how many of those were right.
    share: float
    precision: float
    #: Held-back verdicts of this class.
    seen: int

    def reached(self, confidence: float) -> bool:
        """Return whether a verdict of this confidence needs no review."""
        return self.confidence is not None and confidence >= self.confidence


def lower_bound(right: int, seen: int, caution: float = CAUTION) -> float:
    """Return the lower end of Wilson's interval for a share: what it is at least, with some certainty."""
    if not seen:
        return 0.0
    share, square = right / seen, caution * caution
    centre = share + square / (2 * seen)
    margin = caution * math.sqrt(share * (1 - share) / seen + square / (4 * seen * seen))
    return (centre - margin) / (1 + square / seen)


def threshold(pairs: Iterable[Pair], precision: float) -> Threshold:
    """Return the lowest confidence above which the verdicts of one class are right as often as wanted."""
    ranked = sorted(pairs, reverse=True)
    best, right = Threshold(None, 0.0, 0.0, len(ranked)), 0
    for count, (confidence, was_right) in enumerate(ranked, start=1):
        right += was_right
        # what is equally sure stands or falls together
        if count < len(ranked) and ranked[count][0] == confidence:
            continue
        if count >= LEAST and lower_bound(right, count) >= precision:
            best = Threshold(confidence, count / len(ranked), right / count, len(ranked))
    return best


def thresholds(held_back: Mapping[str, Iterable[Pair]], precision: float) -> dict[str, Threshold]:
    """Return the threshold of each class."""
    return {name: threshold(pairs, precision) for name, pairs in held_back.items()}
