"""What may be spent on the remote engine: reserved before each call, settled after it, per day and per ticket.

The reservation is the most that the call can cost, so that calls which run at the same time cannot pass the limit
together. A worker that dies in between leaves its reservation standing until the day is over.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

from aura.ai.engines.base import EngineError
from aura.ai.engines.shared_state import MemoryState, SharedState

#: Counters hold whole millionths of a dollar.
MICRO = 1_000_000


@lru_cache(maxsize=1)
def _prices() -> dict[str, Any]:
    table: dict[str, Any] = json.loads(Path(__file__).with_name("prices.json").read_text(encoding="utf-8"))
    return table


def _row(model: str, day: date) -> dict[str, Any]:
    table = _prices()
    known = max((name for name in table if name != "_" and model.startswith(name)), key=len, default="default")
    rows: list[dict[str, Any]] = [row for row in table[known] if date.fromisoformat(row["from"]) <= day]
    return (rows or table[known])[-1 if rows else 0]


def price(model: str, day: date) -> tuple[float, float]:
    """Return US dollars for a token of input and of output; an unknown model costs what "default" says."""
    row = _row(model, day)
    return row["input"] / 1e6, row["output"] / 1e6


def cost(model: str, input_tokens: int, output_tokens: int, *, batch: bool = False) -> float:
    """Return what a call cost today, in US dollars; `batch` when it was one of the provider's Batch API."""
    today = datetime.now(UTC).date()
    per_input, per_output = price(model, today)
    share: float = _row(model, today).get("batch", 1.0) if batch else 1.0
    return (input_tokens * per_input + output_tokens * per_output) * share


def _day(moment: datetime) -> str:
    return f"spent:{moment.date().isoformat()}"


@dataclass(frozen=True, slots=True)
class Reservation:
    """What a call may cost at most, in millionths of a dollar, and the counters that hold it."""

    keys: tuple[str, ...]
    amount: int

    @property
    def dollars(self) -> float:
        return self.amount / MICRO


class Budget:
    """Reserves and settles; raises EngineError when there is not enough left, StoreAway when nobody knows."""

    def __init__(self, store: SharedState, day: float, ticket: float) -> None:
        self._store = store
        self._day, self._ticket = round(day * MICRO), round(ticket * MICRO)

    def opened_with(self, spent: float) -> None:
        """Count what was spent today before this process began, unless the store remembers it."""
        if isinstance(self._store, MemoryState):
            self._store.add(_day(datetime.now(UTC)), round(spent * MICRO))

    def reserve(self, model: str, ticket_id: int, sent: int, answer: int) -> Reservation:
        """Reserve for a call that sends so many bytes and gets at most so many tokens back."""
        # a token is a byte at least, so this is the most it can be
        amount = max(round(cost(model, sent, answer) * MICRO), 1)
        today = datetime.now(UTC)
        limits = {_day(today): self._day}
        if ticket_id:
            limits[f"ticket:{ticket_id}"] = self._ticket
        full = self._store.reserve(limits, amount)
        if full is None:
            return Reservation(tuple(limits), amount)
        if full.startswith("ticket:"):
            raise EngineError("the ticket's budget is used up (AURA_AI_BUDGET_TICKET)", permanent=True)
        tomorrow = datetime.combine(today.date() + timedelta(days=1), time(), UTC)
        raise EngineError(
            "the day's budget is used up (AURA_AI_BUDGET_DAY)",
            permanent=False,
            retry_after=(tomorrow - today).total_seconds(),
        )

    def reserve_batch(self, model: str, sent: Sequence[int], answer: int) -> tuple[int, Reservation]:
        """Reserve for the first of these calls (the bytes that each sends), as many as there is room for. Returns how many.

        Half of the day's budget at most, so that new tickets find some.
        """
        today = _day(datetime.now(UTC))
        count = len(sent)
        while count:
            amount = max(round(cost(model, sum(sent[:count]), count * answer, batch=True) * MICRO), 1)
            if self._store.reserve({today: self._day // 2}, amount) is None:
                return count, Reservation((today,), amount)
            count //= 2
        return 0, Reservation((), 0)

    def settle(self, reservation: Reservation, spent: float) -> None:
        """Replace the reservation by what was spent, in US dollars."""
        for key in reservation.keys:
            self._store.add(key, round(spent * MICRO) - reservation.amount)
