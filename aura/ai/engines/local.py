"""The local engine: a small trained model in plain Python, no network, far under a millisecond a ticket.

``aura/ai/engines/model.json`` holds, for each feature, its rarity and one weight per category and per priority (written by
``python -m aura.ai.training.fit``); models that were learned here have the same form. A verdict is the sum of the weights of what
a ticket contains, so the words that decided can be named. A ticket's text is only ever looked up, never obeyed.
"""

from __future__ import annotations

import json
import math
from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise
from operator import add
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

from aura.ai.engines.base import ClassificationRequest, Verdict
from aura.ai.engines.lanes import Lanes
from aura.ai.engines.thresholds import Pair, Threshold, threshold, thresholds
from aura.ai.text import lexicons
from aura.ai.text.features import LEAST_SQUARED, Reading, pieces, read, signals
from aura.ai.text.memo import Memo
from aura.ai.text.priority_rules import first_priority, lift
from aura.ai.text.summary import self_fix, sentiment, summary
from aura.errors import InvalidInput

MODEL = Path(__file__).with_name("model.json")
#: How sure a verdict is of a priority that the rules alone gave: about as often as they are right on labelled tickets.
BY_RULES = 0.5
#: Of the priorities that one person gives, the share that another one gives too: no model can be wanted to do better.
AGREEMENT = 0.85
#: What wakes people at night is wanted as right as a category; composed outages are easier to tell than real ones.
WAKING = "critical"
_DULL = lexicons.words("dull.txt")


class NoModel(InvalidInput):
    """The file holds no local model."""


@dataclass(frozen=True, eq=False, slots=True)
class _Feature:
    """What a word with its pieces, or a pair of words, says."""

    name: str
    #: Of the word or the pair, and then of the pieces together: the sum of the squares of the rarities, rarity times weight
    #: of each category, then of each priority.
    packed: int
    #: Rarity times weight of each category; empty for a word that explains nothing.
    says: array[int]


class Model(NamedTuple):
    """The trained numbers. Weights follow the order of ``categories`` and ``priorities``."""

    version: str
    categories: tuple[str, ...]
    #: Empty for a model that was learned from tickets without priorities: the rules give them then.
    priorities: tuple[str, ...]
    category_bias: tuple[float, ...]
    priority_bias: tuple[float, ...]
    category_temperature: float
    priority_temperature: float
    #: Words and pairs of words that the model knows by themselves.
    grams: dict[str, _Feature]
    #: Any word, with its known pieces.
    words: Memo[_Feature]
    signals: dict[str, tuple[float, ...]]
    #: The numbers of words and pieces are whole, this many times what they stand for, which halves the file.
    scale: int
    lanes: Lanes
    #: For each label and each of its names: how sure the model was of held-back tickets, and whether it was right.
    held_back: dict[str, dict[str, list[Pair]]]


@lru_cache(maxsize=1)
def load(path: Path = MODEL) -> Model:
    """Read the shipped model once per process. Raises OSError when it is missing: run ``python -m aura.ai.training.fit``."""
    return read_model(path.read_bytes())


def read_model(content: str | bytes) -> Model:
    """Return the model that a file holds. Raises NoModel."""
    try:
        return _model(json.loads(content))
    except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
        raise NoModel(f"this is no local model ({type(error).__name__})") from None


