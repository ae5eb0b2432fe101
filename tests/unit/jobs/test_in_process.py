"""Queues of embedded mode: hints by priority, and waits that a new job ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import actors
from aura.jobs import relay as relays
from db import hints, reading
from db.jobs import NewJob
from tests.embedded import Hand, enqueue, letters

pytestmark = pytest.mark.usefixtures("database")


def test_in_this_process_the_most_urgent_hint_is_worked_on_first(hand: Hand, declare: Callable[..., Any]):
    seen: list[str] = []

    def work(items: list[Any]) -> list[str]:
        seen.extend(item.key for item in items)
        return ["done" for _ in items]

    declare(work)
    enqueue(NewJob("work", "low"), NewJob("work", "middle", priority=5))
    hand.relay()
    enqueue(NewJob("work", "urgent", priority=9), NewJob("work", "also middle", priority=5))
    hand.relay()
    hand.work()

    assert seen == ["urgent", "middle", "also middle", "low"]
    assert letters() == []


def test_a_nap_ends_when_a_job_is_enqueued():
    local = actors.broker.local
    local.enqueued.set()
    local.wait(3600, lambda: False)
    local.wait(3600, lambda: True)

    assert not local.enqueued.is_set()
    assert relays.NAP < 1
    with reading() as session:
        assert hints.due_buckets(session, ["classify"]) == []
