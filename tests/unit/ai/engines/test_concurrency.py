"""Calls in flight shrink when the provider asks for fewer, and recover."""

from __future__ import annotations

import time

from aura.ai.engines.concurrency import RECOVERY, Concurrency


def test_a_refusal_halves_the_calls_in_flight_once_for_all_that_were_in_flight() -> None:
    concurrency = Concurrency(200)
    began = time.monotonic()
    for _ in range(150):
        concurrency.refused(began)
    assert concurrency.limit == 100
    later = time.monotonic() + 1.0  # a call that began after the decrease
    concurrency.refused(later)
    assert concurrency.limit == 50


def test_one_call_is_always_left() -> None:
    concurrency = Concurrency(4)
    for second in range(20):
        concurrency.refused(time.monotonic() + second)
    assert concurrency.limit == 1


def test_answers_recover_the_most_and_no_more() -> None:
    concurrency = Concurrency(100)
    for second in range(20):
        concurrency.refused(time.monotonic() + second)
    rounds = 0
    while concurrency.limit < 100:
        for _ in range(concurrency.limit):
            concurrency.answered()
        rounds += 1
        assert rounds < 3 * RECOVERY
    concurrency.answered()
    assert concurrency.limit == 100
    assert rounds > RECOVERY / 2, "it recovers step by step"
