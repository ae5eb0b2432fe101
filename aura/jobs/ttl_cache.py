"""A look at what rarely changes: what a query found, for some seconds."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from sqlalchemy.orm import Session

T = TypeVar("T")


class TTLCache(Generic[T]):
    """What `find` returned, until it is `seconds` old or another database is in use."""

    def __init__(self, seconds: float, find: Callable[[Session], T]) -> None:
        self._seconds, self._find = seconds, find
        self._until, self._bind = float("-inf"), None
        self._found: T | None = None

    def __call__(self, session: Session) -> T:
        bind: Any = session.get_bind().engine
        found = self.recent(bind)
        if found is None:
            found, self._bind = self._find(session), bind
            self._found, self._until = found, time.monotonic() + self._seconds
        return found

    def recent(self, bind: Any) -> T | None:
        """Return what was found in the database of that engine, while it is good."""
        return self._found if time.monotonic() <= self._until and bind is self._bind else None
