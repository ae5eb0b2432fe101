"""The circuit breaker around the remote engine: after some failures in a row it is left alone for a while, by all.

With Redis the workers share one breaker, so an outage costs the cluster a few timeouts, not each worker its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pybreaker
import redis

from aura.ai.engines.base import EngineError
from aura.ai.engines.shared_state import RedisState, SharedState, SharedStateUnavailable

#: Failures in a row that open the breaker, and the seconds until one call may try again.
FAILURES = 5
OPEN_SECONDS = 10.0


def _no_fault_of_the_provider(error: BaseException) -> bool:
    # a refusal or an answer off the schema came from a server that works; an interrupt came from ourselves
    return not isinstance(error, EngineError) or error.permanent


class Breaker:
    """Lets calls through while the provider works."""

    def __init__(self, store: SharedState) -> None:
        self._store = store
        self._made: Any = None

    @property
    def _breaker(self) -> Any:
        # at first use, for it asks Redis at once, and a worker starts without it too
        if self._made is None:
            self._made = pybreaker.CircuitBreaker(
                fail_max=FAILURES,
                reset_timeout=OPEN_SECONDS,
                exclude=[_no_fault_of_the_provider],
                throw_new_error_on_trip=False,
                state_storage=_shared(self._store) if isinstance(self._store, RedisState) else None,
            )
        return self._made

    @property
    def state(self) -> str:
        """closed, open or half-open. Raises StoreAway."""
        return str(self._breaker.current_state)

    @contextmanager
    def guarding(self) -> Iterator[None]:
        """Count what happens inside. Raises EngineError at once while the breaker is open, StoreAway."""
        # not `call`: that holds a lock for as long as the provider takes to answer
        calling = self._breaker.calling()
        try:
            calling.__enter__()
        except pybreaker.CircuitBreakerError:
            raise EngineError(
                "it failed too often and is left alone for a while", permanent=False, retry_after=OPEN_SECONDS
            ) from None
        try:
            yield
        except BaseException as error:
            calling.__exit__(type(error), error, error.__traceback__)
            raise
        calling.__exit__(None, None, None)


def _shared(store: RedisState) -> Any:
    try:
        return pybreaker.CircuitRedisStorage(pybreaker.STATE_CLOSED, store.redis, namespace="aura:ai")
    except redis.RedisError as error:
        raise SharedStateUnavailable(f"Redis is away ({type(error).__name__})") from None
