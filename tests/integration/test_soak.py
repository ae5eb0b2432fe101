"""A short soak test: what processes hold after n tickets is what they hold after 4 n."""

from __future__ import annotations

from typing import Any

import pytest

from bench.soak import figures
from bench.soak.run import soak

N = 1_000


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    return soak(4 * N, seconds=240, every=1.0)


def test_all_tickets_pass_and_nothing_grows(found: dict[str, Any]):
    assert found["sent"] == found["done"] == 4 * N
    shown = figures.summary(found)
    assert shown["tickets"][0] < 3 * N, "the first sample is an early one"
    assert {"worker 1", "worker 2", "relay", "web", "scheduler"} <= shown["processes"].keys()
    assert figures.problems(shown) == []


def test_jobs_leave_no_bloat_behind(found: dict[str, Any]):
    end = found["samples"][-1]["tables"]["jobs"]
    assert end["table_mb"] < figures.SMALL_MB
    assert found["samples"][-1]["unfinished"] == 0
