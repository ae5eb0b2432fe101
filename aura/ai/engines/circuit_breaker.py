"""Circuit breaker: stops calls to the AI provider for some seconds after several failures in a row.

With Redis all workers share one breaker, so an outage of the provider costs the cluster a few timeouts, not every process.
`pybreaker` loads the client of Redis, so it is imported at the first call of a provider.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from aura.ai.engines.base import EngineError
from aura.ai.engines.shared_state import RedisState, SharedState, SharedStateUnavailable, unavailable

#: Failures in a row that open the breaker, and seconds until it lets one call through.
FAILURES = 5
OPEN_SECONDS = 10.0
#: The keys of pybreaker's storage.
KEYS = tuple(f"pybreaker:{name}" for name in ("state", "fail_counter", "success_counter", "opened_at"))


def _not_a_failure(error: BaseException) -> bool:
    # a provider that refuses or answers outside the schema works; other exceptions are our own
    return not isinstance(error, EngineError) or error.permanent


class CircuitBreaker:
    """Counts failures of calls and rejects calls while it is open."""

    def __init__(self, shared_state: SharedState) -> None:
        self._shared_state = shared_state
        self._made: Any = None

    @property
    def _breaker(self) -> Any:
        # made at the first use: it connects to Redis, and a worker starts without Redis
        if self._made is None:
            import pybreaker

            self._made = pybreaker.CircuitBreaker(
                fail_max=FAILURES,
                reset_timeout=OPEN_SECONDS,
                exclude=[_not_a_failure],
                throw_new_error_on_trip=False,
                state_storage=_redis_storage(self._shared_state)
                if isinstance(self._shared_state, RedisState)
                else None,
            )
        return self._made

    @property
    def state(self) -> str:
        """closed, open or half-open. Raises SharedStateUnavailable."""
        return str(self._breaker.current_state)

    @contextmanager
    def guard(self) -> Iterator[None]:
        """Count the outcome of the block. Raises EngineError while the breaker is open, and SharedStateUnavailable."""
        from pybreaker import CircuitBreakerError

        # not `call`: it holds a lock until the provider answers
        calling = self._breaker.calling()
        try:
            calling.__enter__()
        except CircuitBreakerError:
            reason = f"the circuit breaker is open after {FAILURES} failures in a row"
            raise EngineError(reason, permanent=False, retry_after=OPEN_SECONDS) from None
        try:
            yield
        except BaseException as error:
            calling.__exit__(type(error), error, error.__traceback__)
            raise
        else:
            calling.__exit__(None, None, None)
        finally:
            self._renew_expiry()

    def _renew_expiry(self) -> None:
        """Let pybreaker's keys in Redis expire: it sets them without."""
        if isinstance(self._shared_state, RedisState):
            with suppress(SharedStateUnavailable):  # the call has its outcome
                self._shared_state.expire(*KEYS)


def _redis_storage(shared_state: RedisState) -> Any:
    import pybreaker
    from redis import RedisError

    try:
        return pybreaker.CircuitRedisStorage(pybreaker.STATE_CLOSED, shared_state.redis, namespace="aura:ai")
    except RedisError as error:
        raise unavailable(error) from None
