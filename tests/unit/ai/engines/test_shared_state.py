from __future__ import annotations

import pytest

from aura.ai.engines.shared_state import MEMORY_MOST, MemoryState, RedisState, SharedState, SharedStateUnavailable
from tests.conftest import wait_until
from tests.services import free_port


def test_a_text_expires(shared_state: SharedState) -> None:
    shared_state.put("greeting", "hällo", 60)
    assert shared_state.get("greeting") == "hällo"
    shared_state.put("greeting", "hällo", 0.1)
    wait_until(lambda: shared_state.get("greeting") is None)


def test_a_claim_is_exclusive_until_it_is_deleted_or_expires(shared_state: SharedState) -> None:
    assert shared_state.claim("flight", 60)
    assert not shared_state.claim("flight", 60)
    shared_state.delete("flight")
    assert shared_state.claim("flight", 0.1)
    wait_until(lambda: shared_state.claim("flight", 60))


def test_a_reservation_adds_to_all_counters_or_to_none(shared_state: SharedState) -> None:
    assert shared_state.reserve({"day": 10, "one": 5}, 5) is None
    assert shared_state.reserve({"day": 10, "one": 5}, 1) == "one"
    assert shared_state.reserve({"day": 10, "two": 5}, 5) is None
    assert shared_state.reserve({"day": 10, "three": 5}, 1) == "day"
    shared_state.add("day", -3)
    assert shared_state.reserve({"day": 10, "three": 5}, 3) is None


def test_the_memory_of_a_process_is_bounded() -> None:
    shared_state = MemoryState()
    for number in range(10_500):
        shared_state.put(f"answer:{number}", "x", 3600)
    assert len(shared_state._texts) <= MEMORY_MOST
    assert shared_state.get("answer:10499") == "x"


def test_an_unavailable_redis_is_an_error() -> None:
    with pytest.raises(SharedStateUnavailable, match="Redis is unavailable"):
        RedisState(f"redis://127.0.0.1:{free_port()}/0").get("x")
