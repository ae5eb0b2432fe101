"""Counters with limits and texts that expire, of all workers."""

from __future__ import annotations

from typing import Any

import pytest

from db import shared_state, transaction
from db.models import SharedText
from db.retention import delete_batch, rules
from db.shared_state import CounterFull, CounterMissing
from tests.embedded import count, move

pytestmark = pytest.mark.usefixtures("database")


def reserve(limits: dict[str, int], amount: int, *existing: str) -> None:
    with transaction() as session:
        shared_state.reserve(session, limits, amount, 60, existing)


def test_a_reservation_adds_to_all_counters_or_to_none():
    reserve({"day": 10, "one": 5}, 5)
    with pytest.raises(CounterFull, match="one"):
        reserve({"day": 10, "one": 5}, 1)
    with pytest.raises(CounterFull, match="day"):
        reserve({"day": 10, "zwei": 9}, 6)
    reserve({"day": 10, "zwei": 5}, 5)


def test_a_counter_that_must_exist_is_started_by_the_caller():
    with pytest.raises(CounterMissing):
        reserve({"day": 10}, 5, "day")
    with transaction() as session:
        shared_state.start(session, "day", 6, 60)
        shared_state.start(session, "day", 0, 60)
    with pytest.raises(CounterFull):
        reserve({"day": 10}, 5, "day")
    reserve({"day": 10}, 4, "day")


def test_a_counter_that_another_call_creates_in_between_has_room():
    """The day's first calls run at the same time: one finds no counter, and by then another one has created it."""

    class Overtaken:
        def __init__(self, session: Any) -> None:
            self.session, self.answers = session, 0

        def scalar(self, statement: Any) -> Any:
            found = self.session.scalar(statement)
            self.answers += 1
            if self.answers == 1:
                shared_state.start(self.session, "day", 6, 60)
            return found

    with transaction() as session:
        overtaken: Any = Overtaken(session)
        shared_state.reserve(overtaken, {"day": 10}, 4, 60, ["day"])
    with pytest.raises(CounterFull):
        reserve({"day": 10}, 1, "day")


def test_a_counter_is_not_negative_and_not_made_by_a_settlement():
    with transaction() as session:
        shared_state.add(session, "lost", 5, 60)
        shared_state.start(session, "day", 6, 60)
        shared_state.add(session, "day", -7, 60)
    with pytest.raises(CounterMissing):
        reserve({"lost": 10}, 1, "lost")
    with pytest.raises(CounterFull):
        reserve({"day": 10}, 11, "day")
    reserve({"day": 10}, 10, "day")


def test_a_claim_ends_when_it_expires_or_the_clock_went_back():
    def claim() -> bool:
        with transaction() as session:
            return shared_state.claim(session, "flight", 60)

    assert [claim(), claim()] == [True, False]
    move(SharedText, expires_at=-1)
    assert [claim(), claim()] == [True, False]
    move(SharedText, expires_at=600)
    assert [claim(), claim()] == [True, False]


def test_expired_texts_are_deleted():
    with transaction() as session:
        shared_state.put(session, "old", "x", -1)
        shared_state.put(session, "new", "x", 60)
        assert shared_state.text(session, "old") is None
        assert delete_batch(session, rules(1, 1, 1, 1, 1, 1)["shared_texts"]) == 1
        assert shared_state.text(session, "new") == "x"
    assert count(SharedText) == 1
