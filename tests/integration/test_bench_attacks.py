"""Attacks of `make attacks` in a short form: each ends, honest clients are answered, and memory stays below the limits."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bench.attacks import ATTACKS, LIMITS, Target, import_bombs, measure, system
from bench.services import Servers

pytestmark = [pytest.mark.integration, pytest.mark.slow]

System = tuple[Target, list[int], list[int]]


@pytest.fixture(scope="module")
def under_attack() -> Iterator[System]:
    with Servers() as servers, system(servers, scale=0.15, rows=5_000) as parts:
        yield parts


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_takes_neither_the_memory_nor_the_service(name: str, under_attack: System):
    target, web, worker = under_attack
    kind = ATTACKS[name][0]

    figures = measure(target, name, web if kind == "web" else worker)

    assert figures.answers, "the attack did not end"
    assert 0 < figures.peak < LIMITS[kind]
    assert figures.statuses["200"] == len(figures.live), "a health check failed"
    assert figures.statuses["202"] >= 1
    assert set(figures.statuses) <= {"200", "202", "429", "503"}


def test_a_file_that_expands_a_thousand_times_takes_no_memory():
    for code, peak in import_bombs(0.1).values():
        assert code in (0, 1)
        assert peak < LIMITS["import"]
