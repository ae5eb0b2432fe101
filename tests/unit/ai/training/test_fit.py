from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("sklearn", reason="training needs the extra [learn]")

from aura.ai.engines.model import read_model, score
from aura.ai.training import fit as training
from aura.ai.training.calibration import score_examples
from aura.ai.training.data import CATEGORIES, compose, phrasings, priority_phrasings, whole
from aura.ai.training.datasets import Example
from aura.ai.training.fit import TrainingError, cross_validate, fit, set_version, to_json, write
from aura.settings import PRIORITIES

EXAMPLES = [*compose(list(enumerate(phrasings()))[::12], priority_phrasings(), 3, seed=5), *whole()[::5]]


def test_the_same_examples_give_the_same_file(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write(set_version(fit(EXAMPLES)), tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_a_fitted_model_predicts_its_examples() -> None:
    model = read_model(to_json(fit(EXAMPLES)))
    scored = score_examples(model, EXAMPLES)["category"]
    assert sum(each.names[each.scores.index(max(each.scores))] == each.truth for each in scored) / len(scored) > 0.9
    assert (model.categories, model.priorities) == (CATEGORIES, PRIORITIES)


@pytest.mark.slow
@pytest.mark.parametrize("many", [10**6, 10])
def test_plain_python_scores_equal_those_of_scikit_learn(monkeypatch: pytest.MonkeyPatch, many: int) -> None:
    # Given the table and the linear models of a training; with MANY = 10 two linear models are summed
    heads: list[training._Head] = []
    tables: list[object] = []
    fit_label = training._fit

    def record(table: object, *rest: object) -> training._Head:
        tables.append(table)
        heads.append(fit_label(table, *rest))  # type: ignore[arg-type]
        return heads[-1]

    monkeypatch.setattr(training, "_fit", record)
    monkeypatch.setattr(training, "MANY", many)
    model = read_model(to_json(fit(EXAMPLES)))
    # When plain Python scores each ticket
    for at in range(0, len(EXAMPLES), 7):
        predicted = score(EXAMPLES[at].title, EXAMPLES[at].description, model)
        # Then its scores are those of the table, apart from the rounding of the file
        for table, head, scores in zip(tables, heads, (predicted.categories, predicted.priorities), strict=True):
            expected = (table[at] @ head.weights + head.bias).ravel().tolist()  # type: ignore[index]
            assert scores == pytest.approx(expected, abs=0.02)


def test_a_training_needs_two_categories_and_common_words() -> None:
    cats = [Example(f"my cat purrs {at}", "", "Cats", None) for at in range(6)]
    dogs = [Example(f"my dog barks {at}", "", "Dogs", None) for at in range(6)]
    model = read_model(to_json(fit(cats + dogs)))
    assert (model.categories, model.priorities) == (("Cats", "Dogs"), ())
    scores = score("a dog that barks", "", model).categories
    assert scores[1] > scores[0]
    with pytest.raises(TrainingError, match="two categories"):
        fit(cats)
    with pytest.raises(TrainingError, match="no words in common"):
        fit([Example("!", "", name, None) for name in ("Cats", "Dogs")])


def test_an_example_without_a_label_does_not_train_that_label() -> None:
    labelled = [Example("my cat purrs", "", "Cats", "low"), Example("my dog barks", "", "Dogs", "high")] * 5
    half = [Example("my bird sings", "", "Birds", None), Example("my fish swims", "", None, "low")] * 5
    model = read_model(to_json(fit(labelled + half)))
    assert (model.categories, model.priorities) == (("Birds", "Cats", "Dogs"), ("low", "high"))


def test_a_ticket_of_higher_weight_decides() -> None:
    def example(title: str, category: str, weight: float) -> Example:
        return Example(title, "", category, None, weight=weight)

    light = [example("the portal is slow", "Software", 1), example("my sheet crashes", "Software", 9)]
    heavy = [example("the portal is slow", "Network", 9), example("no wifi here", "Network", 1)]
    model = read_model(to_json(fit([*light, *heavy] * 3)))
    scores = dict(zip(model.categories, score("the portal is slow", "", model).categories, strict=True))
    assert scores["Network"] > scores["Software"]


def test_words_of_any_alphabet_are_features() -> None:
    paper = [Example("принтер не печатает", "", "Hardware", None)] * 3
    mail = [Example("письма не приходят", "", "Email", None)] * 3
    model = read_model(to_json(fit(paper + mail)))
    assert {"принтер", "письма"} <= model.words.keys()


def test_cross_validation_scores_the_held_out_examples() -> None:
    cats, dogs = Example("my cat purrs", "", "Cats", None), Example("my dog barks", "", "Dogs", None)
    scored = cross_validate([([cats, dogs] * 3, [cats]), ([cats, dogs] * 3, [dogs, dogs])])
    assert [each.truth for each in scored["category"]] == ["Cats", "Dogs", "Dogs"]
    assert scored["priority"] == []
