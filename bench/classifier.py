"""`python -m bench.classifier`: processor time of a verdict of the local engine, alone and in a batch.

The tickets are those of ``tests/data``. The ratio to counting the ticket's words (`Counter(text.lower().split())`) does not
depend on the speed of the machine. The exit code is 1 if a verdict takes longer than 1 ms alone or 0.5 ms in a batch.
"""

from __future__ import annotations

import csv
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from time import process_time

from aura.ai import ClassificationRequest
from aura.ai.engines.local import LocalEngine
from aura.ai.training.data import CATEGORIES

DATA = Path(__file__).parents[1] / "tests/data"
ROUNDS = 15
#: Milliseconds a ticket, alone and in a batch.
ALONE, BATCH = 1.0, 0.5


def tickets() -> list[ClassificationRequest]:
    """Return the labelled tickets of the tests."""
    requests = []
    for path in sorted(DATA.glob("*_tickets.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            requests += [ClassificationRequest(row["title"], row["description"]) for row in csv.DictReader(file)]
    return requests


def best(work: Callable[[], object], count: int) -> float:
    """Return the milliseconds of processor time per ticket in the best round."""
    seconds = []
    for _ in range(ROUNDS):
        start = process_time()
        work()
        seconds.append(process_time() - start)
    return min(seconds) / count * 1000


def main() -> int:
    """Measure and print."""
    engine, requests = LocalEngine(CATEGORIES), tickets()
    texts = [f"{request.title}\n{request.description}" for request in requests]
    engine.classify(requests)
    counting = best(lambda: [Counter(text.lower().split()) for text in texts], len(texts))
    alone = best(lambda: [engine.classify([request]) for request in requests], len(requests))
    batch = best(lambda: engine.classify(requests), len(requests))
    print(f"{len(texts)} tickets of {sum(map(len, texts)) / len(texts):.0f} characters, the best of {ROUNDS} rounds")
    for name, milliseconds in (("alone", alone), ("in a batch", batch)):
        print(
            f"{name}: {milliseconds:.3f} ms a ticket, {milliseconds / counting:.0f} times as long as counting its words"
        )
    return 0 if alone < ALONE and batch < BATCH else 1


if __name__ == "__main__":
    sys.exit(main())
