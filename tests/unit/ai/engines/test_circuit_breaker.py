"""The circuit breaker of the remote engine."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from aura.ai import EngineError
from aura.ai.engines.circuit_breaker import FAILURES
from aura.ai.engines.shared_state import RedisState, SharedState
from tests.conftest import wait_until
from tests.unit.ai.engines.scripted import Scripted, another_request, classify, make

pytestmark = pytest.mark.usefixtures("way")


def test_the_circuit_breaker_opens_and_closes_again(remote: Scripted, shared_state: SharedState) -> None:
    engine = make(remote, shared_state)
    engine.breaker._breaker.reset_timeout = 3600
    remote.error = EngineError("the server answered 500", permanent=False, sent=True)
    for number in range(FAILURES + 3):
        assert classify(engine, another_request(number)).engine == "local"
    assert len(remote.requests) == FAILURES
    assert engine.breaker.state == "open"

    remote.error = None
    engine.breaker._breaker.reset_timeout = 0.01  # as if its time had passed
    wait_until(lambda: classify(engine, another_request(99)).engine == "openai")
    assert engine.breaker.state == "closed"


def test_a_refusal_does_not_open_the_circuit_breaker(remote: Scripted, shared_state: SharedState) -> None:
    engine = make(remote, shared_state)
    remote.error = EngineError("the model refused to answer", permanent=True, sent=True, billed=True)
    for number in range(FAILURES + 3):
        classify(engine, another_request(number))
    assert len(remote.requests) == FAILURES + 3
    assert engine.breaker.state == "closed"


@pytest.mark.integration
def test_workers_share_the_circuit_breaker(remote: Scripted, redis_url: str) -> None:
    first, second = (make(remote, RedisState(redis_url)) for _ in range(2))
    remote.error = EngineError("the server answered 500", permanent=False, sent=True)
    for number in range(FAILURES):
        classify(first, another_request(number))
    assert "circuit breaker is open" in classify(second, another_request(50)).fallback
    assert len(remote.requests) == FAILURES


def test_too_many_requests_do_not_open_the_circuit_breaker(remote: Scripted, shared_state: SharedState) -> None:
    engine = make(remote, shared_state)
    remote.error = EngineError("too many requests (429)", permanent=False, sent=True, throttled=True)
    for number in range(FAILURES + 3):
        classify(engine, another_request(number))
    assert len(remote.requests) == FAILURES + 3
    assert engine.breaker.state == "closed"


def test_one_call_at_a_time_finds_out_whether_the_provider_works_again(
    remote: Scripted, shared_state: SharedState
) -> None:
    engine = make(remote, shared_state)
    remote.error = EngineError("the server answered 500", permanent=False, sent=True)
    for number in range(FAILURES):
        classify(engine, another_request(number))
    # Given a breaker whose time has passed, and a provider that does not answer yet
    engine.breaker._breaker.reset_timeout = 0.01
    remote.error = None
    remote.answering.clear()
    with ThreadPoolExecutor(6) as pool:
        for number in range(100, 10_000):
            probe = pool.submit(classify, engine, another_request(number))
            wait_until(lambda probe=probe: len(remote.requests) == FAILURES + 1 or probe.done(), 60)
            if not probe.done():
                break  # the others came before the time had passed
        # When others come meanwhile, Then the local engine answers them
        others = [pool.submit(classify, engine, another_request(number)) for number in range(60, 65)]
        assert all("circuit breaker is open" in other.result(60).fallback for other in others)
        remote.answering.set()
        assert probe.result(60).engine == "openai"
    assert engine.breaker.state == "closed"
