"""Thresholds: the confidence from which a verdict is applied without review, for each category and priority.

They are derived from verdicts on tickets that were held out from training. A name gets the lowest confidence above which a
lower bound of the precision reaches the wanted precision; the bound keeps a few lucky verdicts from counting as evidence. A
name without such a confidence is always reviewed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import NamedTuple

#: Confidence of a verdict on a held-out ticket, and whether it was right.
HeldOutVerdict = tuple[float, bool]
#: Standard errors between the measured precision and its lower bound.
STANDARD_ERRORS = 1.3
#: Fewest held-out verdicts above a threshold.
FEWEST = 15


class Threshold(NamedTuple):
    """The lowest confidence at which the verdicts of one name reach the wanted precision; None if no confidence does."""

    confidence: float | None
    #: Share of the name's held-out verdicts that reach it, and the share of those that are right.
    share: float
    precision: float
    #: Held-back verdicts of the name.
    tickets: int

    def reached(self, confidence: float) -> bool:
        """Return whether a verdict of this confidence can be applied without review."""
        return self.confidence is not None and confidence >= self.confidence


def lower_bound(right: int, count: int, caution: float = STANDARD_ERRORS) -> float:
    """Return the lower end of the Wilson score interval of a share."""
    if not count:
        return 0.0
    share, square = right / count, caution * caution
    centre = share + square / (2 * count)
    margin = caution * math.sqrt(share * (1 - share) / count + square / (4 * count * count))
    return (centre - margin) / (1 + square / count)


def threshold(verdicts: Iterable[HeldOutVerdict], precision: float) -> Threshold:
    """Return the threshold of one name's verdicts for the wanted precision."""
    ranked = sorted(verdicts, reverse=True)
    best, right = Threshold(None, 0.0, 0.0, len(ranked)), 0
    for count, (confidence, was_right) in enumerate(ranked, start=1):
        right += was_right
        # verdicts of equal confidence are applied or reviewed together
        if count < len(ranked) and ranked[count][0] == confidence:
            continue
        if count >= FEWEST and lower_bound(right, count) >= precision:
            best = Threshold(confidence, count / len(ranked), right / count, len(ranked))
    return best


def thresholds(held_out: Mapping[str, Iterable[HeldOutVerdict]], precision: float) -> dict[str, Threshold]:
    """Return the threshold of each name."""
    return {name: threshold(verdicts, precision) for name, verdicts in held_out.items()}
