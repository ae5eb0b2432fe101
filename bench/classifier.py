"""`python -m bench.classifier`: what a verdict of the local engine takes, alone and in a batch.

The tickets are those of ``tests/data``. Beside each time stands how often a ticket's words could be counted meanwhile
(`Counter(text.lower().split())`), a figure that a slower or busier machine leaves as it is. With more than a tenth of a
millisecond in a batch, or a whole one alone, the exit code is 1.
"""

from __future__ import annotations

import csv
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from time import perf_counter

from aura.ai import ClassificationRequest
from aura.ai.engines.local import LocalEngine
from aura.ai.training.data import CATEGORIES

DATA = Path(__file__).parents[1] / "tests/data"
ROUNDS = 15
#: Milliseconds a ticket, alone and in a batch.
ALONE, BATCH = 1.0, 0.1


def tickets() -> list[ClassificationRequest]:
    """Return the labelled tickets of the tests."""
    found = []
    for path in sorted(DATA.glob("*_tickets.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            found += [ClassificationRequest(row["title"], row["description"]) for row in csv.DictReader(file)]
    return found


def each(work: Callable[[], object], count: int) -> float:
    """Return the milliseconds of one of so many, in the median round."""
    took = []
    for _ in range(ROUNDS):
        start = perf_counter()
        work()
        took.append(perf_counter() - start)
    return median(took) / count * 1000


def main() -> int:
    """Measure and print."""
    engine, questions = LocalEngine(CATEGORIES), tickets()
    engine.classify(questions)

    def counted(some: Sequence[ClassificationRequest]) -> None:
        for one in some:
            Counter(f"{one.title}\n{one.description}".lower().split())

    plain = each(lambda: counted(questions), len(questions))
    alone = each(lambda: [engine.classify([one]) for one in questions], len(questions))
    batch = each(lambda: engine.classify(questions), len(questions))
    letters = sum(len(one.title) + len(one.description) for one in questions) / len(questions)
    print(f"{len(questions)} tickets of {letters:.0f} characters, the median of {ROUNDS} rounds")
    for name, took in (("alone", alone), ("in a batch", batch)):
        print(f"{name}: {took:.3f} ms a ticket, {took / plain:.0f} times as long as counting its words")
    return 0 if alone < ALONE and batch < BATCH else 1


if __name__ == "__main__":
    sys.exit(main())
