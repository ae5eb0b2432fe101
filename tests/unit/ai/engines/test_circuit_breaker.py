"""The circuit breaker of the remote engine."""

from __future__ import annotations

import pytest

from aura.ai import EngineError
from aura.ai.engines.circuit_breaker import FAILURES
from aura.ai.engines.shared_state import RedisState, SharedState
from tests.conftest import wait_until
from tests.unit.ai.engines.scripted import Scripted, another_request, classify, make


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
