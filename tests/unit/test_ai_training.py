from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("sklearn", reason="training needs the extra [learn]")

from ai.local import ask, load
from ai.seeds import CATEGORIES, compose, phrasings, priority_phrasings
from ai.training import answers, report, temperature, train, write

EXAMPLES = compose(list(enumerate(phrasings()))[::12], priority_phrasings(), 3, seed=5)


def test_the_same_seeds_give_the_same_file(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write(train(EXAMPLES), tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_the_written_model_runs_without_the_library_that_made_it(tmp_path: Path) -> None:
    # Given a model trained on a few examples
    model = train(EXAMPLES)
    # When plain Python reads the file and judges the same examples
    scored = [row["category"] for row in answers(model, EXAMPLES, tmp_path / "model.json")]
    # Then it has learnt them, and its numbers are those of the file
    assert sum(scores.index(max(scores)) == truth for scores, truth in scored) / len(scored) > 0.9
    loaded = load.__wrapped__(tmp_path / "model.json")
    assert loaded.categories == CATEGORIES
    assert len(loaded.words) == len(model["words"])
    assert abs(sum(ask("VPN drops", "", loaded).category) - 1) < 1e-9


def test_the_temperature_heats_up_a_model_that_is_too_sure() -> None:
    unsure = [([3.0, 0.0], 0), ([3.0, 0.0], 0), ([3.0, 0.0], 1)]
    sure = [([1.0, 0.0], 0)] * 20
    assert temperature(unsure) > 1 > temperature(sure)


def test_the_report_counts_what_was_right() -> None:
    assert report([([2.0, 0.0], 0), ([0.0, 9.0], 0)], 1.0, ("a", "b")).startswith("0.500 (0.500 among the 100%")