def _model(raw: dict[str, Any]) -> Model:
    scale, categories, priorities = raw["scale"], tuple(raw["categories"]), tuple(raw["priorities"])
    width = 1 + len(categories) + len(priorities)
    lanes, nothing = Lanes(2 * width), array("q")
    if not categories or len(raw["category_bias"]) != len(categories) or len(raw["priority_bias"]) != len(priorities):
        raise ValueError

    def packed(rarity: int, weights: Sequence[int]) -> int:
        if len(weights) != len(categories) + len(priorities):
            raise ValueError
        return lanes.pack([rarity * rarity, *(rarity * weight for weight in weights)])

    def says(name: str, rarity: int, weights: Sequence[int]) -> array[int]:
        ends = name.split(" ")
        if not _DULL.isdisjoint(ends) or (len(ends) > 1 and ends[0] == ends[1]):
            return nothing
        # a third of the memory of a tuple, which is what looking at it costs
        return array("q", [rarity * weight for weight in weights[: len(categories)]])

    known_grams = {
        name: _Feature(name, packed(rarity, weights), says(name, rarity, weights))
        for name, (rarity, *weights) in raw["words"].items()
    }
    # the weights of a piece in one integer, as they are when it is in a word once
    known_pieces = {
        name: (rarity * rarity, packed(rarity, weights)) for name, (rarity, *weights) in raw["pieces"].items()
    }

    def word(name: str) -> _Feature:
        total = 0
        for piece, count in Counter(filter(known_pieces.__contains__, pieces(name))).items():
            square, alone = known_pieces[piece]
            # the square of twice a number is four times its square
            total += count * alone + (count * count - count) * square
        itself = known_grams.get(name) or _Feature(name, 0, nothing)
        return replace(itself, packed=itself.packed + lanes.moved(total, width))

    return Model(
        version=str(raw["version"]),
        categories=categories,
        priorities=priorities,
        category_bias=tuple(map(float, raw["category_bias"])),
        priority_bias=tuple(map(float, raw["priority_bias"])),
        category_temperature=float(raw["category_temperature"]),
        priority_temperature=float(raw["priority_temperature"]),
        grams=known_grams,
        words=Memo(word),
        signals={key: tuple(n / scale for n in row) for key, row in raw["signals"].items()},
        scale=scale,
        lanes=lanes,
        held_back={
            label: {
                name: [(sure, True) for sure in found["right"]] + [(sure, False) for sure in found["wrong"]]
                for name, found in names.items()
            }
            for label, names in raw.get("held_back", {}).items()
        },
    )


def _weigh(known: Iterable[tuple[_Feature, int]], model: Model) -> list[float]:
    """Return what the features say about each category and priority: TF-IDF, scaled to length one, times weight.

    Words and pairs are scaled for themselves, and so are pieces.
    """
    # features that are there equally often are added up first and multiplied once
    alike: dict[int, int] = {}
    for feature, count in known:
        alike[count] = alike.get(count, 0) + feature.packed
    width = 1 + len(model.categories) + len(model.priorities)
    least = LEAST_SQUARED * model.scale * model.scale
    said: Sequence[float] = model.lanes.unpack(alike.pop(1, 0))
    squares, squares_of_pieces = least + said[0], least + said[width]
    for count, packed in alike.items():
        tf = 1.0 + math.log(count)
        more = list(map(tf.__mul__, model.lanes.unpack(packed)))
        squares += tf * more[0]
        squares_of_pieces += tf * more[width]
        said = list(map(add, said, more))
    length, length_of_pieces = math.sqrt(squares) * model.scale, math.sqrt(squares_of_pieces) * model.scale
    return [
        by_words / length + by_pieces / length_of_pieces
        for by_words, by_pieces in zip(said[1:width], said[width + 1 :], strict=True)
    ]


def softmax(scores: Sequence[float], temperature: float) -> list[float]:
    """Return the scores as shares of one."""
    top = max(scores)
    powers = [math.exp((score - top) / temperature) for score in scores]
    total = sum(powers)
    return [power / total for power in powers]


class Answer(NamedTuple):
    """The model's view of one ticket: scores per category and priority, and the words that told the category most."""

    category_scores: list[float]
    #: Empty for a model without priorities.
    priority_scores: list[float]
    words: list[str]
    reading: Reading
    #: The folded words and pairs of words of the ticket.
    grams: frozenset[str]


def ask(title: str, description: str, model: Model) -> Answer:
    """Score one ticket with the model; deterministic, reads at most the first 4,000 characters of the description."""
    reading = read(title, description)
    words, pairs = reading.words, list(map(" ".join, pairwise(reading.words)))
    counts = Counter(words)
    features = list(map(model.words.__getitem__, counts))
    known_pairs = Counter(filter(None, map(model.grams.get, pairs)))
    features += known_pairs
    known = zip(features, [*counts.values(), *known_pairs.values()], strict=True)
    scores = list(map(add, model.category_bias + model.priority_bias, _weigh(known, model)))
    category, priority = scores[: len(model.categories)], scores[len(model.categories) :]
    for signal in signals(reading.assessment):
        if weights := model.signals.get(signal):
            priority = list(map(add, priority, weights))
    telling = _telling(features, category.index(max(category)))
    return Answer(category, priority, telling, reading, frozenset([*counts, *pairs]))


