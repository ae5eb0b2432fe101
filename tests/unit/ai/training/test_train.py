"""Learning: a new model is measured on tickets that neither it nor the old one has seen."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

import pytest

pytest.importorskip("sklearn", reason="learning needs the extra [learn]")

from aura.ai.engines.local import LocalEngine
from aura.ai.engines.model import Model, load, score
from aura.ai.engines.thresholds import thresholds
from aura.ai.training import train
from aura.ai.training.data import WHOLE, folds
from aura.ai.training.data import examples as seeds
from aura.ai.training.datasets import Example
from aura.ai.training.fit import Untrainable
from aura.ai.training.train import HELD_BACK, LEAST, WEIGHT, TrainedModel, hold_out

WORDS = {
    "Cats": ("purr", "whisker", "paw", "mouse hunting", "scratching post"),
    "Dogs": ("bark", "leash", "bone", "fetching", "kennel"),
    "Birds": ("wing", "feather", "beak", "nest", "singing"),
}


def pets(count: int, seed: int = 1, spoil: float = 0.0) -> list[Example]:
    """Tickets about pets; of a share of them the label is wrong."""
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


# -- holding back -----------------------------------------------------------------------------------------------------


def test_equal_texts_are_on_one_side() -> None:
    tickets = pets(60)
    # the same words, but for case, spaces and punctuation
    copies = [replace(each, title=each.title.upper(), description=f"{each.description} !") for each in tickets]
    kept, held = hold_out(tickets + copies)

    assert len(kept) + len(held) == 120
    assert not {each.description.rstrip(" !") for each in kept} & {each.description.rstrip(" !") for each in held}
    assert Counter(Counter(each.group for each in kept + held).values()) == {2: 60}


def test_a_part_of_each_class_is_held_back() -> None:
    tickets = [*pets(300), Example("a lonely fish", "", "Fish", None)]
    kept, held = hold_out(tickets)

    for name in WORDS:
        share = sum(each.category == name for each in held) / sum(each.category == name for each in tickets)
        assert share == pytest.approx(HELD_BACK, abs=0.02)
    # the only one of its class is learned from
    assert any(each.category == "Fish" for each in kept)


def test_of_many_tickets_a_smaller_part_is_held_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train, "MANY", 200)
    tickets = pets(300)
    assert len(hold_out(tickets)[1]) == pytest.approx(300 * train.HELD_BACK_OF_MANY, abs=2)


def test_the_same_tickets_are_held_back_when_others_came() -> None:
    first, later = pets(200, seed=1), pets(100, seed=2)
    held_then = {each.description for each in hold_out(first)[1]}
    kept_now = {each.description for each in hold_out(first + later)[0]}
    # but for the few at the edge, none that was held back before is learned from now
    assert len(held_then & kept_now) <= len(held_then) / 4
    assert hold_out(first) == hold_out(first)


# -- learning ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def learned() -> TrainedModel:
    return train.train(pets(150), load(), 0.8, with_seeds=False)


def test_a_model_of_other_categories_is_learned_and_measured(learned: TrainedModel) -> None:
    report = learned.report
    assert learned.model.categories == ("Birds", "Cats", "Dogs") and learned.model.priorities == ("low", "high")
    assert report["category"]["accuracy"] > 0.9 > report["category"]["before"]["accuracy"]
    assert report["category"]["tickets"] == report["held_back"] == pytest.approx(150 * HELD_BACK, abs=3)
    assert (report["version"], report["compared_with"]) == (learned.model.version, load().version)
    assert report["bytes"] == len(learned.content.encode())
    assert "category" not in " ".join(learned.worse)


def test_its_thresholds_come_from_tickets_it_has_not_seen(learned: TrainedModel) -> None:
    noted = learned.model.held_back["category"]
    # by cross-validation, for so few were held back
    assert sum(map(len, noted.values())) == 150 - learned.report["held_back"]
    assert all(found.confidence is not None for found in thresholds(noted, 0.8).values())
    engine = LocalEngine(learned.model.categories, learned.model, 0.8)
    assert not engine.needs_review("Cats", 1.0) and engine.needs_review("Cats", 0.4)


def test_enough_held_back_tickets_calibrate_by_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train, "CALIBRATING", 20)
    monkeypatch.setattr(train, "cross_validate", None)
    found = train.train(pets(150), load(), 0.8, with_seeds=False)
    assert sum(map(len, found.model.held_back["category"].values())) == found.report["held_back"]


def test_learning_the_same_again_gives_the_same_version(learned: TrainedModel) -> None:
    assert train.train(pets(150), load(), 0.8, with_seeds=False).content == learned.content


def test_a_worse_model_is_called_so(learned: TrainedModel) -> None:
    # Given a good model, and tickets whose labels are mostly wrong
    spoilt = [replace(each, category=name) for each, name in zip(pets(150), "CatsDogsBirds" * 20, strict=False)]
    good = learned.model
    truth = pets(150)
    _, held = hold_out(truth)
    unseen = {each.description for each in held}
    # When a new model learns from those but is measured on true ones
    mixed = [true if true.description in unseen else bad for true, bad in zip(truth, spoilt, strict=True)]
    found = train.train(mixed, good, 0.8, with_seeds=False)
    # Then the report says so
    assert any(said.startswith("category: ") and "before" in said for said in found.worse)
    assert found.report["category"]["accuracy"] < found.report["category"]["before"]["accuracy"]


def test_too_few_tickets_are_refused() -> None:
    with pytest.raises(Untrainable, match=f"{LEAST - 1} labelled tickets are too few"):
        train.train(pets(LEAST - 1), load(), 0.95, with_seeds=False)
    with pytest.raises(Untrainable, match="two categories"):
        train.train([replace(each, category="Cats") for each in pets(40)], load(), 0.95, with_seeds=False)


def test_progress_is_told_to_the_end() -> None:
    told: list[tuple[str, float]] = []
    train.train(pets(40), load(), 0.8, with_seeds=False, progress=lambda what, share: told.append((what, share)))
    assert [share for _, share in told] == sorted(share for _, share in told) and told[-1] == ("done", 1.0)


# -- beside the seeds -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def corrected() -> TrainedModel:
    """The shipped model, corrected: what is called Zephyr is an application of this company, and Plumbus a device."""
    chance = random.Random(3)
    said = ["does not work", "is slow today", "shows nothing", "please help", "again", "since monday", "for my team"]
    tickets = []
    for at in range(60):
        thing, label = (("Zephyr", "Software"), ("Plumbus", "Hardware"))[at % 2]
        words = chance.sample(said, 2)
        tickets.append(
            Example(f"{thing} {words[0]}", f"the {thing} {words[1]}, case {chance.choice('abcdefghij')}", label, None)
        )
    # a part of the seeds is enough here
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train, "FOLDS", 2)
        patch.setattr(train, "seeds", lambda: seeds()[::3])
        patch.setattr(train, "seed_folds", lambda count: ((a[::3], b[::3]) for a, b in folds(count)))
        return train.train(tickets, load(), 0.95, with_seeds=True)


@pytest.mark.slow
def test_corrections_teach_what_the_seeds_do_not_know(corrected: TrainedModel) -> None:
    def says(model: Model, title: str) -> str:
        scores = score(title, "", model).categories
        return model.categories[scores.index(max(scores))]

    for title, meant in (("my zephyr", "Software"), ("plumbus", "Hardware")):
        assert says(corrected.model, title) == meant
    assert says(corrected.model, "VPN tunnel drops") == "Network"
    assert corrected.model.priorities == load().priorities
    assert corrected.report["category"]["accuracy"] > corrected.report["category"]["before"]["accuracy"]
    assert not corrected.worse


def test_a_ticket_of_this_desk_counts_more_than_one_that_was_composed(monkeypatch: pytest.MonkeyPatch) -> None:
    class Enough(Exception):
        pass

    seen: list[Example] = []

    def note(examples: list[Example]) -> None:
        seen.extend(examples)
        raise Enough

    monkeypatch.setattr(train, "fit", note)
    with pytest.raises(Enough):
        train.train(pets(40), load(), 0.8, with_seeds=True)
    own = {each.weight for each in seen if each.category in WORDS}
    assert (
        own == {WEIGHT}
        and {each.weight for each in seen if each.category not in WORDS} == {1.0, WHOLE}
        and WEIGHT > WHOLE
    )


def test_words_of_a_single_ticket_are_not_kept() -> None:
    # a name that one person wrote once has no business in a model
    tickets = [
        Example("Zephyr", f"case {at} of Wilhelmina{chr(97 + at)}", name, None)
        for at, name in enumerate(["A", "B"] * 11)
    ]
    found = train.train(tickets, load(), 0.8, with_seeds=False)
    assert "zephyr" in found.model.words
    assert not [word for word in found.model.words if word.startswith("wilhelmina")]
