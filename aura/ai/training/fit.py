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

#: Most words and word pairs of a model, the most frequent ones; they bound its file.
WORDS = 150_000
#: Fewest examples with an n-gram.
NGRAM_IN = 4
#: Examples from which a model needs no n-grams, and the sum of two linear models is more accurate than one.
MANY = 20_000
SCALE = 1000
FOLDS = 5
#: Regularization by label, of the linear models below.
_MARGIN = {"category": 0.5, "priority": 0.1}
_LOGISTIC, _STRESSED = 5.0, 0.3
#: Most iterations; more make the model less accurate on new tickets.
_STEPS = 60


class TrainingError(ConfigurationError):
    """A model cannot be trained; the message has the reason and the remedy."""


def require_scikit_learn() -> None:
    """Raise TrainingError if scikit-learn is not installed."""
    try:
        import sklearn  # noqa: F401
    except ImportError:
        raise TrainingError("training needs scikit-learn: pip install 'aura-desk[learn]'") from None


class _Counts:
    """The counts of words, word pairs and n-grams in each example."""

    def __init__(self, lists: Sequence[list[str]]) -> None:
        import numpy as np
        from sklearn.feature_extraction.text import CountVectorizer

        by_gram = CountVectorizer(analyzer=words_and_pairs, min_df=2, max_features=WORDS, dtype=np.float64)
        by_word = CountVectorizer(analyzer=list, dtype=np.float64)
        # "" stands for a word without n-grams; the vectorizer fails if there are no n-grams at all
        by_ngram = CountVectorizer(analyzer=lambda word: ngrams(word) or [""], dtype=np.float64)
        try:
            self.grams = _damped(by_gram.fit_transform(lists))
        except ValueError:
            raise TrainingError("the tickets have no words in common") from None
        self.words = _damped(by_word.fit_transform(lists))
        self.inside = by_ngram.fit_transform(by_word.get_feature_names_out())
        least, names = NGRAM_IN if len(lists) < MANY else np.inf, by_ngram.get_feature_names_out()
        frequent = np.flatnonzero((_df(self.words, self.inside) >= least) & (names != ""))
        self.inside = self.inside[:, frequent]
        self.gram_names, self.ngram_names = by_gram.get_feature_names_out().tolist(), names[frequent].tolist()
        df = np.concatenate([_df(self.grams), _df(self.words, self.inside)])
        self.rarity = np.log((1 + len(lists)) / (1 + df)) + 1

    def table(self) -> Any:
        """Return the examples as rows of features, as `aura.ai.engines.model` computes them."""
        import numpy as np
        from scipy.sparse import hstack

        split = len(self.gram_names)
        by_gram = self.grams.multiply(self.rarity[:split]).tocsr()
        by_gram = _scaled(by_gram, by_gram.power(2).sum(axis=1))
        if not self.ngram_names:
            return by_gram
        inside = self.inside.multiply(self.rarity[split:]).tocsr()
        squares = self.words.power(2) @ np.asarray(inside.power(2).sum(axis=1)).ravel()
        return hstack([by_gram, _scaled(self.words @ inside, squares)]).tocsr()


def _scaled(rows: Any, squares: Any) -> Any:
    """Return the rows scaled to length one, or shorter for few words."""
    import numpy as np
    from scipy.sparse import diags

    return diags(1 / np.sqrt(np.asarray(squares).ravel() + SMOOTHING)) @ rows


def _df(counts: Any, inside: Any = None) -> Any:
    """Return the number of examples with each column, or with each n-gram of the columns."""
    import numpy as np

    there = counts > 0 if inside is None else (counts > 0).astype(float) @ (inside > 0).astype(float) > 0
    return np.asarray(there.sum(axis=0)).ravel()


def _damped(counts: Any) -> Any:
    """Return 1 + log(count) of each count."""
    import numpy as np

    counts.data = 1 + np.log(counts.data)
    return counts


class _Head(NamedTuple):
    """The linear model of one label: a column of weights and a bias for each of its names."""

    names: list[str]
    weights: Any
    bias: Any


def _fit(table: Any, labels: Sequence[str | None], weights: Any, order: Sequence[str], margin: float) -> _Head:
    """Fit one label on the examples that have it."""
    import numpy as np

    labelled = [at for at, label in enumerate(labels) if label is not None]
    table, truth, weights = table[labelled], np.array([labels[at] for at in labelled]), weights[labelled]
    classes = sorted(set(truth.tolist()))
    names = [*[name for name in order if name in classes], *[name for name in classes if name not in order]]
    if len(labelled) < MANY:
        return _Head(names, *_support_vectors(table, truth, weights, names, margin))
    # with many examples the errors of the two models differ
    models = [
        _logistic(table, truth, weights, names),
        _support_vectors(table, truth, weights, names, _STRESSED, naive_bayes=True),
    ]
    spread = [(table @ coefficients + bias).std() for coefficients, bias in models]
    return _Head(
        names,
        sum(coefficients / each for (coefficients, _), each in zip(models, spread, strict=True)),
        sum(bias / each for (_, bias), each in zip(models, spread, strict=True)),
    )


