"""The local model: a linear text classifier (TF-IDF features, one weight per label) that runs in plain Python.

``model.json`` beside this module is the shipped model, written by ``python -m aura.ai.training.fit``; models that `aura train`
makes have the same form. For each word, word pair and character n-gram the file holds the rarity (inverse document
frequency) and a weight per category and priority, as whole numbers: multiplied by ``scale``, which halves the file.
"""

from __future__ import annotations

import json
import math
from array import array
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from operator import mul
from pathlib import Path
from typing import Any, NamedTuple

from aura.ai.engines.thresholds import HeldOutVerdict
from aura.ai.text import lexicons
from aura.ai.text.features import SMOOTHING, TicketFeatures, extract, ngrams, signals, words_and_pairs
from aura.errors import InvalidInput

MODEL = Path(__file__).with_name("model.json")
#: Words whose n-grams are summed once and cached, of one model.
CACHED_WORDS = 10_000
#: Most words that explain a category, and the candidates that are considered.
EXPLAINING, CANDIDATES = 3, 12
_STOP_WORDS = lexicons.words("stop_words.txt")


class InvalidModel(InvalidInput):
    """A file holds no local model."""


class Feature(NamedTuple):
    """A feature's part of a score."""

    #: The square of the rarity.
    square: float
    #: Rarity times weight, of each category and then of each priority; an array takes a third of a list's memory.
    weights: Sequence[float]


@dataclass(frozen=True, eq=False)
class Model:
    """A trained model; weights are in the order of ``categories`` and then of ``priorities``."""

    version: str
    categories: tuple[str, ...]
    #: Empty for a model of tickets without priorities; then the rules give the priority.
    priorities: tuple[str, ...]
    biases: list[float]
    category_temperature: float
    priority_temperature: float
    #: By word ("printer") or word pair ("shared drive").
    words: Mapping[str, Feature]
    #: The sum of a word's n-grams.
    ngrams_of: Callable[[str], Feature]
    #: Weights of each priority by rule signal ("impact=team").
    signals: Mapping[str, Sequence[float]]
    #: By label ("category", "priority") and name: verdicts on tickets that were held out from training.
    held_out: Mapping[str, Mapping[str, list[HeldOutVerdict]]]


class Scores(NamedTuple):
    """The scores of one ticket, before any temperature, and the words that decided its category."""

    categories: list[float]
    #: Empty for a model without priorities.
    priorities: list[float]
    explanation: list[str]
    features: TicketFeatures
    #: The folded words and word pairs of the ticket.
    terms: frozenset[str]


@cache
def load(path: Path = MODEL) -> Model:
    """Return the shipped model, read once per process. Raises OSError if the file is missing."""
    return read_model(path.read_bytes())


def read_model(content: str | bytes) -> Model:
    """Return the model of a file's content. Raises InvalidModel."""
    try:
        return _model(json.loads(content))
    except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
        raise InvalidModel(f"the content is not a local model ({type(error).__name__})") from None


def _model(raw: Mapping[str, Any]) -> Model:
    scale, categories, priorities = raw["scale"], tuple(raw["categories"]), tuple(raw["priorities"])
    biases = [*map(float, raw["category_bias"]), *map(float, raw["priority_bias"])]
    if not categories or len(raw["category_bias"]) != len(categories) or len(raw["priority_bias"]) != len(priorities):
        raise ValueError

    def feature(rarity: int, *weights: int) -> Feature:
        if len(weights) != len(categories) + len(priorities):
            raise ValueError
        return Feature((rarity / scale) ** 2, array("d", [rarity * weight / scale**2 for weight in weights]))

    ngram_features = {name: feature(*numbers) for name, numbers in raw["pieces"].items()}

    @lru_cache(CACHED_WORDS)
    def ngrams_of(word: str) -> Feature:
        counts = Counter(name for name in ngrams(word) if name in ngram_features)
        square, weights = _total([(ngram_features[name], count) for name, count in counts.items()], len(biases))
        return Feature(square, array("d", weights))

    return Model(
        version=str(raw["version"]),
        categories=categories,
        priorities=priorities,
        biases=biases,
        category_temperature=float(raw["category_temperature"]),
        priority_temperature=float(raw["priority_temperature"]),
        words={name: feature(*numbers) for name, numbers in raw["words"].items()},
        ngrams_of=ngrams_of,
        signals={name: [weight / scale for weight in weights] for name, weights in raw["signals"].items()},
        held_out={
            label: {
                name: [(confidence, True) for confidence in confidences["right"]]
                + [(confidence, False) for confidence in confidences["wrong"]]
                for name, confidences in names.items()
            }
            for label, names in raw.get("held_back", {}).items()
        },
    )


def _total(counted: Sequence[tuple[Feature, float]], width: int) -> Feature:
    """Return the sum of features, each multiplied by its count."""
    if not counted:
        return Feature(0.0, [0.0] * width)
    counts = [count for _, count in counted]
    columns = zip(*[feature.weights for feature, _ in counted], strict=True)
    return Feature(
        sum([count * count * feature.square for feature, count in counted]),
        [sum(map(mul, counts, column)) for column in columns],
    )


def score(title: str, description: str, model: Model) -> Scores:
    """Return the scores of one ticket; deterministic, reads at most the first 4,000 characters of the description."""
    features = extract(title, description)
    # the tenth occurrence of a word says little more than the first
    counts = Counter(words_and_pairs(features.words))
    frequencies = {name: 1.0 + math.log(count) for name, count in counts.items()}
    terms = {name: (model.words[name], tf) for name, tf in frequencies.items() if name in model.words}
    by_term = _total(list(terms.values()), len(model.biases))
    by_ngram = _total(
        [(model.ngrams_of(word), frequencies[word]) for word in dict.fromkeys(features.words)], len(model.biases)
    )
    # each of the two vectors is scaled to length one, or shorter for few words
    term_length, ngram_length = math.sqrt(SMOOTHING + by_term.square), math.sqrt(SMOOTHING + by_ngram.square)
    scores = [
        bias + term / term_length + ngram / ngram_length
        for bias, term, ngram in zip(model.biases, by_term.weights, by_ngram.weights, strict=True)
    ]
    categories, priorities = scores[: len(model.categories)], scores[len(model.categories) :]
    for name in signals(features.assessment):
        if name in model.signals:
            priorities = [total + weight for total, weight in zip(priorities, model.signals[name], strict=True)]
    best = categories.index(max(categories))
    explanation = _explain({name: feature.weights[best] for name, (feature, _) in terms.items()})
    return Scores(categories, priorities, explanation, features, frozenset(frequencies))


def _explain(weights: Mapping[str, float]) -> list[str]:
    """Return up to three words or pairs with the highest weights that have no word in common and no stop word."""
    candidates = [(weight, name) for name, weight in weights.items() if weight > 0 and _explains(name)]
    explanation: list[str] = []
    for _, name in sorted(candidates, reverse=True)[:CANDIDATES]:
        if not set(name.split(" ")) & {word for other in explanation for word in other.split(" ")}:
            explanation.append(name)
    return explanation[:EXPLAINING]


def _explains(name: str) -> bool:
    parts = name.split(" ")
    # a title counts twice, which makes "vpn vpn" of "vpn"
    return _STOP_WORDS.isdisjoint(parts) and not (len(parts) > 1 and parts[0] == parts[1])


def softmax(scores: Sequence[float], temperature: float) -> list[float]:
    """Return the scores as shares of one."""
    top = max(scores)
    powers = [math.exp((score - top) / temperature) for score in scores]
    total = sum(powers)
    return [power / total for power in powers]
