"""Slots of asynchronous jobs, and the consumer that waits for them."""

from __future__ import annotations

import threading
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

from aura.jobs.slots import SlotEntry, Slots
from tests.conftest import wait_until


def message(name: str, jobs: int) -> Any:
    return SimpleNamespace(message_id=name, actor_name="ask", args=([*range(jobs)],))


def test_a_hint_waits_until_all_its_jobs_have_slots() -> None:
    slots = Slots(lambda: 5)
    access = slots.access()
    assert slots.acquire(access, "first", 3, 0.0)
    assert not slots.acquire(access, "second", 3, 0.0)
    assert slots.acquire(access, "third", 2, 0.0)
    slots.release("first")
    assert slots.acquire(access, "second", 3, 0.0)


def test_a_waiting_hint_is_woken_by_the_slots_that_it_needs() -> None:
    slots = Slots(lambda: 2)
    access = slots.access()
    assert slots.acquire(access, "first", 2, 0.0)
    got: list[bool] = []
    thread = threading.Thread(target=lambda: got.append(slots.acquire(access, "second", 1, 60.0)))
    thread.start()
    wait_until(lambda: slots._waiting)
    assert not slots.try_acquire(access, "local", 0), "a local dispatch does not overtake it"
    slots.release("first")
    thread.join(60)
    assert got == [True]


def test_a_larger_hint_than_there_are_slots_is_read_when_nothing_runs() -> None:
    capacity = [10]
    slots = Slots(lambda: capacity[0])
    access = slots.access()
    assert slots.acquire(access, "first", 1, 0.0)
    capacity[0] = 2
    assert not slots.acquire(access, "large", 5, 0.0)
    slots.release("first")
    assert slots.acquire(access, "large", 5, 0.0)
    assert slots.capacity(access) == 2


def test_an_actor_gets_its_share_of_the_slots_and_leaves_the_others_theirs() -> None:
    slots = Slots(lambda: 8)
    all_of_it, quarter = slots.access(), slots.access(Fraction(1, 4))
    assert slots.try_acquire(quarter, "a", 2)
    assert not slots.try_acquire(quarter, "b", 1)
    assert slots.try_acquire(all_of_it, "c", 6)
    slots.release("a")
    assert slots.try_acquire(all_of_it, "d", 2)
    assert not slots.try_acquire(quarter, "b", 1)


def test_running_jobs_hold_a_slot_each_and_a_second_release_frees_no_other() -> None:
    slots = Slots(lambda: 2)
    access = slots.access()
    slots.hold(access, ["a", "b"])
    slots.hold(access, ["a"])
    assert not slots.try_acquire(access, "c", 1)
    slots.release("a", "a", "unknown")
    assert slots.try_acquire(access, "c", 1)
    assert not slots.try_acquire(access, "d", 1)


def test_a_consumer_keeps_the_message_for_which_there_is_no_slot() -> None:
    slots = Slots(lambda: 2)
    access = slots.access()
    waiting = [message("one", 2), message("two", 1)]
    entry = SlotEntry(lambda _name: access, lambda: False)

    def read() -> Any:
        return waiting.pop(0) if waiting else None

    first = entry.read(read, 0.0)
    assert first is not None and first.message_id == "one"
    assert entry.read(read, 0.0) is None and waiting == []
    entry.release(first)
    second = entry.read(read, 0.0)
    assert second is not None and second.message_id == "two"
    assert entry.read(read, 0.0) is None


def test_messages_of_an_actor_in_threads_pass() -> None:
    entry = SlotEntry(lambda _name: None, lambda: False)
    passed = entry.read(lambda: message("one", 2), 0.0)
    assert passed is not None
    entry.release(passed)


def test_a_stopping_worker_reads_no_hint() -> None:
    entry = SlotEntry(lambda _name: None, lambda: True)
    assert entry.read(lambda: message("one", 2), 0.0) is None
