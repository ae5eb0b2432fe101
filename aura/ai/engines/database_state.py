"""Shared state of the remote engine in PostgreSQL, for installations without Redis.

Each method is a short transaction of its own. A call costs four to six of them, about five milliseconds beside the second
that a provider takes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import TypeVar

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from aura.ai.engines.shared_state import COUNTER_SECONDS, MissingCounter, SharedStateUnavailable
from aura.settings import first_line
from db import reading, shared_state, transaction

Result = TypeVar("Result")


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

    def _run(self, change: Callable[[Session], Result]) -> Result:
        try:
            with transaction() as session:
                return change(session)
        except SQLAlchemyError as error:
            raise _unavailable(error) from None


def _unavailable(error: SQLAlchemyError) -> SharedStateUnavailable:
    return SharedStateUnavailable(f"the database is unavailable ({first_line(error)})")
