"""The one backoff: pauses double with jitter up to the longest."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from aura.jobs.backoff import backoff


@given(st.integers(1, 100_000), st.floats(0.1, 10), st.floats(10, 1000))
def test_the_pause_doubles_up_to_the_longest_and_half_of_it_is_random(failures: int, first: float, longest: float):
    full = min(first * 2 ** min(failures - 1, 60), longest)

    assert full / 2 <= backoff(failures, first, longest) <= full


def test_processes_that_failed_together_spread_out():
    assert len({backoff(3, 2.0, 600.0) for _ in range(100)}) > 90