def _support_vectors(
    table: Any, truth: Any, weights: Any, names: Sequence[str], margin: float, naive_bayes: bool = False
) -> tuple[Any, Any]:
    """Fit each name against the others; naive_bayes: features are weighted by their Naive Bayes log-count ratio."""
    import numpy as np
    from scipy.sparse import diags
    from sklearn.svm import LinearSVC

    there = (table > 0).astype(float)
    coefficients, biases = [], []
    for name in names:
        own = truth == name
        ratios = np.ones(table.shape[1])
        if naive_bayes:
            inside, outside = there.T @ own + 1, there.T @ ~own + 1
            ratio = np.abs(np.log((inside / inside.sum()) / (outside / outside.sum())))
            ratios = (1 + ratio / ratio.mean()) / 2
        model = LinearSVC(C=margin, class_weight="balanced", random_state=0)
        model.fit(table @ diags(ratios), own, sample_weight=weights)
        coefficients.append(model.coef_[0] * ratios)
        biases.append(model.intercept_[0])
    return np.array(coefficients).T, np.array(biases)


def _logistic(table: Any, truth: Any, weights: Any, names: Sequence[str]) -> tuple[Any, Any]:
    import warnings

    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=_LOGISTIC, max_iter=_STEPS, class_weight="balanced")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # _STEPS stops it early
        model.fit(table, truth, sample_weight=weights)
    ranks = [model.classes_.tolist().index(name) for name in names]
    return model.coef_[ranks].T, model.intercept_[ranks]


def fit(examples: Sequence[Example]) -> dict[str, Any]:
    """Return the model as the content of its file, temperatures left at 1. Raises TrainingError."""
    import numpy as np
    from scipy.sparse import csr_matrix, hstack
    from sklearn.feature_extraction import DictVectorizer

    categories, priorities = [each.category for each in examples], [each.priority for each in examples]
    if len({*categories} - {None}) < 2:
        raise TrainingError("at least two categories are needed")
    features = [extract(each.title, each.description) for each in examples]
    counts = _Counts([each.words for each in features])
    weights = np.array([each.weight for each in examples])
    table = counts.table()
    category = _fit(table, categories, weights, CATEGORIES, _MARGIN["category"])
    priority, rules = _Head([], np.zeros((table.shape[1], 0)), np.zeros(0)), DictVectorizer()
    signal_rows: dict[str, list[int]] = {}
    if len({*priorities} - {None}) > 1:
        rule_columns = rules.fit_transform([dict.fromkeys(signals(each.assessment), 1.0) for each in features])
        with_rules = hstack([table, csr_matrix(rule_columns)]).tocsr()
        priority = _fit(with_rules, priorities, weights, PRIORITIES, _MARGIN["priority"])
        signal_weights = _scaled_integers(priority.weights[table.shape[1] :])
        signal_rows = dict(zip(rules.get_feature_names_out().tolist(), signal_weights, strict=True))
    rows = _scaled_integers(np.column_stack([counts.rarity, category.weights, priority.weights[: table.shape[1]]]))
    split = len(counts.gram_names)
    return {
        "version": "",
        "scale": SCALE,
        "categories": category.names,
        "priorities": priority.names,
        "category_bias": [round(float(bias), 4) for bias in category.bias],
        "priority_bias": [round(float(bias), 4) for bias in priority.bias],
        "category_temperature": 1.0,
        "priority_temperature": 1.0,
        "held_back": {},
        "signals": signal_rows,
        "words": dict(zip(counts.gram_names, rows[:split], strict=True)),
        "pieces": dict(zip(counts.ngram_names, rows[split:], strict=True)),
    }


def _scaled_integers(numbers: Any) -> list[list[int]]:
    import numpy as np

    rows: list[list[int]] = np.rint(numbers * SCALE).astype(int).tolist()
    return rows


def cross_validate(folds: Iterable[tuple[Sequence[Example], Sequence[Example]]]) -> dict[str, list[Scored]]:
    """Return the scores of all held-out examples, each by a model that was trained on the other part of its fold."""
    scored: dict[str, list[Scored]] = {"category": [], "priority": []}
    for training, held_out in folds:
        for label, examples in score_examples(read_model(to_json(fit(training))), held_out).items():
            scored[label] += examples
    return scored


def set_version(model: dict[str, Any]) -> dict[str, Any]:
    """Set the version of a finished model, a hash of its content, and return the model."""
    digest = hashlib.sha256(json.dumps({**model, "version": ""}, sort_keys=True).encode()).hexdigest()
    model["version"] = f"local-{digest[:8]}"
    return model


def to_json(model: dict[str, Any]) -> str:
    """Return the content of the model's file, one feature a line, for comparisons of two versions."""
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
    path.write_text(to_json(model), encoding="utf-8")


def main() -> None:
    """Train the shipped model: evaluate by cross-validation, fit on all examples, calibrate, write the file."""
    from aura.ai.engines.model import MODEL, softmax
    from aura.ai.evaluation.evaluate import Prediction, measure
    from aura.ai.training.data import examples, folds

    scored = cross_validate(folds(FOLDS))
    model = fit(examples())
    calibrate(model, scored)
    write(set_version(model), MODEL)
    print(f"{MODEL.name}: {MODEL.stat().st_size / 1e6:.1f} MB, version {model['version']}")
    for label, each in scored.items():
        fitted = model[f"{label}_temperature"]
        shares = [(names, softmax(scores, fitted), truth) for names, scores, truth, _ in each]
        predictions = [Prediction(truth, names[s.index(max(s))], max(s), True) for names, s, truth in shares]
        figures = measure(predictions, 0.95)
        recalls = ", ".join(f"{name} {row['recall']:.2f}" for name, row in figures["per_class"].items())
        print(
            f"{label}: {figures['accuracy']:.3f} of {figures['tickets']} held-out tickets, ECE {figures['ece']:.3f}, "
            f"{figures['coverage']['share']:.0%} at a precision of 0.95 ({recalls}), temperature {fitted}"
        )


if __name__ == "__main__":
    main()
