"""Calls of the remote engine on an event loop; `test_remote` runs its tests there, too."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from aura.ai import EngineError, Verdict
from aura.ai.engines.async_remote import AsyncRemoteEngine
from aura.ai.engines.budget import MICRO, cost
from aura.ai.engines.circuit_breaker import FAILURES
from aura.ai.engines.remote import RemoteEngineWithFallback
from aura.ai.engines.shared_state import SharedState
from tests.unit.ai.engines.scripted import Scripted, another_request, make


def ask_all(single: AsyncRemoteEngine, numbers: range) -> list[Verdict]:
    async def ask() -> list[Verdict]:
        prepared = single.prepare([another_request(number) for number in numbers])
        return await asyncio.gather(*(single.classify(each) for each in prepared))

    return asyncio.run(ask())


def spent(engine: RemoteEngineWithFallback) -> float:
    """Return the dollars in the day's counter: the most that a limit of one call would still refuse."""
    key, low, high = f"costs:{datetime.now(UTC).date()}", 0, 100 * MICRO
    while low < high:
        middle = (low + high) // 2
        if engine.shared_state.reserve({key: middle}, 0) is None:
            high = middle
        else:
            low = middle + 1
    return low / MICRO


def test_the_budget_holds_exactly_for_many_calls_in_flight(remote: Scripted, shared_state: SharedState) -> None:
    size = len(remote.outbound_text(another_request(10))) + remote.instructions_bytes
    most = cost("test-model", size, 500)
    engine = make(remote, shared_state, ai_budget_day=most * 20.5, ai_budget_ticket=1.0)
    remote.verdict = remote.verdict._replace(input_tokens=0, output_tokens=0)  # each costs the most it can
    verdicts = ask_all(engine.single, range(10, 60))

    assert len(remote.requests) == 20
    assert [each.engine for each in verdicts].count("openai") == 20
    assert all("AURA_AI_BUDGET_DAY" in each.fallback for each in verdicts if each.engine == "local")
    assert spent(engine) == pytest.approx(sum(each.cost for each in verdicts), abs=50 / MICRO)


def test_equal_tickets_in_flight_cost_one_call(remote: Scripted, shared_state: SharedState) -> None:
    engine = make(remote, shared_state)

    async def ask() -> list[Verdict]:
        prepared = engine.single.prepare([another_request(7)] * 20)
        return await asyncio.gather(*(engine.single.classify(each) for each in prepared))

    verdicts = asyncio.run(ask())
    assert len(remote.requests) == 1
    assert sum(each.cached for each in verdicts) == 19


def test_equal_tickets_wait_for_their_turn_when_a_call_fails(remote: Scripted, shared_state: SharedState) -> None:
    engine = make(remote, shared_state, ai_budget_ticket=1.0)
    remote.error = EngineError("the model refused to answer", permanent=True, sent=True)

    async def ask() -> list[Verdict]:
        prepared = engine.single.prepare([another_request(7)] * 5)
        return await asyncio.gather(*(engine.single.classify(each) for each in prepared))

    assert [each.engine for each in asyncio.run(ask())] == ["local"] * 5
    assert len(remote.requests) == 5


def test_a_cancelled_call_counts_its_reservation_and_frees_its_flight(
    remote: Scripted, shared_state: SharedState
) -> None:
    engine = make(remote, shared_state)
    remote.answering.clear()

    async def ask() -> None:
        [prepared] = engine.single.prepare([another_request(7)])
        task = asyncio.create_task(engine.single.classify(prepared))
        while not remote.requests:
            await asyncio.sleep(0.01)
        task.cancel()
        remote.answering.set()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(ask())
    assert spent(engine) > 0, "the provider may charge for it"
    [verdict] = ask_all(engine.single, range(7, 8))
    assert (verdict.engine, verdict.cached, len(remote.requests)) == ("openai", False, 2)


def test_a_call_that_the_breaker_stops_costs_nothing(remote: Scripted, shared_state: SharedState) -> None:
    engine = make(remote, shared_state)
    engine.breaker._breaker.reset_timeout = 3600
    remote.error = EngineError("the server answered 500", permanent=False, sent=True)
    for number in range(FAILURES):
        ask_all(engine.single, range(number, number + 1))
    [verdict] = ask_all(engine.single, range(50, 51))

    assert "circuit breaker is open" in verdict.fallback
    assert (verdict.calls, spent(engine)) == ((), 0.0)


def test_the_local_verdict_is_made_before_and_used_where_there_is_no_answer(
    remote: Scripted, shared_state: SharedState
) -> None:
    engine = make(remote, shared_state)
    remote.error = EngineError("the model refused to answer", permanent=True, sent=True, billed=True)
    [prepared] = engine.single.prepare([another_request(1)])
    verdict = asyncio.run(engine.single.classify(prepared))
    answer = asyncio.run(engine.single.reclassify(prepared))

    assert verdict[:4] == prepared.local[:4]
    assert verdict.fallback == "openai: the model refused to answer"
    assert isinstance(answer, EngineError) and len(answer.calls) == 1
