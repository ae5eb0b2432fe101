"""Slots: limits of a caller and of a process."""

from __future__ import annotations

import pytest

from aura.errors import Overloaded, TooManyRequests
from aura.web.slots import Slots


def test_a_caller_has_some_slots_and_all_callers_together_have_more():
    slots = Slots("searches", each=2, total=3, retry_after=7.0)
    slots.acquire("key a")
    slots.acquire("key a")
    with pytest.raises(TooManyRequests, match="2 searches") as refused:
        slots.acquire("key a")
    slots.acquire("key b")
    with pytest.raises(Overloaded, match="3 searches"):
        slots.acquire("key c")

    assert refused.value.retry_after == 7.0
    slots.release("key a")
    slots.acquire("key c")
    assert slots.used == 3


def test_a_slot_is_free_again_after_an_error():
    slots = Slots("searches", each=1, total=1)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), slots.holding("key a"):
            _ = 1 / 0

    assert slots.used == 0
