"""Rate limits of the provider, shared by all workers."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given as generated
from hypothesis import strategies

from aura.ai import EngineError
from aura.ai.engines import rate_limits
from aura.ai.engines.rate_limits import TOKENS, rated
from aura.ai.engines.shared_state import MICROSECONDS, Rate, SharedState
from aura.settings import given
from tests.unit.ai.engines.scripted import VPN, Scripted, another_request, classify, make

MINUTE = 60 * MICROSECONDS


@generated(
    strategies.integers(1, 500),
    strategies.lists(strategies.integers(0, 3 * MICROSECONDS), min_size=1, max_size=300),
)
def test_no_minute_has_more_units_than_the_limit(limit: int, gaps: list[int]) -> None:
    rate, full_at, now, used = Rate(limit), 0, 1_000_000_000, list[int]()
    for gap in gaps:
        now += gap
        full_at, wait = rate.reserve(full_at, now, 1)
        used.append(now + wait)
    for first, at in enumerate(used):
        assert sum(each < at + MINUTE for each in used[first:]) <= limit


@pytest.mark.parametrize("limit", [1, 19, 20, 100, 500])
def test_no_minute_has_more_units_than_the_limit_when_all_come_at_once(limit: int) -> None:
    rate, full_at, used = Rate(limit), 0, list[int]()
    for _ in range(2 * limit + 10):
        full_at, wait = rate.reserve(full_at, 1_000_000_000, 1)
        used.append(wait)
    most = max(sum(at <= each < at + MINUTE for each in used) for at in used)
    assert limit * 0.85 < most <= limit


def test_units_up_to_the_burst_come_at_once_and_further_units_wait(shared_state: SharedState) -> None:
    rate = Rate(20)
    assert [shared_state.throttle("r", rate, 1, 60.0) for _ in range(2)] == [0.0, 0.0]
    wait = shared_state.throttle("r", rate, 1, 60.0)
    assert wait is not None and 0.0 < wait <= rate.interval / MICROSECONDS


def test_a_wait_that_is_too_long_reserves_nothing(shared_state: SharedState) -> None:
    rate = Rate(1)
    assert shared_state.throttle("r", rate, 1, 0.0) == 0.0
    assert [shared_state.throttle("r", rate, 1, 10.0) for _ in range(3)] == [None] * 3
    wait = shared_state.throttle("r", rate, 1, 60.0)
    assert wait is not None and 0 < wait <= 60


def test_more_units_than_the_burst_pass_when_nothing_did_and_all_of_them_count(shared_state: SharedState) -> None:
    assert shared_state.throttle("r", Rate(100), 200, 0.0) == 0.0
    assert shared_state.throttle("r", Rate(100), 1, 60.0) is None
    wait = shared_state.throttle("r", Rate(100), 1, 600.0)
    assert wait is not None and wait > 60


def test_the_tokens_of_a_call_replace_those_reserved(shared_state: SharedState) -> None:
    settings = given(ai_tokens_per_minute=10_000, ai_max_tokens=50)
    call = rated(settings, 950)
    [(key, rate, units)] = call.limits
    assert (key, units, rate.burst) == (TOKENS, 1_000, 1_000)
    assert shared_state.throttle(key, rate, units, 0.0) == 0.0
    assert shared_state.throttle(key, rate, 900, 0.0) is None
    for counter, amount in call.changes(100):
        shared_state.add(counter, amount)
    assert shared_state.throttle(key, rate, 900, 0.0) == 0.0
    assert call.changes(0) == [], "an answer without usage gives nothing back"


def test_without_settings_there_is_no_limit() -> None:
    assert rated(given(), 1_000).limits == ()


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("setting", ["ai_requests_per_minute", "ai_tokens_per_minute"])
def test_the_local_engine_answers_when_the_wait_would_be_too_long(
    remote: Scripted, shared_state: SharedState, setting: str
) -> None:
    most = {"ai_requests_per_minute": 2, "ai_tokens_per_minute": 1_000}[setting]
    remote.verdict = remote.verdict._replace(input_tokens=0, output_tokens=0)  # so that the reservation stays
    engine = make(remote, shared_state, **{setting: most})
    verdicts = [classify(engine, another_request(number)) for number in range(4)]

    assert [verdict.engine for verdict in verdicts] == ["openai", "local", "local", "local"]
    assert f"AURA_{setting.upper()}" in verdicts[1].fallback
    assert len(remote.requests) == 1
    assert verdicts[1].calls == (), "nothing was sent, and nothing is charged"


def test_a_call_waits_for_its_turn(
    remote: Scripted, shared_state: SharedState, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    monkeypatch.setattr(rate_limits.time, "sleep", slept.append)
    engine = make(remote, shared_state, ai_requests_per_minute=20)
    assert [classify(engine, another_request(number)).engine for number in range(4)] == ["openai"] * 4
    assert slept[:2] == [0.0, 0.0] and 0 < slept[2] <= slept[3] <= rate_limits.LONGEST_WAIT


def test_a_429_shrinks_the_calls_in_flight_and_answers_recover_them(
    remote: Scripted, shared_state: SharedState
) -> None:
    engine = make(remote, shared_state, ai_concurrency=40, ai_cache_seconds=0)

    def ask(number: int) -> str:
        [prepared] = engine.single.prepare([another_request(number)])
        return asyncio.run(engine.single.classify(prepared)).engine

    remote.error = EngineError("too many requests (429)", permanent=False, sent=True, throttled=True)
    assert ask(1) == "local" and engine.single.concurrency.limit == 20
    remote.error = None
    before = engine.single.concurrency._limit
    assert ask(2) == "openai" and engine.single.concurrency._limit > before
    assert VPN.id == 1
