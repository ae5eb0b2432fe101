"""`aura models`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from aura.ai.engines.model import MODEL, load
from tests.commands import Run
from tests.unit.db.test_local_models import store


@pytest.mark.usefixtures("sqlite")
def test_a_model_is_activated_and_shown(run: Run):
    store("local-pets", report={"tickets": 70, "source": "pets.csv", "category": {"accuracy": 0.9}})

    assert run("models", "use", "local-pets").out == "model local-pets is active\n"
    shown = run("models", "show", "--format", "json").json()
    assert (shown["version"], shown["tickets"], shown["wanted_precision"]) == ("local-pets", 70, 0.95)
    assert [(row["class"], row["threshold"], row["seen"]) for row in shown["thresholds"]] == [
        ("Cats", 0.9, 70),
        ("Dogs", None, 1),
    ]
    table = run("models", "show").out
    assert "threshold" in table and "0.90" in table and "pets.csv" in table

    assert run("models", "use", "shipped", "--format", "json").json() == {"active": "shipped"}
    assert run("models", "show", "--format", "json").json()["version"] == load().version
    assert len(run("models", "show", MODEL, "--format", "json").json()["thresholds"]) == 11
    rows = run("models", "list", "--format", "json").json()
    assert [(row["version"], row["active"]) for row in rows] == [("local-pets", False), ("shipped", True)]


@pytest.mark.usefixtures("sqlite")
def test_an_unknown_version_is_refused(run: Run):
    for arguments in (("use", "local-9"), ("show", "local-9")):
        result = run("models", *arguments)
        assert result.code == 1 and "`aura models list`" in result.err


@pytest.mark.usefixtures("sqlite")
def test_thresholds_depend_on_the_wanted_precision(run: Run, configure: Callable[..., Any]):
    configure(AURA_AUTO_APPLY_PRECISION="0.9999")
    shown = run("models", "show", "--format", "json").json()
    assert shown["wanted_precision"] == 0.9999
    assert {row["threshold"] for row in shown["thresholds"] if row["label"] == "category"} == {None}
