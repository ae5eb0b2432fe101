"""Helpers of the commands for local models: a model by version, file, or `shipped`."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from aura.ai.engines.model import load
from aura.cli.local_models import load_model, read_labelled
from aura.errors import InvalidInput, NotFound
from db import local_models, transaction
from tests.unit.ai.engines.test_model import pets_model

pytestmark = pytest.mark.usefixtures("sqlite")


def test_the_active_model_is_the_shipped_one_until_another_is_activated(tmp_path: Path):
    assert load_model(None).version == load_model("shipped").version == load().version
    path = tmp_path / "model.json"
    path.write_text(pets_model())
    with transaction() as session:
        local_models.store(session, "local-1", gzip.compress(path.read_bytes()), {})
        assert load_model("local-1").version == "local-1"
        local_models.activate(session, "local-1")

    assert load_model(None).version == load_model(str(path)).version == "local-1"
    assert load_model("shipped").version == load().version


def test_a_file_that_is_no_model_is_named(tmp_path: Path):
    path = tmp_path / "model.json"
    path.write_text("{}")

    with pytest.raises(InvalidInput, match=r"model\.json: "):
        load_model(str(path))


def test_an_unknown_version_is_not_found():
    with pytest.raises(NotFound, match="there is no local model 'local-12345678'"):
        load_model("local-12345678")


def test_bad_rows_of_a_labelled_file_are_printed_on_stderr(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = tmp_path / "tickets.csv"
    path.write_text("title,category\nVPN drops,Network\n,Network\n")

    dataset = read_labelled(path, {"category": None}, None)

    assert len(dataset.examples) == 1
    assert "tickets.csv:3: no text" in capsys.readouterr().err
