"""The local engine: a small trained model in plain Python, no network, far under a millisecond a ticket.

``ai/model.json`` holds, for each feature, its rarity and one weight per category and per priority (written by
``python -m ai.training``). A verdict is the sum of the weights of what a ticket contains, so the words that decided can
be named. A ticket's text is only ever looked up, never obeyed.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import zip_longest
from operator import mul
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

from ai import wording
from ai.engine import Question, Verdict
from ai.features import read
from ai.urgency import Assessment, lift
from settings import PRIORITIES

MODEL = Path(__file__).with_name("model.json")
_DULL = wording.words("dull.txt")


class _Feature(NamedTuple):
    rarity: float
    weights: tuple[float, ...]  # of the categories, then of the priorities


class Model(NamedTuple):
    """The trained numbers. Weights follow the order of ``categories`` and ``priorities``."""

    version: str
    categories: tuple[str, ...]
    priorities: tuple[str, ...]
    category_bias: tuple[float, ...]
    priority_bias: tuple[float, ...]
    category_temperature: float
    priority_temperature: float
    words: dict[str, _Feature]
    pieces: dict[str, _Feature]
    signals: dict[str, tuple[float, ...]]


@lru_cache(maxsize=1)
def load(path: Path = MODEL) -> Model:
    """Read the model file once per process. Raises OSError when it is missing: run ``python -m ai.training``."""
    raw = json.loads(path.read_text(encoding="utf-8"))
    scale = raw["scale"]

    def table(rows: dict[str, list[int]]) -> dict[str, _Feature]:
        # weights are whole numbers in the file, which halves its size
        return {key: _Feature(row[0] / scale, tuple(n / scale for n in row[1:])) for key, row in rows.items()}

    return Model(
        version=raw["version"],
        categories=tuple(raw["categories"]),
        priorities=tuple(raw["priorities"]),
        category_bias=tuple(raw["category_bias"]),
        priority_bias=tuple(raw["priority_bias"]),
        category_temperature=raw["category_temperature"],
        priority_temperature=raw["priority_temperature"],
        words=table(raw["words"]),
        pieces=table(raw["pieces"]),
        signals={key: tuple(n / scale for n in row) for key, row in raw["signals"].items()},
    )


def _weigh(tokens: Iterable[str], table: dict[str, _Feature]) -> list[tuple[str, float, _Feature]]:
    """Return the known tokens with their TF-IDF value, scaled to length one."""
    known = [
        (token, (1.0 + math.log(count)) * feature.rarity, feature)
        for token, count in Counter(tokens).items()
        if (feature := table.get(token)) is not None
    ]
    length = math.sqrt(sum(value * value for _, value, _ in known)) or 1.0
    return [(token, value / length, feature) for token, value, feature in known]


def _softmax(scores: Sequence[float], temperature: float) -> list[float]:
    top = max(scores)
    powers = [math.exp((score - top) / temperature) for score in scores]
    total = sum(powers)
    return [power / total for power in powers]


class Answer(NamedTuple):
    """The model's view of one ticket: a probability per category and priority, the telling words, the assessment."""

    category: list[float]
    priority: list[float]
    words: list[str]
    assessment: Assessment
    category_scores: list[float]
    priority_scores: list[float]


def ask(title: str, description: str, model: Model) -> Answer:
    """Score one ticket with the model; deterministic, reads at most the first 4,000 characters of the description."""
    words, pieces, signals, assessment = read(title, description)
    weighed = _weigh(words, model.words)
    everything = weighed + _weigh(pieces, model.pieces)
    values = [value for _, value, _ in everything]
    # one column of weights per category and priority: a sum of products, at the speed of C
    sums = [sum(map(mul, values, column)) for column in zip(*(f.weights for _, _, f in everything), strict=True)]
    scores = [
        bias + total for bias, total in zip_longest(model.category_bias + model.priority_bias, sums, fillvalue=0.0)
    ]
    category, priority = scores[: len(model.categories)], scores[len(model.categories) :]
    for signal in signals:
        for index, weight in enumerate(model.signals.get(signal, ())):
            priority[index] += weight
    best = category.index(max(category))
    return Answer(
        _softmax(category, model.category_temperature),
        _softmax(priority, model.priority_temperature),
        _telling(weighed, best),
        assessment,
        category,
        priority,
    )


def _telling(weighed: list[tuple[str, float, _Feature]], best: int) -> list[str]:
    """Return up to three words that spoke most for the winner."""
    ranked = sorted(((value * feature.weights[best], token) for token, value, feature in weighed), reverse=True)
    told: list[str] = []
    for weight, token in ranked:
        parts = token.split(" ")
        if weight <= 0 or len(told) == 3:
            break
        if parts[0] in _DULL or parts[-1] in _DULL or any(set(parts) & set(earlier.split(" ")) for earlier in told):
            continue
        told.append(token)
    return told


class LocalEngine:
    """Answers with the trained model; needs nothing but this process."""

    name = "local"

    def __init__(self, categories: Sequence[str]) -> None:
        self.model = load()
        self.categories = tuple(categories)
        spare = "Other" if "Other" in self.categories else self.categories[-1]
        self._names = tuple(name if name in self.categories else spare for name in self.model.categories)

    def classify(self, questions: Sequence[Question]) -> list[Verdict]:
        """Return one verdict per question, in order. Never raises for any text."""
        return [self._one(question) for question in questions]

    def _one(self, question: Question) -> Verdict:
        start = perf_counter()
        answer = ask(question.title, question.description, self.model)
        # several of the model's categories may stand for one of the configured ones
        shares: dict[str, float] = {}
        for name, share in zip(self._names, answer.category, strict=True):
            shares[name] = shares.get(name, 0.0) + share
        category = max(shares, key=lambda name: shares[name])
        found = max(range(len(PRIORITIES)), key=lambda index: answer.priority[index])
        judged = self.model.priorities[found]
        priority = lift(judged, question.claimed_priority)
        return Verdict(
            category=category,
            confidence=round(shares[category], 4),
            priority=priority,
            priority_confidence=round(answer.priority[found], 4),
            reason=_reason(category, priority, judged, answer),
            engine=self.name,
            model=self.model.version,
            latency_ms=round((perf_counter() - start) * 1000, 3),
        )


def _reason(category: str, priority: str, judged: str, answer: Answer) -> str:
    because = (
        ", because of " + ", ".join(f'"{word}"' for word in answer.words) if answer.words else ", the closest match"
    )
    said = answer.assessment.reason() or "judged by what such tickets usually mean"
    lifted = f"; one level up from {judged}, as the requester asked" if priority != judged else ""
    return f"{category}{because}. Priority {priority}: {said}{lifted}."
