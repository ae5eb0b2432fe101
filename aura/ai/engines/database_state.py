"""Shared state of the remote engine in PostgreSQL, for installations without Redis.

Each method is a short transaction of its own. A call costs four to six of them, about five milliseconds beside the second
that a provider takes. `many` needs two transactions for any number of calls.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, TypeVar, cast

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from aura.ai.engines import shared_state_group
from aura.ai.engines.shared_state import COUNTER_SECONDS, MissingCounter, Op, Rate, SharedStateUnavailable
from aura.settings import first_line
from db import reading, shared_state, transaction
from db.unavailable import is_unavailable

Result = TypeVar("Result")
#: The calls of one transaction. Two that both lock texts to release and to acquire them could deadlock.
RELEASING, ACQUIRING = ("put", "delete"), ("claim", "get", "add", "reserve", "throttle")


class DatabaseState:
    """Shared state in the database, of all workers."""

    def get(self, key: str) -> str | None:
        try:
            with reading() as session:
                return shared_state.text(session, key)
        except SQLAlchemyError as error:
            raise _unavailable(error) from None

    def put(self, key: str, value: str, seconds: float) -> None:
        self._run(lambda session: shared_state.put(session, key, value, seconds))

    def claim(self, key: str, seconds: float) -> bool:
        return self._run(lambda session: shared_state.claim(session, key, seconds))

    def delete(self, key: str) -> None:
        self._run(lambda session: shared_state.delete_text(session, key))

    def reserve(self, limits: Mapping[str, int], amount: int, existing: Collection[str] = ()) -> str | None:
        try:
            self._run(lambda session: shared_state.reserve(session, limits, amount, COUNTER_SECONDS, existing))
        except shared_state.CounterFull as full:
            return full.key
        except shared_state.CounterMissing:
            raise MissingCounter from None
        return None

    def start(self, key: str, amount: int) -> None:
        self._run(lambda session: shared_state.start(session, key, amount, COUNTER_SECONDS))

    def add(self, key: str, amount: int) -> None:
        self._run(lambda session: shared_state.add(session, key, amount, COUNTER_SECONDS))

    def throttle(self, key: str, rate: Rate, units: int, longest: float) -> float | None:
        [wait] = self.many([Op("throttle", (key, rate, units, longest))])
        if isinstance(wait, Exception):
            raise wait
        return cast("float | None", wait)

    def many(self, ops: Sequence[Op]) -> list[Any]:
        results: dict[int, Any] = {}
        for names in RELEASING, ACQUIRING:
            chosen = {at: op for at, op in enumerate(ops) if op.name in names}
            if chosen:
                results.update(zip(chosen, self._together(list(chosen.values())), strict=True))
        return [results[at] for at in range(len(ops))]

    def _together(self, ops: Sequence[Op]) -> list[Any]:
        """Make the calls in one transaction; if one of them cannot be made, each in its own."""
        try:
            with transaction() as session:
                return shared_state_group.run(session, ops)
        except SQLAlchemyError as error:
            if len(ops) == 1 or is_unavailable(error):
                return [_unavailable(error)] * len(ops)
        return [each for op in ops for each in self._together([op])]

    def _run(self, change: Callable[[Session], Result]) -> Result:
        try:
            with transaction() as session:
                return change(session)
        except SQLAlchemyError as error:
            raise _unavailable(error) from None


def _unavailable(error: SQLAlchemyError) -> SharedStateUnavailable:
    return SharedStateUnavailable(f"the database is unavailable ({first_line(error)})")
