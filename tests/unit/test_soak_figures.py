"""Figures of a soak test: growth of memory, descriptors, connections and tables is a problem, noise is none."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from bench.soak import figures


def sample(done: int, rss: float = 100.0, descriptors: int = 20, amqp: int = 3, jobs_mb: float = 5.0) -> dict[str, Any]:
    return {
        "seconds": done / 100,
        "done": done,
        "unfinished": 0,
        "processes": {"worker 1": {"rss_mb": rss, "descriptors": descriptors, "threads": 10}},
        "amqp_connections": amqp,
        "database_connections": 20,
        "tables": {"jobs": {"table_mb": jobs_mb, "indexes_mb": 0.0}},
        "milliseconds": {"claim": 1.0},
    }


def found(**end: Any) -> dict[str, Any]:
    return {"sent": 4000, "samples": [sample(0, rss=10.0), sample(1000), sample(2000), sample(4000, **end)]}


def test_a_flat_run_has_no_problem():
    assert figures.problems(figures.summary(found(rss=109.0, descriptors=24))) == []


@pytest.mark.parametrize(
    ("end", "named"),
    [
        ({"rss": 111.0}, "memory of worker 1"),
        ({"descriptors": 40}, "descriptors"),
        ({"amqp": 4}, "AMQP"),
        ({"jobs_mb": 100.0}, "table jobs"),
    ],
)
def test_growth_is_a_problem_and_named(end: dict[str, Any], named: str):
    [problem] = figures.problems(figures.summary(found(**end)))
    assert named in problem


def test_a_peak_of_the_jobs_table_in_the_middle_counts():
    peak = found()
    peak["samples"][2] = sample(2000, jobs_mb=100.0)
    assert figures.problems(figures.summary(peak))


def test_the_first_part_is_not_the_boot():
    shown = figures.summary(found())
    assert shown["tickets"] == [1000, 4000]
    assert shown["processes"]["worker 1"]["rss_mb"] == [100.0, 100.0]
    long = deepcopy(found())
    long["sent"] = 1_000_000
    assert figures.summary(long)["tickets"][0] == 4000, "no sample after 10,000 tickets: the last one"
