from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

import pytest

pytest.importorskip("sklearn", reason="training needs the extra [learn]")

from aura.ai.engines.local import LocalEngine
from aura.ai.engines.model import Model, load, score
from aura.ai.engines.thresholds import thresholds
from aura.ai.training import train
from aura.ai.training.data import WHOLE, folds
from aura.ai.training.data import examples as shipped_examples
from aura.ai.training.datasets import Example
from aura.ai.training.fit import TrainingError
from aura.ai.training.train import HELD_OUT, LEAST, WEIGHT, TrainedModel, hold_out

WORDS = {
    "Cats": ("purr", "whisker", "paw", "mouse hunting", "scratching post"),
    "Dogs": ("bark", "leash", "bone", "fetching", "kennel"),
    "Birds": ("wing", "feather", "beak", "nest", "singing"),
}


def pets(count: int, seed: int = 1, spoil: float = 0.0) -> list[Example]:
    """Return tickets about pets, a share of them with a wrong label."""
    chance = random.Random(seed)
    made = []
    for at in range(count):
        name = chance.choice(list(WORDS))
        text = " ".join(
            [
                *chance.sample(WORDS[name], 2),
                f"case{chr(97 + at // 26)}{chr(97 + at % 26)}",
                *chance.choices("abcdefgh", k=3),
            ]
        )
        label = chance.choice(list(WORDS)) if chance.random() < spoil else name
        made.append(Example(f"about {label if spoil else name} {at}"[:8], text, label, chance.choice(["low", "high"])))
    return made


# -- holding out ------------------------------------------------------------------------------------------------------


def test_equal_texts_are_on_one_side() -> None:
    tickets = pets(60)
    # the same words, but for case, spaces and punctuation
    copies = [replace(each, title=each.title.upper(), description=f"{each.description} !") for each in tickets]
    training, held = hold_out(tickets + copies)

    assert len(training) + len(held) == 120
    assert not {each.description.rstrip(" !") for each in training} & {each.description.rstrip(" !") for each in held}
    assert Counter(Counter(each.group for each in training + held).values()) == {2: 60}


def test_a_part_of_each_class_is_held_out() -> None:
    tickets = [*pets(300), Example("a lonely fish", "", "Fish", None)]
    training, held = hold_out(tickets)

    for name in WORDS:
        share = sum(each.category == name for each in held) / sum(each.category == name for each in tickets)
        assert share == pytest.approx(HELD_OUT, abs=0.02)
    # the only ticket of its class is for training
    assert any(each.category == "Fish" for each in training)


def test_a_smaller_part_of_a_large_dataset_is_held_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train, "MANY", 200)
    tickets = pets(300)
    assert len(hold_out(tickets)[1]) == pytest.approx(300 * train.HELD_OUT_OF_MANY, abs=2)


def test_the_same_tickets_are_held_out_from_a_larger_dataset() -> None:
    first, later = pets(200, seed=1), pets(100, seed=2)
    held_then = {each.description for each in hold_out(first)[1]}
    training_now = {each.description for each in hold_out(first + later)[0]}
    # apart from a few, the tickets that were held out before still are
    assert len(held_then & training_now) <= len(held_then) / 4
    assert hold_out(first) == hold_out(first)


# -- training ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained() -> TrainedModel:
    return train.train(pets(150), load(), 0.8, with_shipped=False)


def test_a_model_of_other_categories_is_trained_and_evaluated(trained: TrainedModel) -> None:
    report = trained.report
    assert trained.model.categories == ("Birds", "Cats", "Dogs") and trained.model.priorities == ("low", "high")
    assert report["category"]["accuracy"] > 0.9 > report["category"]["before"]["accuracy"]
    assert report["category"]["tickets"] == report["held_out"] == pytest.approx(150 * HELD_OUT, abs=3)
    assert (report["version"], report["compared_with"]) == (trained.model.version, load().version)
    assert report["bytes"] == len(trained.content.encode())
    assert "category" not in " ".join(trained.worse)


def test_the_thresholds_of_a_model_come_from_unseen_tickets(trained: TrainedModel) -> None:
    held_out = trained.model.held_out["category"]
    # by cross-validation, because few tickets were held out
    assert sum(map(len, held_out.values())) == 150 - trained.report["held_out"]
    assert all(found.confidence is not None for found in thresholds(held_out, 0.8).values())
    engine = LocalEngine(trained.model.categories, trained.model, 0.8)
    assert not engine.needs_review("Cats", 1.0) and engine.needs_review("Cats", 0.4)


def test_enough_held_out_tickets_replace_cross_validation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train, "CALIBRATING", 20)
    monkeypatch.setattr(train, "cross_validate", None)
    found = train.train(pets(150), load(), 0.8, with_shipped=False)
    assert sum(map(len, found.model.held_out["category"].values())) == found.report["held_out"]


