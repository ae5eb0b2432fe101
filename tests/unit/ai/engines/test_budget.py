from __future__ import annotations

from datetime import date

import pytest

from aura.ai import EngineError
from aura.ai.engines.budget import MICRO, Budget, price
from aura.ai.engines.shared_state import MemoryState, SharedState


def test_the_costs_before_the_start_of_the_process_count() -> None:
    budget = Budget(MemoryState(), day=1.0, ticket=1.0)
    budget.add_earlier_costs(0.999999)
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
