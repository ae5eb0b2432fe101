from __future__ import annotations

from typing import Any

import pytest

from aura.ai.engines.database_state import DatabaseState
from aura.ai.engines.shared_state import (
    MEMORY_MOST,
    MemoryState,
    RedisState,
    SharedState,
    SharedStateUnavailable,
    make_shared_state,
)
from aura.settings import given
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
    shared_state.add("unknown", 3)
    assert shared_state.reserve({"day": 10, "three": 5}, 3) is None


def test_the_memory_of_a_process_is_bounded() -> None:
    shared_state = MemoryState()
    for number in range(10_500):
        shared_state.put(f"answer:{number}", "x", 3600)
        shared_state.reserve({"day": 1_000_000, f"ticket:{number}": 5}, 1)
    assert len(shared_state._texts) <= MEMORY_MOST
    assert len(shared_state._counters) <= MEMORY_MOST
    assert shared_state.reserve({"day": 1_000_000}, 989_501) == "day"
    assert shared_state.get("answer:10499") == "x"


def test_an_unavailable_redis_is_an_error() -> None:
    with pytest.raises(SharedStateUnavailable, match="Redis is unavailable"):
        RedisState(f"redis://127.0.0.1:{free_port()}/0").get("x")


def test_the_reason_of_a_refusal_is_in_the_error(redis_url: str) -> None:
    refused = RedisState(redis_url.replace("://", "://user:wrong@"))
    with pytest.raises(SharedStateUnavailable, match=r"Redis is unavailable \(\w+: .*password") as raised:
        refused.get("x")
    assert "wrong@" not in str(raised.value)


def test_an_unavailable_database_is_an_error(configure: Any) -> None:
    configure(DATABASE_URL=f"postgresql://aura:hunter2@127.0.0.1:{free_port()}/aura")
    with pytest.raises(SharedStateUnavailable, match="the database is unavailable") as raised:
        DatabaseState().claim("x", 5)
    assert "hunter2" not in str(raised.value)


def test_the_shared_state_follows_the_settings() -> None:
    url = "postgresql://127.0.0.1/aura"
    assert isinstance(make_shared_state(given(env="development", DATABASE_URL=url)), DatabaseState)
    redis = given(env="development", DATABASE_URL=url, REDIS_URL="redis://127.0.0.1/0")
    assert isinstance(make_shared_state(redis), RedisState)
    assert isinstance(make_shared_state(given(env="development", DATABASE_URL="sqlite:///x.db")), MemoryState)
