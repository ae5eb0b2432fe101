"""`python -m bench.priorities [FILE]`: pairs of tickets that differ in one fact, ordered by the priority of the local engine.

Each pair of ``bench/data/priority_pairs.csv`` has a text that is more urgent, one that is less, and the kind of their
difference. Pairs and rules were written for Aura at the same time by the same author; within each kind and language every second
pair is "held-out". Errors of the part "development" were corrected by rules; errors of "held-out" were only counted. Its author
knew both parts, so the held-out figure is higher than that of other people's tickets. Prints by kind and part: ordered, equal and
reversed pairs. `--show PART` prints the pairs that are not ordered. The exit code is 1 if a pair is reversed.
"""

from __future__ import annotations

import csv
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from aura.ai import ClassificationRequest
from aura.ai.engines.local import LocalEngine
from aura.ai.training.data import CATEGORIES
from aura.settings import PRIORITIES

PAIRS = Path(__file__).parent / "data/priority_pairs.csv"
PARTS = ("development", "held-out")
OUTCOMES = ("ordered", "equal", "reversed")


class Pair(NamedTuple):
    """Two texts of which the first is more urgent."""

    kind: str
    language: str
    part: str
    higher: str
    lower: str


def read(path: Path = PAIRS) -> list[Pair]:
    """Return the pairs of a file."""
    with path.open(encoding="utf-8", newline="") as file:
        return [Pair(*[row[name] for name in Pair._fields]) for row in csv.DictReader(file)]


def order(pairs: Sequence[Pair], engine: LocalEngine) -> list[tuple[str, str, str]]:
    """Return for each pair "ordered", "equal" or "reversed", and the two priorities."""
    results = []
    for pair in pairs:
        higher, lower = (
            verdict.priority
            for verdict in engine.classify(
                [ClassificationRequest(pair.higher, ""), ClassificationRequest(pair.lower, "")]
            )
        )
        gap = PRIORITIES.index(higher) - PRIORITIES.index(lower)
        results.append(("ordered" if gap > 0 else "reversed" if gap < 0 else "equal", higher, lower))
    return results


def _figures(counts: Counter[tuple[str, str, str]], kind: str, part: str) -> str:
    ordered, equal, backwards = (counts[kind, part, outcome] for outcome in OUTCOMES)
    return f"{part} {ordered} of {ordered + equal + backwards} ({backwards} reversed)"


def main(arguments: Sequence[str]) -> int:
    """Measure and print."""
    shown = arguments[arguments.index("--show") + 1] if "--show" in arguments else ""
    files = [each for each in arguments if each.endswith(".csv")]
    pairs = read(Path(files[0]) if files else PAIRS)
    results = order(pairs, LocalEngine(CATEGORIES))
    counts: Counter[tuple[str, str, str]] = Counter()
    for pair, (outcome, higher, lower) in zip(pairs, results, strict=True):
        for kind in (pair.kind, "all"):
            counts[kind, pair.part, outcome] += 1
        if pair.part == shown and outcome != "ordered":
            print(f"{outcome} {pair.kind}: {pair.higher!r} {higher}, {pair.lower!r} {lower}")
    for kind in [*dict.fromkeys(pair.kind for pair in pairs), "all"]:
        figures = ", ".join(_figures(counts, kind, part) for part in PARTS)
        print(f"{kind:12}{figures}")
    return 1 if any(outcome == "reversed" for outcome, _, _ in results) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
