"""The bulkhead: shares of a worker's threads, and messages that wait for room."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from aura.jobs.bulkhead import ASYNC_PREFETCH, Bulkhead, BulkheadSlot
from aura.jobs.slots import SlotEntry, Slots


class Message:
    def __init__(self, message_id: str) -> None:
        self.message_id = message_id


def broker(*options: dict[str, Any]) -> Any:
    """A broker whose actors of the queue `work` have these options."""
    methods = {"queue_name": "work", "slot_access": lambda _self: None}
    actors = [type("Actor", (), methods | {"option": lambda self, name, o=each: o.get(name)})() for each in options]
    return type("Broker", (), {"actors": dict(enumerate(actors))})()


@pytest.mark.parametrize(
    ("options", "prefetch", "most", "behind"),
    [
        ([{}], 16, 16, False),
        ([], 16, 16, False),
        ([{"bulkhead": Fraction(1, 4)}], 16, 2, True),
        ([{"bulkhead": Fraction(1, 4)}, {"bulkhead": Fraction(3, 8)}], 16, 2, True),
        ([{"bulkhead": Fraction(1, 4)}], 2, 1, True),
        ([{"background": True}], 16, 1, False),
        ([{"background": True, "bulkhead": Fraction(1, 4)}], 16, 1, False),
    ],
)
def test_a_queue_holds_its_smallest_share_of_the_threads(
    options: list[dict[str, Any]], prefetch: int, most: int, behind: bool
):
    held, slot = Bulkhead().slot(broker(*options), "work", prefetch)

    assert (held, slot is not None) == (most, behind)
    assert Bulkhead().slot(broker(*options), "other", prefetch) == (prefetch, None)


def test_the_consumer_of_asynchronous_jobs_prefetches_little_and_asks_for_slots():
    behind = broker({"bulkhead": Fraction(1, 4)})
    behind.actors[0].slot_access = lambda: Slots(lambda: 1).access()
    held, slot = Bulkhead().slot(behind, "work", 16)

    assert held == ASYNC_PREFETCH
    assert isinstance(slot, SlotEntry)


def slots(threads: int) -> tuple[BulkheadSlot, BulkheadSlot]:
    """Return two slots of one bulkhead in a worker of so many threads."""
    bulkhead, behind = Bulkhead(), broker({"bulkhead": Fraction(1, 4)})
    (_, first), (_, second) = (bulkhead.slot(behind, "work", 2 * threads) for _ in range(2))
    assert isinstance(first, BulkheadSlot) and isinstance(second, BulkheadSlot)
    return first, second


def test_all_slots_together_hold_three_quarters_of_the_threads():
    first, second = slots(4)
    a, b, c, d = map(Message, "abcd")

    assert [first.read(lambda each=each: each, 0) for each in (a, b)] == [a, b]
    assert second.read(lambda: c, 0) is c
    assert second.read(lambda: d, 0) is None


def test_a_message_without_room_waits_and_is_read_first_when_another_is_released():
    first, second = slots(1)
    held, waiting, later = map(Message, ("held", "waiting", "later"))
    first.read(lambda: held, 0)
    assert second.read(lambda: waiting, 0) is None

    first.release(held)

    assert second.read(lambda: later, 0) is waiting


def test_a_message_that_is_released_twice_makes_room_once():
    first, second = slots(1)
    held, other, third = map(Message, ("held", "other", "third"))
    first.read(lambda: held, 0)
    first.release(held)
    first.release(held)

    assert second.read(lambda: other, 0) is other
    assert second.read(lambda: third, 0) is None
