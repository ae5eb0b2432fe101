"""Cache of a query's result with a time to live, one entry for each database."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Any, Generic, TypeVar

import cachetools
from sqlalchemy.orm import Session

T = TypeVar("T")

#: Engines of one process: one that writes and one that reads.
ENGINES = 2


class TTLCache(Generic[T]):
    """Returns the result of `query`, at most `seconds` old. A result of None is not cached."""

    def __init__(self, seconds: float, query: Callable[[Session], T]) -> None:
        self._seconds, self._query = seconds, query
        self._results: cachetools.TLRUCache[Any, T] = cachetools.TLRUCache(
            ENGINES, lambda _bind, _result, now: now + self._seconds
        )
        self._lock = Lock()

    def __call__(self, session: Session) -> T:
        """Return the cached result for the session's database, or run the query."""
        bind: Any = session.get_bind().engine
        cached = self.recent(bind)
        if cached is not None:
            return cached
        result = self._query(session)
        if result is not None:
            with self._lock:
                self._results[bind] = result
        return result

    def recent(self, bind: Any) -> T | None:
        """Return the cached result for the engine, or None."""
        with self._lock:
            return self._results.get(bind)

    def clear(self) -> None:
        """Forget every result."""
        with self._lock:
            self._results.clear()
