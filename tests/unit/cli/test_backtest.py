"""`aura backtest`."""

from __future__ import annotations

import pytest

from tests.commands import Run

pytestmark = pytest.mark.usefixtures("database")


def test_an_unknown_model_is_an_error(run: Run) -> None:
    assert "aura models list" in run("backtest", "--model", "local-12345678").err
    assert "OPENAI_API_KEY" in run("backtest", "--model", "gpt-9").err
    assert "no ticket is reviewed yet" in run("backtest", "--model", "shipped").err