def _telling(features: Iterable[_Feature], best: int) -> list[str]:
    """Return up to three words that spoke most for the winner."""
    # a word that is there often says more, but not that much more that it would be another word
    speaking = [(says[best], gram.name) for gram in features if (says := gram.says) and says[best] > 0]
    speaking.sort(reverse=True)
    told: list[str] = []
    named: set[str] = set()
    for _, token in speaking[:12]:
        words = token.split(" ")
        if named.isdisjoint(words):
            told.append(token)
            named.update(words)
        if len(told) == 3:
            break
    return told


class LocalEngine:
    """Answers with a trained model, the shipped one unless another is given; needs nothing but this process.

    `precision` is the share of the verdicts applied without review whose category shall be right, see ``aura.ai.engines.thresholds``;
    of their priority a little less is wanted, unless it is critical, for people differ about it themselves.
    """

    name = "local"

    def __init__(self, categories: Sequence[str], model: Model | None = None, precision: float = 0.95) -> None:
        self.model = model or load()
        self.categories = tuple(categories)
        spare = "Other" if "Other" in self.categories else self.categories[-1]
        self._names = tuple(name if name in self.categories else spare for name in self.model.categories)
        held_back = self.model.held_back
        urgent = held_back.get("priority", {})
        self.thresholds = {
            "category": thresholds(held_back.get("category", {}), precision),
            "priority": thresholds(urgent, precision * AGREEMENT),
        }
        if WAKING in urgent:
            self.thresholds["priority"][WAKING] = threshold(urgent[WAKING], precision)

    def needs_review(self, category: str, confidence: float) -> bool:
        """Return whether a category of this confidence is too unsure to be applied without a person looking at it."""
        return not self._sure("category", category, confidence)

    def _sure(self, label: str, name: str, confidence: float) -> bool:
        found: Threshold | None = self.thresholds[label].get(name)
        return found is not None and found.reached(confidence)

    def classify(self, questions: Sequence[ClassificationRequest]) -> list[Verdict]:
        """Return one verdict per question, in order. Never raises for any text."""
        return [self._one(question) for question in questions]

    def _one(self, question: ClassificationRequest) -> Verdict:
        start = perf_counter()
        answer = ask(question.title, question.description, self.model)
        category, confidence = self._category(answer)
        judged, sure = self._priority(question, answer)
        priority = lift(judged, question.claimed_priority)
        # nobody has measured how often a claim is right
        certain = priority == judged and (not self.model.priorities or self._sure("priority", judged, sure))
        return Verdict(
            category=category,
            confidence=confidence,
            priority=priority,
            priority_confidence=sure,
            reason=_reason(category, priority, judged, answer),
            engine=self.name,
            model=self.model.version,
            # of a ticket that only gives orders the title is all there is to say
            summary=summary(answer.reading.title, answer.reading.description, answer.words)
            or summary(question.title, "", ()),
            sentiment=sentiment(answer.grams, answer.reading.description),
            self_fix=self_fix(category, question.language, answer.grams),
            words=tuple(answer.words),
            review=not certain or self.needs_review(category, confidence),
            latency_ms=round((perf_counter() - start) * 1000, 3),
        )

    def _category(self, answer: Answer) -> tuple[str, float]:
        # several of the model's categories may stand for one of the configured ones
        shares = dict.fromkeys(self._names, 0.0)
        for name, share in zip(
            self._names, softmax(answer.category_scores, self.model.category_temperature), strict=True
        ):
            shares[name] += share
        category = max(shares, key=shares.__getitem__)
        return category, round(shares[category], 4)

    def _priority(self, question: ClassificationRequest, answer: Answer) -> tuple[str, float]:
        if not self.model.priorities:
            return first_priority(question.title, question.description), BY_RULES
        shares = softmax(answer.priority_scores, self.model.priority_temperature)
        found = shares.index(max(shares))
        return self.model.priorities[found], round(shares[found], 4)


def _reason(category: str, priority: str, judged: str, answer: Answer) -> str:
    because = (
        ", because of " + ", ".join([f'"{word}"' for word in answer.words]) if answer.words else ", the closest match"
    )
    said = answer.reading.assessment.reason() or "judged by what such tickets usually mean"
    lifted = f"; one level up from {judged}, as the requester asked" if priority != judged else ""
    return f"{category}{because}. Priority {priority}: {said}{lifted}."
