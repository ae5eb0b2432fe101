"""Fits the weights of a local model and writes its file. Needs scikit-learn (``pip install 'aura-desk[learn]'``).

Words and word pairs are TF-IDF features scaled to length one. The character n-grams of a word are summed by their rarity, and
the words of a ticket again, scaled to length one; so a classifier can cache the sum per word. One linear model per label is
fitted on both. ``aura.ai.engines.model`` computes the same in plain Python.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from aura.ai.engines.model import read_model
from aura.ai.text.features import SMOOTHING, extract, ngrams, signals, words_and_pairs
from aura.ai.training.calibration import Scored, calibrate, score_examples
from aura.ai.training.data import CATEGORIES
from aura.ai.training.datasets import Example
from aura.errors import ConfigurationError
from aura.settings import PRIORITIES

#: Most words and pairs that are weighed, the most frequent ones; the file must stay small.
WORDS = 150_000
#: Examples with a piece from which on it is weighed.
PIECE_IN = 4
#: From so many examples on, words alone say as much as their pieces do, and two models together more than one.
MANY = 20_000
SCALE = 1000
FOLDS = 5
#: How closely each model follows its examples.
_MARGIN = {"category": 0.5, "priority": 0.1}
_LOGISTIC, _STRESSED = 5.0, 0.3
#: More steps towards the best weights of the examples make worse ones of other tickets.
_STEPS = 60


class Untrainable(ConfigurationError):
    """No model can be trained; the text says why and what to do."""


def need_the_library() -> None:
    """Raise Untrainable when scikit-learn is missing, before any work is done."""
    try:
        import sklearn  # noqa: F401
    except ImportError:
        raise Untrainable("learning needs scikit-learn: pip install 'aura-desk[learn]'") from None


class _Counts:
    """How often each word, pair and piece is in each example."""

    def __init__(self, lists: Sequence[list[str]]) -> None:
        import numpy as np
        from sklearn.feature_extraction.text import CountVectorizer

        by_gram = CountVectorizer(analyzer=words_and_pairs, min_df=2, max_features=WORDS, dtype=np.float64)
        by_word = CountVectorizer(analyzer=list, dtype=np.float64)
        # "" stands for no piece, for there may be no word that is long enough to have one
        by_piece = CountVectorizer(analyzer=lambda word: ngrams(word) or [""], dtype=np.float64)
        try:
            self.grams = _damped(by_gram.fit_transform(lists))
        except ValueError:
            raise Untrainable("the tickets have no words in common: nothing can be learned from them") from None
        self.words = _damped(by_word.fit_transform(lists))
        self.inside = by_piece.fit_transform(by_word.get_feature_names_out())
        least, names = PIECE_IN if len(lists) < MANY else np.inf, by_piece.get_feature_names_out()
        kept = np.flatnonzero((_df(self.words, self.inside) >= least) & (names != ""))
        self.inside = self.inside[:, kept]
        self.gram_names, self.piece_names = by_gram.get_feature_names_out().tolist(), names[kept].tolist()
        df = np.concatenate([_df(self.grams), _df(self.words, self.inside)])
        self.rarity = np.log((1 + len(lists)) / (1 + df)) + 1

    def table(self) -> Any:
        """Return the examples as rows of features, as `aura.ai.engines.local` computes them."""
        import numpy as np
        from scipy.sparse import hstack

        split = len(self.gram_names)
        by_gram = self.grams.multiply(self.rarity[:split]).tocsr()
        by_gram = _scaled(by_gram, by_gram.power(2).sum(axis=1))
        if not self.piece_names:
            return by_gram
        inside = self.inside.multiply(self.rarity[split:]).tocsr()
        squares = self.words.power(2) @ np.asarray(inside.power(2).sum(axis=1)).ravel()
        return hstack([by_gram, _scaled(self.words @ inside, squares)]).tocsr()


def _scaled(rows: Any, squares: Any) -> Any:
    """Return the rows at length one, those of few words shorter."""
    import numpy as np
    from scipy.sparse import diags

    return diags(1 / np.sqrt(np.asarray(squares).ravel() + SMOOTHING)) @ rows


def _df(counts: Any, inside: Any = None) -> Any:
    """Return in how many examples each column is, or what is inside each column."""
    import numpy as np

    there = counts > 0 if inside is None else (counts > 0).astype(float) @ (inside > 0).astype(float) > 0
    return np.asarray(there.sum(axis=0)).ravel()


def _damped(counts: Any) -> Any:
    """Return the counts so that the tenth time says little more than the first."""
    import numpy as np

    counts.data = 1 + np.log(counts.data)
    return counts


class _Head(NamedTuple):
    """What was fitted for one label: a column of weights and a bias for each of its names."""

    names: list[str]
    weights: Any
    bias: Any


def _fit(table: Any, labels: Sequence[str | None], weights: Any, order: Sequence[str], margin: float) -> _Head:
    """Fit one label on the examples of which it is known."""
    import numpy as np

    known = [at for at, label in enumerate(labels) if label is not None]
    table, truth, weights = table[known], np.array([labels[at] for at in known]), weights[known]
    classes = sorted(set(truth.tolist()))
    names = [*[name for name in order if name in classes], *[name for name in classes if name not in order]]
    if len(known) < MANY:
        return _Head(names, *_support_vectors(table, truth, weights, names, margin))
    # where there is much to learn from, each of the two is right where the other is not
    found = [
        _logistic(table, truth, weights, names),
        _support_vectors(table, truth, weights, names, _STRESSED, stressed=True),
    ]
    spread = [(table @ coefficients + bias).std() for coefficients, bias in found]
    return _Head(
        names,
        sum(coefficients / each for (coefficients, _), each in zip(found, spread, strict=True)),
        sum(bias / each for (_, bias), each in zip(found, spread, strict=True)),
    )


def _support_vectors(
    table: Any, truth: Any, weights: Any, names: Sequence[str], margin: float, stressed: bool = False
) -> tuple[Any, Any]:
    """Fit one name against the others; stressed: what stands on one side more often counts more, as Naive Bayes has it."""
    import numpy as np
    from scipy.sparse import diags
    from sklearn.svm import LinearSVC

    there = (table > 0).astype(float)
    coefficients, biases = [], []
    for name in names:
        own = truth == name
        stress = np.ones(table.shape[1])
        if stressed:
            inside, outside = there.T @ own + 1, there.T @ ~own + 1
            ratio = np.abs(np.log((inside / inside.sum()) / (outside / outside.sum())))
            stress = (1 + ratio / ratio.mean()) / 2
        model = LinearSVC(C=margin, class_weight="balanced", random_state=0)
        model.fit(table @ diags(stress), own, sample_weight=weights)
        coefficients.append(model.coef_[0] * stress)
        biases.append(model.intercept_[0])
    return np.array(coefficients).T, np.array(biases)


def _logistic(table: Any, truth: Any, weights: Any, names: Sequence[str]) -> tuple[Any, Any]:
    import warnings

    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=_LOGISTIC, max_iter=_STEPS, class_weight="balanced")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # it is meant to stop early
        model.fit(table, truth, sample_weight=weights)
    ranks = [model.classes_.tolist().index(name) for name in names]
    return model.coef_[ranks].T, model.intercept_[ranks]


def fit(examples: Sequence[Example]) -> dict[str, Any]:
    """Return the model as the content of its file, temperatures left at 1. Raises Untrainable."""
    import numpy as np
    from scipy.sparse import csr_matrix, hstack
    from sklearn.feature_extraction import DictVectorizer

    categories, priorities = [each.category for each in examples], [each.priority for each in examples]
    if len({*categories} - {None}) < 2:
        raise Untrainable("at least two categories are needed")
    readings = [extract(each.title, each.description) for each in examples]
    counts = _Counts([reading.words for reading in readings])
    weights = np.array([each.weight for each in examples])
    table = counts.table()
    about = _fit(table, categories, weights, CATEGORIES, _MARGIN["category"])
    urgent, rules = _Head([], np.zeros((table.shape[1], 0)), np.zeros(0)), DictVectorizer()
    signal_rows: dict[str, list[int]] = {}
    if len({*priorities} - {None}) > 1:
        seen = rules.fit_transform([dict.fromkeys(signals(reading.assessment), 1.0) for reading in readings])
        both = hstack([table, csr_matrix(seen)]).tocsr()
        urgent = _fit(both, priorities, weights, PRIORITIES, _MARGIN["priority"])
        said = _whole(urgent.weights[table.shape[1] :])
        signal_rows = dict(zip(rules.get_feature_names_out().tolist(), said, strict=True))
    rows = _whole(np.column_stack([counts.rarity, about.weights, urgent.weights[: table.shape[1]]]))
    split = len(counts.gram_names)
    return {
        "version": "",
        "scale": SCALE,
        "categories": about.names,
        "priorities": urgent.names,
        "category_bias": [round(float(bias), 4) for bias in about.bias],
        "priority_bias": [round(float(bias), 4) for bias in urgent.bias],
        "category_temperature": 1.0,
        "priority_temperature": 1.0,
        "held_back": {},
        "signals": signal_rows,
        "words": dict(zip(counts.gram_names, rows[:split], strict=True)),
        "pieces": dict(zip(counts.piece_names, rows[split:], strict=True)),
    }


def _whole(numbers: Any) -> list[list[int]]:
    import numpy as np

    rows: list[list[int]] = np.rint(numbers * SCALE).astype(int).tolist()
    return rows


def cross_validate(folds: Iterable[tuple[Sequence[Example], Sequence[Example]]]) -> dict[str, list[Scored]]:
    """Return the scores of everything that is held back, each by a model that learned from the other part of its fold."""
    scored: dict[str, list[Scored]] = {"category": [], "priority": []}
    for learned, held_back in folds:
        for label, found in score_examples(read_model(packed(fit(learned))), held_back).items():
            scored[label] += found
    return scored


def seal(model: dict[str, Any]) -> dict[str, Any]:
    """Give a finished model its version, which is what is in it."""
    digest = hashlib.sha256(json.dumps({**model, "version": ""}, sort_keys=True).encode()).hexdigest()
    model["version"] = f"local-{digest[:8]}"
    return model


def packed(model: dict[str, Any]) -> str:
    """Return the file's text, one feature a line, so that two versions can be compared."""
    text = json.dumps({**model, "words": 0, "pieces": 0}, ensure_ascii=False)[:-1]
    for block in ("words", "pieces"):
        rows = ",\n".join(
            f"{json.dumps(key, ensure_ascii=False)}:{json.dumps(row, separators=(',', ':'))}"
            for key, row in model[block].items()
        )
        text = text.replace(f'"{block}": 0', f'"{block}": {{\n{rows}\n}}')
    return text + "}\n"


