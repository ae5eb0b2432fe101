from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from aura.ai.engines.database_state import DatabaseState
from aura.ai.engines.shared_state import (
    MEMORY_MOST,
    MemoryState,
    MissingCounter,
    Op,
    Rate,
    RedisState,
    SharedState,
    SharedStateUnavailable,
    make_shared_state,
)
from aura.settings import given
from db import shared_state as shared_state_module
from db import transaction
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


def test_many_calls_give_the_results_of_single_ones(shared_state: SharedState) -> None:
    shared_state.put("old", "text", 60)
    assert shared_state.claim("flown", 60)
    shared_state.start("day", 90)
    calls = [
        Op("get", ("old",)),
        Op("get", ("none",)),
        Op("put", ("new", "späm", 60.0)),
        Op("get", ("new",)),
        Op("claim", ("flown", 60.0)),
        Op("claim", ("free", 60.0)),
        Op("claim", ("free", 60.0)),
        Op("add", ("day", 4)),
        Op("add", ("unknown", 4)),
        Op("reserve", ({"day": 100, "ticket:1": 5}, 5, ("day",))),
        Op("reserve", ({"day": 100, "ticket:2": 5}, 2, ("day",))),
        Op("reserve", ({"day": 100, "ticket:1": 5}, 1, ("day",))),
        Op("reserve", ({"tomorrow": 100}, 1, ("tomorrow",))),
        Op("throttle", ("rate", Rate(1), 1, 0.0)),
        Op("throttle", ("rate", Rate(1), 1, 0.0)),
    ]
    results = shared_state.many(calls)

    assert results[:6] == ["text", None, None, "späm", False, True]
    assert results[6:9] == [False, None, None], "the second of equal claims has none"
    assert results[9:12] == [None, "day", None] or results[9:12] == [None, "day", "ticket:1"]
    assert isinstance(results[12], MissingCounter)
    assert results[13:] == [0.0, None]
    # 94 + 5 are reserved: one more fits
    assert shared_state.reserve({"day": 100}, 2) == "day"
    assert shared_state.reserve({"day": 100}, 1) is None


def test_a_release_comes_before_the_claims_of_the_same_list(shared_state: SharedState) -> None:
    assert shared_state.claim("flight", 60)
    results = shared_state.many(
        [
            Op("claim", ("flight", 60.0)),
            Op("get", ("answer",)),
            Op("put", ("answer", "x", 60.0)),
            Op("delete", ("flight",)),
        ]
    )
    assert results[:2] == [True, "x"], "who gets the claim sees the answer of the call before"


@pytest.mark.integration
def test_concurrent_lists_exceed_no_limit_and_do_not_deadlock(postgres: str) -> None:
    def reserve(worker: int) -> int:
        state, done = DatabaseState(), 0
        for turn in range(5):
            keys = [f"ticket:{(worker + turn + at) % 7}" for at in range(6)]
            calls = [Op("reserve", ({"day": 50, key: 100}, 1, ("day",))) for key in keys]
            calls += [Op("claim", (f"flight:{key}", 60.0)) for key in reversed(keys)]
            calls += [Op("delete", (f"flight:{key}",)) for key in keys]
            done += state.many(calls)[:6].count(None)
        return done

    DatabaseState().start("day", 0)
    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(reserve, range(4))) == 50


@pytest.mark.integration
def test_many_calls_of_an_unavailable_service_fail_each(configure: Any) -> None:
    configure(DATABASE_URL=f"postgresql://aura@127.0.0.1:{free_port()}/aura")
    for state in DatabaseState(), RedisState(f"redis://127.0.0.1:{free_port()}/0"):
        results = state.many([Op("get", ("x",)), Op("put", ("x", "y", 5.0))])
        assert [type(each) for each in results] == [SharedStateUnavailable] * 2


@pytest.mark.integration
def test_a_counter_that_appears_during_a_reservation_is_not_full(
    postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The UPDATE does not see it yet, the SELECT after it does."""
    state = DatabaseState()
    appeared: list[bool] = []

    class Session:
        def __init__(self, session: Any) -> None:
            self._session = session

        def scalar(self, statement: Any) -> Any:
            if not appeared:
                appeared.append(True)
                state.start("day", 5)
                return None
            return self._session.scalar(statement)

    with transaction() as session:
        shared_state_module.reserve(Session(session), {"day": 100}, 1, 60.0, ("day",))  # type: ignore[arg-type]
    assert appeared and state.reserve({"day": 7}, 2) == "day" and state.reserve({"day": 7}, 1) is None
