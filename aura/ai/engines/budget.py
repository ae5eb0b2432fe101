"""Budget of the remote engine, per day and per ticket: costs are reserved before a call and settled after it.

A reservation is the most that the call can cost, so concurrent calls cannot exceed the budget together. The reservation of a
worker that crashes during a call counts until the day is over.

The day's counter starts from the costs that the database knows, and from a reservation for each call that runs: at the first
call of a day both are zero, and when Redis was emptied or replaced the budget does not begin again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from aura.ai.engines.base import EngineError
from aura.ai.engines.shared_state import MissingCounter, SharedState

#: Counters hold whole millionths of a dollar.
MICRO = 1_000_000


@cache
def _prices() -> dict[str, Any]:
    table: dict[str, Any] = json.loads(Path(__file__).with_name("prices.json").read_text(encoding="utf-8"))
    return table


def _row(model: str, day: date) -> dict[str, Any]:
    table = _prices()
    prefix = max((name for name in table if name != "_" and model.startswith(name)), key=len, default="default")
    rows: list[dict[str, Any]] = [row for row in table[prefix] if date.fromisoformat(row["from"]) <= day]
    return (rows or table[prefix])[-1 if rows else 0]


def price(model: str, day: date) -> tuple[float, float]:
    """Return US dollars per token of input and of output on a day; a model that is not listed has the price of "default"."""
    row = _row(model, day)
    return row["input"] / 1e6, row["output"] / 1e6


def cost(model: str, input_tokens: int, output_tokens: int, *, batch: bool = False) -> float:
    """Return the cost of a call today, in US dollars; `batch`: the call is part of a batch of the provider's Batch API."""
    today = datetime.now(UTC).date()
    per_input, per_output = price(model, today)
    share: float = _row(model, today).get("batch", 1.0) if batch else 1.0
    return (input_tokens * per_input + output_tokens * per_output) * share


def _day_key(moment: datetime) -> str:
    return f"costs:{moment.date().isoformat()}"


@dataclass(frozen=True, slots=True)
class Reservation:
    """The most that a call can cost, in millionths of a dollar, and the counters that it was added to."""

    keys: tuple[str, ...]
    amount: int

    @property
    def dollars(self) -> float:
        return self.amount / MICRO


class Budget:
    """Reserves and settles costs. Every method may raise SharedStateUnavailable."""

    def __init__(
        self,
        shared_state: SharedState,
        day: float,
        ticket: float,
        costs_today: Callable[[], float] = lambda: 0.0,
        running_calls: Callable[[], int] = lambda: 0,
    ) -> None:
        """`costs_today` returns US dollars of finished calls, `running_calls` how many more may be running."""
        self._shared_state = shared_state
        self._day, self._ticket = round(day * MICRO), round(ticket * MICRO)
        self._costs_today, self._running_calls = costs_today, running_calls

    def _reserve(self, limits: Mapping[str, int], amount: int) -> str | None:
        """Reserve; the first counter is the day's, which is started from the database if the shared state has none."""
        day = next(iter(limits))
        while True:
            try:
                return self._shared_state.reserve(limits, amount, existing=(day,))
            except MissingCounter:
                self.start(day, amount)

    def start(self, day: str, amount: int) -> None:
        """Start the day's counter; `amount` is the reservation of one call."""
        finished = round(self._costs_today() * MICRO)
        running = self._running_calls() * amount if finished else 0
        self._shared_state.start(day, finished + running)

    def reserve(self, model: str, ticket_id: int, input_bytes: int, output_tokens: int) -> Reservation:
        """Reserve the most that a call with this input and at most this output can cost. Raises EngineError.

        A ticket id of 0 has no budget of its own.
        """
        limits, reservation = self.limits(model, ticket_id, input_bytes, output_tokens)
        full = self._reserve(limits, reservation.amount)
        if full is not None:
            raise used_up(full)
        return reservation

    def limits(
        self, model: str, ticket_id: int, input_bytes: int, output_tokens: int
    ) -> tuple[dict[str, int], Reservation]:
        """Return the limits of a call's counters, the day's first, and the reservation to be made in them."""
        # a token has at least one byte
        amount = max(round(cost(model, input_bytes, output_tokens) * MICRO), 1)
        limits = {_day_key(datetime.now(UTC)): self._day}
        if ticket_id:
            limits[f"ticket:{ticket_id}"] = self._ticket
        return limits, Reservation(tuple(limits), amount)

    def reserve_batch(self, model: str, input_bytes: Sequence[int], output_tokens: int) -> tuple[int, Reservation]:
        """Reserve for as many of a batch's first calls as half of the day's budget has room for.

        ``input_bytes`` has one item per call. Returns the number of calls and the reservation.
        """
        today = _day_key(datetime.now(UTC))
        count = len(input_bytes)
        while count:
            dollars = cost(model, sum(input_bytes[:count]), count * output_tokens, batch=True)
            amount = max(round(dollars * MICRO), 1)
            if self._reserve({today: self._day // 2}, amount) is None:
                return count, Reservation((today,), amount)
            count //= 2
        return 0, Reservation((), 0)

    def settle(self, reservation: Reservation, dollars: float) -> None:
        """Replace the reservation by the cost of the call, in US dollars."""
        for key, amount in self.changes(reservation, dollars):
            self._shared_state.add(key, amount)

    def changes(self, reservation: Reservation, dollars: float) -> list[tuple[str, int]]:
        """Return what `settle` adds to the counters."""
        return [(key, round(dollars * MICRO) - reservation.amount) for key in reservation.keys]


def used_up(counter: str) -> EngineError:
    """Return the error of a call for which a counter has no room."""
    if counter.startswith("ticket:"):
        return EngineError("the ticket's budget is used up (AURA_AI_BUDGET_TICKET)", permanent=True)
    today = datetime.now(UTC)
    tomorrow = datetime.combine(today.date() + timedelta(days=1), time(), UTC)
    return EngineError(
        "the day's budget is used up (AURA_AI_BUDGET_DAY)",
        permanent=False,
        retry_after=(tomorrow - today).total_seconds(),
    )