def test_a_repeated_training_gives_the_same_version(trained: TrainedModel) -> None:
    assert train.train(pets(150), load(), 0.8, with_shipped=False).content == trained.content


def test_a_worse_model_is_reported(trained: TrainedModel) -> None:
    # Given a good model, and tickets whose labels are mostly wrong
    spoilt = [replace(each, category=name) for each, name in zip(pets(150), "CatsDogsBirds" * 20, strict=False)]
    good = trained.model
    truth = pets(150)
    _, held = hold_out(truth)
    unseen = {each.description for each in held}
    # When a new model is trained on those and evaluated on true ones
    mixed = [true if true.description in unseen else bad for true, bad in zip(truth, spoilt, strict=True)]
    found = train.train(mixed, good, 0.8, with_shipped=False)
    # Then the report names the label
    assert any(line.startswith("category: ") and "before" in line for line in found.worse)
    assert found.report["category"]["accuracy"] < found.report["category"]["before"]["accuracy"]


def test_too_few_tickets_are_an_error() -> None:
    with pytest.raises(TrainingError, match=f"{LEAST - 1} labelled tickets are too few"):
        train.train(pets(LEAST - 1), load(), 0.95, with_shipped=False)
    with pytest.raises(TrainingError, match="two categories"):
        train.train([replace(each, category="Cats") for each in pets(40)], load(), 0.95, with_shipped=False)


def test_the_progress_ends_with_done() -> None:
    steps: list[tuple[str, float]] = []
    train.train(pets(40), load(), 0.8, with_shipped=False, progress=lambda step, share: steps.append((step, share)))
    assert [share for _, share in steps] == sorted(share for _, share in steps) and steps[-1] == ("done", 1.0)


# -- with the shipped examples -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def corrected() -> TrainedModel:
    """The shipped model, corrected: what is called Zephyr is an application of this company, and Plumbus a device."""
    chance = random.Random(3)
    phrases = ["does not work", "is slow today", "shows nothing", "please help", "again", "since monday", "for my team"]
    tickets = []
    for at in range(60):
        thing, label = (("Zephyr", "Software"), ("Plumbus", "Hardware"))[at % 2]
        words = chance.sample(phrases, 2)
        tickets.append(
            Example(f"{thing} {words[0]}", f"the {thing} {words[1]}, case {chance.choice('abcdefghij')}", label, None)
        )
    # a part of the shipped examples is enough
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train, "FOLDS", 2)
        patch.setattr(train, "shipped_examples", lambda: shipped_examples()[::3])
        patch.setattr(train, "shipped_folds", lambda count: ((a[::3], b[::3]) for a, b in folds(count)))
        return train.train(tickets, load(), 0.95, with_shipped=True)


@pytest.mark.slow
def test_corrections_train_words_that_the_shipped_examples_lack(corrected: TrainedModel) -> None:
    def predicted(model: Model, title: str) -> str:
        scores = score(title, "", model).categories
        return model.categories[scores.index(max(scores))]

    for title, meant in (("my zephyr", "Software"), ("plumbus", "Hardware")):
        assert predicted(corrected.model, title) == meant
    assert predicted(corrected.model, "VPN tunnel drops") == "Network"
    assert corrected.model.priorities == load().priorities
    assert corrected.report["category"]["accuracy"] > corrected.report["category"]["before"]["accuracy"]
    assert not corrected.worse


def test_a_ticket_of_this_desk_counts_more_than_a_composed_example(monkeypatch: pytest.MonkeyPatch) -> None:
    class Enough(Exception):
        pass

    seen: list[Example] = []

    def note(examples: list[Example]) -> None:
        seen.extend(examples)
        raise Enough

    monkeypatch.setattr(train, "fit", note)
    with pytest.raises(Enough):
        train.train(pets(40), load(), 0.8, with_shipped=True)
    own = {each.weight for each in seen if each.category in WORDS}
    assert (
        own == {WEIGHT}
        and {each.weight for each in seen if each.category not in WORDS} == {1.0, WHOLE}
        and WEIGHT > WHOLE
    )


def test_words_of_a_single_ticket_are_no_features() -> None:
    # a name in a single ticket must not be stored in a model
    tickets = [
        Example("Zephyr", f"case {at} of Wilhelmina{chr(97 + at)}", name, None)
        for at, name in enumerate(["A", "B"] * 11)
    ]
    found = train.train(tickets, load(), 0.8, with_shipped=False)
    assert "zephyr" in found.model.words
    assert not [word for word in found.model.words if word.startswith("wilhelmina")]
