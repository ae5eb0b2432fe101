from __future__ import annotations

from aura.ai.engines.response_cache import ResponseCache, cache_key
from aura.ai.engines.shared_state import SharedState


def test_a_caller_does_not_wait_longer_than_the_longest_call_for_a_crashed_one(shared_state: SharedState) -> None:
    cache = ResponseCache(shared_state, seconds=60, longest_call=0.3)
    assert shared_state.claim("flight:key", 60)
    with cache.single_flight("key") as answer:
        assert answer is None


def test_the_key_has_no_readable_part_and_depends_on_each_part() -> None:
    assert "secret" not in cache_key("secret", "model")
    assert len({cache_key("a", "b"), cache_key("ab", ""), cache_key("", "ab"), cache_key("\ud800", "b")}) == 4


def test_a_cache_of_zero_seconds_stores_nothing(shared_state: SharedState) -> None:
    cache = ResponseCache(shared_state, seconds=0, longest_call=1)
    cache.put("key", "answer")
    assert cache.get("key") is None
