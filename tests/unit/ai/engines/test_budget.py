from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime

import pytest

from aura.ai import EngineError
from aura.ai.engines.budget import MICRO, Budget, Reservation, price
from aura.ai.engines.circuit_breaker import CircuitBreaker
from aura.ai.engines.shared_state import COUNTER_SECONDS, MemoryState, RedisState, SharedState


def test_the_costs_before_the_start_of_the_process_count() -> None:
    budget = Budget(MemoryState(), day=1.0, ticket=1.0, costs_today=lambda: 0.999999)
    with pytest.raises(EngineError, match="AURA_AI_BUDGET_DAY") as raised:
        budget.reserve("test-model", 1, 1_000, 500)
    assert raised.value.retry_after is not None and 0 < raised.value.retry_after <= 86_400


def test_a_settled_reservation_is_replaced_by_the_cost(shared_state: SharedState) -> None:
    budget = Budget(shared_state, day=1.0, ticket=1.0)
    budget.settle(budget.reserve("test-model", 7, 10_000, 500), 0.25)
    assert shared_state.reserve({"ticket:7": round(0.75 * MICRO)}, round(0.5 * MICRO)) is None
    assert shared_state.reserve({"ticket:7": round(0.75 * MICRO)}, 1) == "ticket:7"


def test_every_model_has_a_price_at_a_date() -> None:
    day = date(2026, 11, 24)
    assert price("gpt-6-luna-2026-11-01", day) == price("gpt-6-luna", day)
    assert all(each > 0 for each in price("somebody-elses-model", day))


# -- a shared state that was emptied ----------------------------------------------------------------------------------


class Calls:
    """Calls with a budget: the costs that the database knows, and the calls that run."""

    def __init__(self, shared_state: SharedState, day: float = 1.0) -> None:
        self.recorded, self.running = 0.0, list[Reservation]()
        self.budget = Budget(shared_state, day, 100.0, lambda: self.recorded, lambda: len(self.running))

    def begin(self, ticket_id: int) -> None:
        self.running.append(self.budget.reserve("test-model", ticket_id, 10_000, 500))

    def end(self) -> None:
        reservation = self.running.pop(0)
        self.budget.settle(reservation, reservation.dollars)
        self.recorded += reservation.dollars

    @property
    def committed(self) -> float:
        return self.recorded + sum(each.dollars for each in self.running)


@pytest.mark.integration
def test_a_redis_that_is_flushed_again_and_again_gives_no_new_budget(redis_url: str) -> None:
    redis = RedisState(redis_url)
    calls = Calls(redis)
    for number in range(1, 1000):
        try:
            calls.begin(number)
        except EngineError:
            break
        if number % 3 == 0:
            calls.end()
        if number % 7 == 0:
            redis.redis.flushall()
    else:
        pytest.fail("the budget has no end")
    assert 0.5 < calls.committed <= 1.0


@pytest.mark.integration
def test_no_counter_is_negative_and_every_key_expires(redis_url: str) -> None:
    redis = RedisState(redis_url)
    calls = Calls(redis, day=100.0)
    engine_breaker = CircuitBreaker(redis)
    for number in range(50):
        calls.begin(number)
    redis.redis.flushall()
    for _ in range(50):
        with engine_breaker.guard():
            calls.end()
    calls.begin(51)
    redis.put("text", "x", 5)
    redis.add("costs:unknown", -5)

    keys = redis.redis.keys("*")
    assert len(keys) >= 5
    assert all(0 < redis.redis.ttl(key) <= COUNTER_SECONDS for key in keys)
    amounts = [int(redis.redis.get(key)) for key in keys if b"costs" in key or b"ticket:" in key]
    assert amounts and all(amount > 0 for amount in amounts)


def test_a_counter_is_never_negative(shared_state: SharedState) -> None:
    shared_state.reserve({"day": 10}, 5)
    shared_state.add("day", -50)
    assert shared_state.reserve({"day": 10}, 11) == "day"
    assert shared_state.reserve({"day": 10}, 10) is None


def test_a_new_day_starts_without_a_reservation_for_running_calls() -> None:
    budget = Budget(MemoryState(), day=1.0, ticket=1.0, running_calls=lambda: 1_000_000)
    assert budget.reserve("test-model", 1, 1_000, 500)


def test_concurrent_starts_count_the_earlier_costs_once(shared_state: SharedState) -> None:
    with ThreadPoolExecutor(4) as pool:
        budget = Budget(shared_state, day=1.0, ticket=1.0, costs_today=lambda: 0.6)
        list(pool.map(lambda ticket_id: budget.reserve("test-model", ticket_id, 10, 10), range(1, 9)))
    [day] = [f"costs:{datetime.now(UTC).date().isoformat()}"]
    assert shared_state.reserve({day: MICRO}, round(0.3 * MICRO), existing=(day,)) is None
    assert shared_state.reserve({day: MICRO}, round(0.3 * MICRO), existing=(day,)) == day
