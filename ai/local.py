"""The local engine: a small trained model in plain Python, no network, far under a millisecond a ticket.

``ai/model.json`` holds, for each feature, its rarity and one weight per category and per priority (written by
``python -m ai.training``). A verdict is the sum of the weights of what a ticket contains, so the words that decided can
be named. A ticket's text is only ever looked up, never obeyed.
"""

from __future__ import annotations

import json
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

from ai import wording
from ai.engine import Question, Verdict
from ai.features import grams, pieces, read, signals
from ai.lanes import Lanes
from ai.urgency import Assessment, lift
from settings import PRIORITIES

MODEL = Path(__file__).with_name("model.json")
#: Words whose pieces are remembered, the ones used last; most words of a ticket were in another one before.
WORDS_KEPT = 8_192
_DULL = wording.words("dull.txt")


@dataclass(frozen=True, eq=False, slots=True)
class _Feature:
    """What a piece of a word says; compared by identity, for each is read from the file once."""

    #: Its rarity squared, then rarity times weight of each category, then of each priority; see ``ai.lanes``.
    packed: int


@dataclass(frozen=True, eq=False, slots=True)
class _Word(_Feature):
    """What a word or a pair of words says."""

    name: str
    #: Rarity times weight of each category.
    says: tuple[int, ...]


class Model(NamedTuple):
    """The trained numbers. Weights follow the order of ``categories`` and ``priorities``."""

    version: str
    categories: tuple[str, ...]
    priorities: tuple[str, ...]
    category_bias: tuple[float, ...]
    priority_bias: tuple[float, ...]
    category_temperature: float
    priority_temperature: float
    words: dict[str, _Word]
    #: The known pieces of a word.
    pieces: Callable[[str], tuple[_Feature, ...]]
    signals: dict[str, tuple[float, ...]]
    #: The numbers of words and pieces are whole, this many times what they stand for, which halves the file.
    scale: int
    lanes: Lanes


@lru_cache(maxsize=1)
def load(path: Path = MODEL) -> Model:
    """Read the model file once per process. Raises OSError when it is missing: run ``python -m ai.training``."""
    raw = json.loads(path.read_text(encoding="utf-8"))
    scale, lanes = raw["scale"], Lanes(1 + len(raw["categories"]) + len(raw["priorities"]))

    def numbers(row: list[int]) -> list[int]:
        rarity, *weights = row
        return [rarity * rarity, *(rarity * weight for weight in weights)]

    def word(name: str, row: list[int]) -> _Word:
        _, *says = numbers(row)
        return _Word(lanes.pack(numbers(row)), name, tuple(says[: len(raw["categories"])]))

    known = {name: _Feature(lanes.pack(numbers(row))) for name, row in raw["pieces"].items()}

    @lru_cache(maxsize=WORDS_KEPT)
    def pieces_of(word: str) -> tuple[_Feature, ...]:
        return tuple(known[piece] for piece in pieces(word) if piece in known)

    return Model(
        version=raw["version"],
        categories=tuple(raw["categories"]),
        priorities=tuple(raw["priorities"]),
        category_bias=tuple(raw["category_bias"]),
        priority_bias=tuple(raw["priority_bias"]),
        category_temperature=raw["category_temperature"],
        priority_temperature=raw["priority_temperature"],
        words={name: word(name, row) for name, row in raw["words"].items()},
        pieces=pieces_of,
        signals={key: tuple(n / scale for n in row) for key, row in raw["signals"].items()},
        scale=scale,
        lanes=lanes,
    )


def _tf(count: int) -> float:
    """Return how much a feature counts that is there so many times."""
    return 1.0 + math.log(count)


def _weigh(counts: Iterable[tuple[_Feature, int]], model: Model) -> list[float]:
    """Return what the features say about each category and priority: TF-IDF, scaled to length one, times weight."""
    # features that are there equally often are added up first and multiplied once
    alike: defaultdict[int, int] = defaultdict(int)
    for feature, count in counts:
        alike[count] += feature.packed
    squares, said = 0.0, [0.0] * (len(model.categories) + len(model.priorities))
    for count, packed in alike.items():
        tf = _tf(count)
        square, *sums = model.lanes.unpack(packed)
        squares += tf * tf * square
        said = [so_far + tf * each for so_far, each in zip(said, sums, strict=True)]
    length = math.sqrt(squares) * model.scale or 1.0
    return [each / length for each in said]


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
    words, assessment = read(title, description)
    known = Counter(filter(None, map(model.words.get, grams(words))))
    parts = Counter(chain.from_iterable(map(model.pieces, words)))
    bias = model.category_bias + model.priority_bias
    scores = [sum(each) for each in zip(bias, _weigh(known.items(), model), _weigh(parts.items(), model), strict=True)]
    category, priority = scores[: len(model.categories)], scores[len(model.categories) :]
    for signal in signals(assessment):
        for index, weight in enumerate(model.signals.get(signal, ())):
            priority[index] += weight
    best = category.index(max(category))
    return Answer(
        _softmax(category, model.category_temperature),
        _softmax(priority, model.priority_temperature),
        _telling(known, best),
        assessment,
        category,
        priority,
    )


def _telling(counts: Mapping[_Word, int], best: int) -> list[str]:
    """Return up to three words that spoke most for the winner."""
    ranked = sorted(((_tf(count) * word.says[best], word.name) for word, count in counts.items()), reverse=True)
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
