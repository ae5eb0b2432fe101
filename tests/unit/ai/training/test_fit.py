"""Training: what scikit-learn fits is what plain Python computes, the same every time."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("sklearn", reason="training needs the extra [learn]")

from aura.ai.engines.model import read_model, score
from aura.ai.training import fit as training
from aura.ai.training.calibration import Scored, calibrate, score_examples, temperature
from aura.ai.training.data import CATEGORIES, compose, phrasings, priority_phrasings, whole
from aura.ai.training.datasets import Example
from aura.ai.training.fit import Untrainable, cross_validate, fit, packed, seal, write
from aura.settings import PRIORITIES

EXAMPLES = [*compose(list(enumerate(phrasings()))[::12], priority_phrasings(), 3, seed=5), *whole()[::5]]


def test_the_same_seeds_give_the_same_file(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write(seal(fit(EXAMPLES)), tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_the_written_model_runs_without_the_library_that_made_it() -> None:
    # Given a model trained on a few examples, and its file read by plain Python
    model = read_model(packed(fit(EXAMPLES)))
    # When it judges the same examples
    scored = score_examples(model, EXAMPLES)["category"]
    # Then it has learnt them, and its numbers are those of the file
    assert sum(each.names[each.scores.index(max(each.scores))] == each.truth for each in scored) / len(scored) > 0.9
    assert (model.categories, model.priorities) == (CATEGORIES, PRIORITIES)


@pytest.mark.slow
@pytest.mark.parametrize("many", [10**6, 10])
def test_plain_python_computes_what_scikit_learn_does(monkeypatch: pytest.MonkeyPatch, many: int) -> None:
    # Given the table that was fitted and what was fitted on it; from ten examples on two models are added up
    heads: list[training._Head] = []
    tables: list[object] = []
    fit = training._fit

    def remember(table: object, *rest: object) -> training._Head:
        tables.append(table)
        heads.append(fit(table, *rest))  # type: ignore[arg-type]
        return heads[-1]

    monkeypatch.setattr(training, "_fit", remember)
    monkeypatch.setattr(training, "MANY", many)
    model = read_model(packed(fit(EXAMPLES)))
    # When plain Python scores each ticket
    for at in range(0, len(EXAMPLES), 7):
        answer = score(EXAMPLES[at].title, EXAMPLES[at].description, model)
        # Then its scores are those of the table, but for the rounding of the file
        for table, head, scores in zip(tables, heads, (answer.categories, answer.priorities), strict=True):
            expected = (table[at] @ head.weights + head.bias).ravel().tolist()  # type: ignore[index]
            assert scores == pytest.approx(expected, abs=0.02)


def test_two_categories_are_enough_and_one_is_not() -> None:
    cats = [Example(f"my cat purrs {at}", "", "Cats", None) for at in range(6)]
    dogs = [Example(f"my dog barks {at}", "", "Dogs", None) for at in range(6)]
    model = read_model(packed(fit(cats + dogs)))
    assert (model.categories, model.priorities) == (("Cats", "Dogs"), ())
    scores = score("a dog that barks", "", model).categories
    assert scores[1] > scores[0]
    with pytest.raises(Untrainable, match="two categories"):
        fit(cats)
    with pytest.raises(Untrainable, match="no words in common"):
        fit([Example("!", "", name, None) for name in ("Cats", "Dogs")])


def test_a_label_that_is_not_known_of_an_example_is_not_learned_from_it() -> None:
    known = [Example("my cat purrs", "", "Cats", "low"), Example("my dog barks", "", "Dogs", "high")] * 5
    half = [Example("my bird sings", "", "Birds", None), Example("my fish swims", "", None, "low")] * 5
    model = read_model(packed(fit(known + half)))
    assert (model.categories, model.priorities) == (("Birds", "Cats", "Dogs"), ("low", "high"))


def test_a_ticket_that_counts_more_wins() -> None:
    def example(title: str, category: str, weight: float) -> Example:
        return Example(title, "", category, None, weight=weight)

    said = [example("the portal is slow", "Software", 1), example("my sheet crashes", "Software", 9)]
    meant = [example("the portal is slow", "Network", 9), example("no wifi here", "Network", 1)]
    model = read_model(packed(fit([*said, *meant] * 3)))
    scores = dict(zip(model.categories, score("the portal is slow", "", model).categories, strict=True))
    assert scores["Network"] > scores["Software"]


def test_words_of_any_alphabet_are_learned() -> None:
    paper = [Example("принтер не печатает", "", "Hardware", None)] * 3
    mail = [Example("письма не приходят", "", "Email", None)] * 3
    model = read_model(packed(fit(paper + mail)))
    assert {"принтер", "письма"} <= model.words.keys()


def test_the_temperature_heats_up_a_model_that_is_too_sure() -> None:
    def scored(high: float, truth: str) -> Scored:
        return Scored(("a", "b"), (high, 0.0), truth)

    assert temperature([scored(3, "a"), scored(3, "a"), scored(3, "b")]) > 1 > temperature([scored(1, "a")] * 20)
    assert temperature([]) == 1.0
    # what the model has no name for says nothing about how sure it may be
    assert temperature([scored(1, "a")] * 20 + [scored(1, "c")]) == temperature([scored(1, "a")] * 20)


def test_what_was_held_back_is_noted_by_what_was_said() -> None:
    model = {"category_temperature": 9.0, "priority_temperature": 9.0}
    scores = [
        Scored(("a", "b"), (2.0, 0.0), "a"),
        Scored(("a", "b"), (2.0, 0.0), "b"),
        Scored(("a", "b"), (0.0, 1.0), "b"),
    ]
    calibrate(model, {"category": scores, "priority": []})
    noted = model["held_back"]["category"]  # type: ignore[index]
    assert model["category_temperature"] != 9.0
    assert [len(noted["a"]["right"]), len(noted["a"]["wrong"])] == [1, 1] and noted["a"]["right"] == noted["a"]["wrong"]
    assert [len(noted["b"]["right"]), len(noted["b"]["wrong"])] == [1, 0]


def test_cross_validation_scores_what_is_held_back() -> None:
    cats, dogs = Example("my cat purrs", "", "Cats", None), Example("my dog barks", "", "Dogs", None)
    found = cross_validate([([cats, dogs] * 3, [cats]), ([cats, dogs] * 3, [dogs, dogs])])
    assert [each.truth for each in found["category"]] == ["Cats", "Dogs", "Dogs"]
    assert found["priority"] == []
