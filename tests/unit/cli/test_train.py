"""`aura train`."""

from __future__ import annotations

import csv
import gzip
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from aura.ai.engines.model import load, read_model
from aura.ai.training import train
from aura.ai.training.data import examples as shipped_examples
from aura.ai.training.data import folds
from db import local_models, reading, transaction
from db.models import LocalModel, Ticket
from tests.commands import Run


def ticket(title: str, **values: Any) -> int:
    with transaction() as session:
        row = Ticket(source="test", raw="{}", title=title, description=f"about {title}", **values)
        session.add(row)
        session.flush()
        return row.id


def write_pets(path: Path, rows: int, spoil: bool = False) -> Path:
    """A labelled file about pets; spoilt, nearly all of what is learned from is wrong, and little of what is held out."""
    chance = random.Random(4)
    words = {"Cats": ["purr", "whisker", "paw"], "Dogs": ["bark", "leash", "bone"]}
    with path.open("w", newline="", encoding="utf-8") as stream:
        out = csv.writer(stream)
        out.writerow(["What", "Kind"])
        for at in range(rows):
            name = chance.choice(list(words))
            text = " ".join([*chance.sample(words[name], 2), chr(97 + at // 26) * 3 + chr(97 + at % 26) * 3])
            out.writerow([text, chance.choice(list(words)) if spoil else name])
    return path


@pytest.fixture
def learner() -> None:
    pytest.importorskip("sklearn", reason="training needs the extra [learn]")


@pytest.fixture
def few_seeds(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A part of the seeds, which is enough here."""
    monkeypatch.setattr(train, "FOLDS", 2)
    monkeypatch.setattr(train, "shipped_examples", lambda: shipped_examples()[::3])
    monkeypatch.setattr(train, "shipped_folds", lambda count: ((a[::3], b[::3]) for a, b in folds(count)))
    return


@pytest.mark.usefixtures("sqlite", "learner")
def test_a_model_trained_on_a_file_is_active_and_can_be_evaluated(run: Run, tmp_path: Path):
    path, model = write_pets(tmp_path / "pets.csv", 160), tmp_path / "pets.json"

    result = run("train", path, "--text", "What", "--label", "Kind", "--out", model, "--format", "json")
    report = result.json()
    assert report["active"] is True and report["source"] == "pets.csv" and report["worse"] == []
    assert report["category"]["accuracy"] > 0.9 > report["category"]["before"]["accuracy"]
    assert report["compared_with"] == load().version
    assert "AURA_CATEGORIES=Cats,Dogs" in result.err and "have no priorities" in result.err
    # what was written is what is active
    assert read_model(model.read_bytes()).version == report["version"]

    for which in ([], ["--model", report["version"]], ["--model", str(model)]):
        columns = ("--description-column", "What", "--category-column", "Kind")
        found = run("evaluate", path, *columns, *which, "--format", "json").json()
        assert found["model"] == report["version"] and found["category"]["accuracy"] > 0.95
        assert "priority" not in found and found["tickets"] == 160
    rows = run("models", "list", "--format", "json").json()
    assert [(row["version"], row["active"]) for row in rows] == [(report["version"], True), ("shipped", False)]


@pytest.mark.usefixtures("sqlite", "learner")
def test_a_worse_model_is_activated_with_force_only(run: Run, tmp_path: Path):
    columns = ("--text", "What", "--label", "Kind")
    good = run("train", write_pets(tmp_path / "good.csv", 160), *columns, "--format", "json").json()
    # Given held-out tickets on which the active model happens to be better
    spoilt = write_pets(tmp_path / "spoilt.csv", 160, spoil=True)
    for seed in range(20):
        lines = spoilt.read_text().splitlines()
        random.Random(seed).shuffle(lines[1:])
        result = run("train", spoilt, *columns, "--format", "json").json()
        if result["worse"]:
            break
        spoilt.write_text(
            "\n".join(line.replace("Cats", "x").replace("Dogs", "Cats").replace("x", "Dogs") for line in lines)
        )
    assert result["worse"] and result["active"] is False
    # When it was not forced, then the good one stays; and forced, it goes
    assert run("models", "list", "--format", "json").json()[-1]["active"] is False
    with reading() as session:
        assert local_models.active(session, known=good["version"]) == (good["version"], None)
    plain = run("train", spoilt, *columns)
    assert plain.code == 0 and "not activated; --force activates it" in plain.err
    forced = run("train", spoilt, *columns, "--force")
    assert "activated because of --force" in forced.err
    with reading() as session:
        assert local_models.active(session, known=result["version"]) == (result["version"], None)


@pytest.mark.slow
@pytest.mark.usefixtures("sqlite", "learner", "few_seeds")
def test_a_model_is_trained_on_reviewed_tickets(run: Run):
    for at in range(40):
        name = ("Software", "Hardware")[at % 2]
        thing = {"Software": "zephyr", "Hardware": "plumbus"}[name]
        ticket(
            f"{thing} {chr(97 + at)}{chr(97 + at)}",
            category=name,
            category_by="human",
            priority="low",
            priority_by="human",
        )

    result = run("train")
    assert result.code == 0, result.err
    assert "reviewed" in run("models", "list").out
    with reading() as session:
        version, body = local_models.active(session) or ("", None)
        report = session.scalar(select(LocalModel.report).where(LocalModel.version == version))
    assert body is not None and report is not None
    assert report["with_shipped"] and report["tickets"] == 40
    model = read_model(gzip.decompress(body))
    assert {"zephyr", "plumbus"} <= model.words.keys() and model.priorities == load().priorities
    assert version in result.out and "; active" in result.out


@pytest.mark.usefixtures("sqlite", "learner")
def test_too_few_reviewed_tickets_are_refused(run: Run):
    result = run("train")
    assert result.code == 1 and "0 tickets are reviewed" in result.err and not result.out


@pytest.mark.usefixtures("sqlite")
def test_training_without_scikit_learn_names_the_extra(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    result = run("train", write_pets(tmp_path / "pets.csv", 30), "--text", "What", "--label", "Kind")
    assert result.code == 2 and "pip install 'aura-desk[learn]'" in result.err and "Traceback" not in result.err


@pytest.mark.usefixtures("sqlite", "learner")
@pytest.mark.parametrize(
    ("content", "options", "code", "message"),
    [
        ("", (), 1, "the file is empty"),
        ("a,b\nx,y\n", (), 1, "no column title or description"),
        ("What,Kind\nx,y\n", ("--text", "Whom"), 1, "no column 'Whom'"),
        ("What,Kind\n" + "x,y\n" * 30, ("--text", "What", "--label", "Kind"), 2, "at least two categories"),
        ("What,Kind\nx,y\n", ("--text", "What", "--label", "Kind"), 2, "1 labelled tickets are too few"),
    ],
)
def test_unusable_training_data_are_refused_with_the_reason(
    run: Run, tmp_path: Path, content: str, options: tuple[str, ...], code: int, message: str
):
    path = tmp_path / "file.csv"
    path.write_text(content)
    result = run("train", path, *options)
    assert result.code == code and message in result.err and not result.out
