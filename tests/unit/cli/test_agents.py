"""`aura agents`."""

from __future__ import annotations

import pytest

from aura.desk import samples
from tests.commands import Run

pytestmark = pytest.mark.usefixtures("sqlite")


def test_agents_are_imported_and_listed(run: Run):
    assert "Add some: aura agents import FILE.csv" in run("agents", "list").err
    assert run("agents", "import", samples.AGENTS).out.endswith(" agents imported\n")

    rows = run("agents", "list", "--format", "json").json()
    assert rows == sorted(rows, key=lambda row: row["name"])
    assert run("agents", "list").out


def test_a_file_that_is_no_csv_names_the_file(run: Run):
    result = run("agents", "import", __file__)

    assert (result.code, result.out) == (1, "")
    assert "test_agents.py: line 3: name: Field required" in result.err
