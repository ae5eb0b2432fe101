from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest

from aura.ai.training.data import CATEGORIES, compose, folds, phrasings, priority_phrasings, things, whole
from aura.settings import PRIORITIES

ROOT = Path(__file__).parents[4]


def test_composed_examples_are_the_same_for_the_same_seed() -> None:
    matters = list(enumerate(phrasings()))[:50]
    assert compose(matters, priority_phrasings(), 4, seed=1) == compose(matters, priority_phrasings(), 4, seed=1)
    assert compose(matters, priority_phrasings(), 4, seed=1) != compose(matters, priority_phrasings(), 4, seed=2)


def test_every_category_is_covered_in_both_languages() -> None:
    for category in CATEGORIES:
        lines = (ROOT / f"aura/ai/training/data/{category.lower()}.txt").read_text(encoding="utf-8").splitlines()
        split = lines.index("# de")
        assert split - 1 >= 60 and len(lines) - split - 1 >= 25
        distinct = {(each.title, each.text) for each in phrasings() if each.category == category}
        assert len(distinct) >= 60
        assert sum(name == category for name, _ in things()) >= 60


def test_each_priority_has_thirty_phrasings_and_each_category_forty_tickets() -> None:
    for priority in PRIORITIES:
        assert len({phrase for level, phrase in priority_phrasings() if level == priority}) >= 30
    tickets = whole()
    assert len({(each.title, each.description) for each in tickets}) == len(tickets) >= 300
    assert all(each.category in CATEGORIES and each.priority in PRIORITIES for each in tickets)
    for category in CATEGORIES:
        assert sum(each.category == category for each in tickets) >= 40


def test_no_labelled_test_ticket_shares_six_words_with_the_training_data() -> None:
    def runs(text: str) -> set[tuple[str, ...]]:
        words = re.findall(r"\w+", text.lower())
        return {tuple(words[at : at + 6]) for at in range(len(words) - 5)}

    training = set().union(*(runs(f"{p.title} {p.text}") for p in phrasings()))
    training.update(*(runs(f"{each.title} {each.description}") for each in whole()))
    for path in (ROOT / "tests/data").glob("*_tickets.csv"):
        with path.open(encoding="utf-8") as file:
            for row in csv.DictReader(file):
                assert not runs(f"{row['title']} {row['description']}") & training


@pytest.mark.slow
def test_no_held_out_example_is_in_the_training_part_of_its_fold() -> None:
    held_out_count = 0
    for training, held_out in folds(5):
        groups = {each.group for each in training if each.group >= 0}
        texts = {(each.title, each.description) for each in training}
        assert groups and not groups & {each.group for each in held_out if each.group >= 0}
        assert not texts & {(each.title, each.description) for each in held_out if each.group < 0}
        held_out_count += len(held_out)
    assert held_out_count == len(phrasings()) + len(whole())