def write(model: dict[str, Any], path: Path) -> None:
    """Write the model's file."""
    path.write_text(packed(model), encoding="utf-8")


def main() -> None:
    """Make the shipped model anew: measure by cross-validation, train on everything, calibrate, write."""
    from aura.ai.engines.model import MODEL, softmax
    from aura.ai.evaluation.evaluate import Prediction, measure
    from aura.ai.training.data import examples, folds

    scored = cross_validate(folds(FOLDS))
    model = fit(examples())
    calibrate(model, scored)
    write(seal(model), MODEL)
    print(f"{MODEL.name}: {MODEL.stat().st_size / 1e6:.1f} MB, version {model['version']}")
    for label, each in scored.items():
        heat = model[f"{label}_temperature"]
        said = [(names, softmax(scores, heat), truth) for names, scores, truth in each]
        figures = measure([Prediction(truth, names[s.index(max(s))], max(s), True) for names, s, truth in said], 0.95)
        recalls = ", ".join(f"{name} {row['recall']:.2f}" for name, row in figures["per_class"].items())
        print(
            f"{label}: {figures['accuracy']:.3f} of {figures['tickets']} held-back tickets, ECE {figures['ece']:.3f}, "
            f"{figures['coverage']['share']:.0%} at a precision of 0.95 ({recalls}), temperature {heat}"
        )


if __name__ == "__main__":
    main()
