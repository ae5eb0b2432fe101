"""Options: durations and moments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import time_machine
import typer

from aura.cli import options
from tests.commands import Run

pytestmark = pytest.mark.usefixtures("sqlite")


@pytest.mark.parametrize(
    ("time", "seconds"), [("90s", 90), ("10m", 600), ("2h", 7200), ("1d", 86400), ("1.5h", 5400), ("2H", 7200)]
)
def test_a_duration_has_a_unit(time: str, seconds: float):
    assert options.parse_duration(time) == seconds


@pytest.mark.parametrize("time", ["", "10", "m", "10x", "ten", "-1m", "1h30", "1e3s", "10 m m"])
def test_an_invalid_duration_is_refused_with_the_form(run: Run, time: str):
    result = run("queues", "pause", "ai.classify", "--for", time)

    assert (result.code, result.out) == (2, "")
    assert "is not a duration: use a form such as 90s, 10m, 2h or 1d" in " ".join(result.err.replace("│", " ").split())


@pytest.mark.parametrize(("clock", "day"), [("09:04", 25), ("09:05", 26), ("23:50", 26)])
def test_a_time_of_day_is_the_last_one_in_the_configured_zone(configure: Callable[..., Any], clock: str, day: int):
    configure(AURA_TIMEZONE="Asia/Tokyo")
    with time_machine.travel(f"2026-11-26T{clock}+09:00"):
        assert options.parse_moment("9:05").isoformat() == f"2026-11-{day}T09:05:00+09:00"


def test_an_invalid_moment_is_refused_with_the_form():
    with pytest.raises(typer.BadParameter, match="'yesterday' is not a time: use a form such as 14:00"):
        options.parse_moment("yesterday")
