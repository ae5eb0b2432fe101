"""Exponential backoff with jitter: the pause before a failed job, connection or relay round is tried again."""

from __future__ import annotations

import random

#: Beyond this many doublings every pause is the longest one, and a float would overflow at a thousand.
MOST_DOUBLINGS = 30


def backoff(failures: int, first: float, longest: float) -> float:
    """Return the seconds to wait after so many failures in a row, 1 or more.

    The pause doubles from `first` up to `longest`; half of it is random, so that processes which failed together spread out.
    """
    full = min(first * 2.0 ** min(failures - 1, MOST_DOUBLINGS), longest)
    return full * random.uniform(0.5, 1.0)
