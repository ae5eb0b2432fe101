"""Train the local model: ``python -m ai.training`` writes ``ai/model.json`` and prints how good it is.

Needs scikit-learn (``pip install aura[learn]``); nothing else in the project does. The same seeds give the same file.
Quality is measured on whole phrasings the model has not seen: matters and urgencies are split into five parts, each
part is judged by a model that was trained on the other four.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ai.features import grams, pieces, read, signals
from ai.local import MODEL, ask, load
from ai.seeds import CATEGORIES, Example, compose, phrasings, priority_phrasings
from settings import PRIORITIES

VARIANTS = 8
FOLDS = 5
#: Features that are kept; the rest carry next to no weight.
WORDS, PIECES = 9_000, 16_000
SCALE = 1000
_STRENGTH = {"category": 6.0, "priority": 2.0}


def _fit(table: Any, labels: Sequence[str], strength: float) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=strength, max_iter=500, class_weight="balanced").fit(table, labels)


def _vectorizer(vocabulary: Sequence[str] | None = None, least: int = 2) -> Any:
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer(
        analyzer=list, sublinear_tf=True, vocabulary=vocabulary, min_df=least if not vocabulary else 1
    )


def train(examples: Sequence[Example]) -> dict[str, Any]:
    """Return the model as the content of ``model.json``, temperatures left at 1."""
    import numpy as np
    from scipy.sparse import hstack
    from sklearn.feature_extraction import DictVectorizer

    parts = [read(example.title, example.description) for example in examples]
    gram_lists = [grams(words) for words, _ in parts]
    piece_lists = [[piece for word in words for piece in pieces(word)] for words, _ in parts]
    rules = DictVectorizer()
    rule_table = rules.fit_transform([dict.fromkeys(signals(found), 1.0) for _, found in parts])
    categories = [example.category for example in examples]
    priorities = [example.priority for example in examples]

    def tables(word_list: Sequence[str] | None, piece_list: Sequence[str] | None) -> tuple[Any, Any, Any]:
        by_word, by_piece = _vectorizer(word_list), _vectorizer(piece_list, least=4)
        blocks = [by_word.fit_transform(gram_lists), by_piece.fit_transform(piece_lists)]
        return by_word, by_piece, hstack(blocks).tocsr()

    by_word, by_piece, table = tables(None, None)
    weight = np.abs(_fit(table, categories, _STRENGTH["category"]).coef_).max(axis=0)
    weight += np.abs(_fit(table, priorities, _STRENGTH["priority"]).coef_).max(axis=0)
    split = len(by_word.vocabulary_)
    chosen = (
        _heaviest(by_word.get_feature_names_out(), weight[:split], WORDS),
        _heaviest(by_piece.get_feature_names_out(), weight[split:], PIECES),
    )
    by_word, by_piece, table = tables(*chosen)
    about = _fit(table, categories, _STRENGTH["category"])
    urgent = _fit(hstack([table, rule_table]).tocsr(), priorities, _STRENGTH["priority"])

    order = [list(about.classes_).index(name) for name in CATEGORIES]
    ranks = [list(urgent.classes_).index(name) for name in PRIORITIES]
    names = [*by_word.get_feature_names_out(), *by_piece.get_feature_names_out()]
    rarity = np.concatenate([by_word.idf_, by_piece.idf_])
    numbers = np.column_stack([rarity, about.coef_[order].T, urgent.coef_[ranks].T[: len(names)]])
    rows = np.rint(numbers * SCALE).astype(int).tolist()
    split = len(chosen[0])
    signal_rows = np.rint(urgent.coef_[ranks].T[len(names) :] * SCALE).astype(int).tolist()
    return {
        "version": "",
        "scale": SCALE,
        "categories": list(CATEGORIES),
        "priorities": list(PRIORITIES),
        "category_bias": [round(float(about.intercept_[i]), 4) for i in order],
        "priority_bias": [round(float(urgent.intercept_[i]), 4) for i in ranks],
        "category_temperature": 1.0,
        "priority_temperature": 1.0,
        "signals": dict(zip(rules.get_feature_names_out().tolist(), signal_rows, strict=True)),
        "words": dict(zip(names[:split], rows[:split], strict=True)),
        "pieces": dict(zip(names[split:], rows[split:], strict=True)),
    }


def _heaviest(names: Sequence[str], weight: Any, most: int) -> list[str]:
    ranked = sorted(range(len(names)), key=lambda index: (-float(weight[index]), names[index]))
    return sorted(str(names[index]) for index in ranked[:most])


def write(model: dict[str, Any], path: Path) -> None:
    """Write the model, one feature a line, so that two versions can be compared."""
    text = json.dumps({**model, "words": 0, "pieces": 0}, ensure_ascii=False)[:-1]
    for block in ("words", "pieces"):
        rows = ",\n".join(
            f"{json.dumps(key)}:{json.dumps(row, separators=(',', ':'))}" for key, row in model[block].items()
        )
        text = text.replace(f'"{block}": 0', f'"{block}": {{\n{rows}\n}}')
    path.write_text(text + "}\n", encoding="utf-8")


def answers(model: dict[str, Any], examples: Sequence[Example], scratch: Path) -> list[dict[str, Any]]:
    """Return, for each example, scores and truth, computed by the same plain Python that runs in production."""
    write(model, scratch)
    loaded = load.__wrapped__(scratch)
    found = []
    for example in examples:
        answer = ask(example.title, example.description, loaded)
        found.append(
            {
                "category": (answer.category_scores, CATEGORIES.index(example.category)),
                "priority": (answer.priority_scores, PRIORITIES.index(example.priority)),
            }
        )
    return found


def temperature(scored: Sequence[tuple[Sequence[float], int]]) -> float:
    """Return the temperature at which the probabilities fit the truth best (least log loss)."""

    def loss(heat: float) -> float:
        total = 0.0
        for scores, truth in scored:
            top = max(scores)
            total -= (scores[truth] - top) / heat - math.log(sum(math.exp((s - top) / heat) for s in scores))
        return total

    return min((round(0.3 + 0.02 * step, 2) for step in range(110)), key=loss)


def report(scored: Sequence[tuple[Sequence[float], int]], heat: float, names: Sequence[str]) -> str:
    """Return accuracy, accuracy among the confident ones and accuracy per label, as one line."""
    right, sure, sure_right, sums = 0, 0, 0, {name: [0, 0] for name in names}
    for scores, truth in scored:
        top = max(scores)
        best = scores.index(top)
        confidence = 1 / sum(math.exp((score - top) / heat) for score in scores)
        right += best == truth
        sums[names[truth]][0] += best == truth
        sums[names[truth]][1] += 1
        if confidence >= 0.7:
            sure += 1
            sure_right += best == truth
    each = ", ".join(f"{name} {hit / max(1, total):.2f}" for name, (hit, total) in sums.items())
    share = sure / len(scored)
    return f"{right / len(scored):.3f} ({sure_right / max(1, sure):.3f} among the {share:.0%} confident ones; {each})"


def cross_validate(scratch: Path, variants: int = VARIANTS) -> dict[str, list[tuple[Sequence[float], int]]]:
    """Return the held-out scores of all folds; neither a matter nor an urgency of the held-out part was seen."""
    matters, urgencies = list(enumerate(phrasings())), priority_phrasings()
    scored: dict[str, list[tuple[Sequence[float], int]]] = {"category": [], "priority": []}
    for fold in range(FOLDS):
        seen = [m for m in matters if m[0] % FOLDS != fold]
        unseen = [m for m in matters if m[0] % FOLDS == fold]
        model = train(compose(seen, [u for i, u in enumerate(urgencies) if i % FOLDS != fold], variants, seed=fold))
        test = compose(unseen, [u for i, u in enumerate(urgencies) if i % FOLDS == fold], 3, seed=100 + fold)
        for row in answers(model, test, scratch):
            for kind in scored:
                scored[kind].append(row[kind])
    return scored


def main() -> None:
    """Measure, train on everything, calibrate, write."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        scored = cross_validate(Path(folder) / "model.json")
    matters = list(enumerate(phrasings()))
    print(f"{len(matters)} phrasings, {len(priority_phrasings())} urgencies, {FOLDS} folds by phrasing")
    model = train(compose(matters, priority_phrasings(), VARIANTS, seed=0))
    for kind, names in (("category", CATEGORIES), ("priority", PRIORITIES)):
        heat = temperature(scored[kind])
        model[f"{kind}_temperature"] = heat
        print(f"{kind}: {report(scored[kind], heat, names)}, temperature {heat}")
    digest = hashlib.sha256(json.dumps(model, sort_keys=True).encode()).hexdigest()
    model["version"] = f"local-{digest[:8]}"
    write(model, MODEL)
    print(f"wrote {MODEL.name}, {MODEL.stat().st_size / 1e6:.1f} MB, version {model['version']}")


if __name__ == "__main__":
    main()
