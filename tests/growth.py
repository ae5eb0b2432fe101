"""Growth of processor time with the length of a text, for tests that a function takes linear time."""

from __future__ import annotations

import gc
from collections.abc import Callable
from time import process_time

#: A function of linear time takes 4 times as long for 4 times the text, one of quadratic time 16 times.
MOST = 8.0
#: Measured pairs at least, of which the best counts: other processes only make a measurement worse.
ROUNDS = 2
#: Pairs at most, while the growth is above MOST: on a busy machine the first ones may all be disturbed.
ROUNDS_AT_MOST = 20
#: Seconds a measurement takes at least; the call is repeated until then.
LEAST = 0.01


def growth(work: Callable[[str], object], text: str) -> float:
    """Return how many times as long the work takes for the text as for its first quarter, in the best of some rounds."""
    quarter = text[: len(text) // 4]
    repeats = 1
    while _seconds(work, quarter, repeats) < LEAST:
        repeats *= 2
    quarters: list[float] = []
    wholes: list[float] = []
    while len(wholes) < ROUNDS or (min(wholes) / min(quarters) > MOST and len(wholes) < ROUNDS_AT_MOST):
        quarters.append(_seconds(work, quarter, repeats))
        wholes.append(_seconds(work, text, repeats))
    return min(wholes) / min(quarters)


def _seconds(work: Callable[[str], object], text: str, repeats: int) -> float:
    """Return the processor time of the calls, without the collector, which would walk through everything pytest holds."""
    collects = gc.isenabled()
    gc.disable()
    try:
        start = process_time()
        for _ in range(repeats):
            work(text)
        return process_time() - start
    finally:
        if collects:
            gc.enable()
