"""Circuit breaker: stops calls to the AI provider for some seconds after several failures in a row.

With Redis all workers share one breaker, so an outage of the provider costs the cluster a few timeouts, not every process.
`pybreaker` loads the client of Redis, so it is imported at the first call of a provider.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

from aura.ai.engines.base import EngineError
from aura.ai.engines.shared_state import RedisState, SharedState, SharedStateUnavailable, unavailable

#: Failures in a row that open the breaker, and seconds until it lets one call through.
FAILURES = 5
OPEN_SECONDS = 10.0
#: The keys of pybreaker's storage.
KEYS = tuple(f"pybreaker:{name}" for name in ("state", "fail_counter", "success_counter", "opened_at"))


def _not_a_failure(error: BaseException) -> bool:
    # a provider that refuses, answers outside the schema or asks for fewer requests works; other exceptions are our own
    return not isinstance(error, EngineError) or error.permanent or error.throttled


class GuardedCall(NamedTuple):
    """A call that has begun: its context manager, and whether it probes a provider that failed."""

    calling: Any
    probing: bool


class CircuitBreaker:
    """Counts failures of calls and rejects calls while it is open."""

    def __init__(self, shared_state: SharedState) -> None:
        self._shared_state = shared_state
        self._made: Any = None
        self._beginning = threading.Lock()
        #: Whether a call of this process finds out if the provider works again; the others wait for its outcome.
        self._probing = False

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
        call = self.begin()
        try:
            yield
        except BaseException as error:
            self.end(call, error)
            raise
        else:
            self.end(call, None)

    def begin(self) -> GuardedCall:
        """Begin a call, which `end` ends. Raises as `guard`."""
        from pybreaker import STATE_CLOSED, CircuitBreakerError

        with self._beginning:
            if probing := self._breaker.current_state != STATE_CLOSED:
                if self._probing:
                    raise _open()
                self._probing = True
            try:
                # not `call`: it holds a lock until the provider answers
                calling = self._breaker.calling()
                calling.__enter__()
            except BaseException as error:
                self._probing = False if probing else self._probing
                if isinstance(error, CircuitBreakerError):
                    raise _open() from None
                raise
            return GuardedCall(calling, probing)

    def end(self, call: GuardedCall, error: BaseException | None) -> None:
        """Count the outcome of a call."""
        try:
            if error is None:
                call.calling.__exit__(None, None, None)
            else:
                call.calling.__exit__(type(error), error, error.__traceback__)
        except BaseException as raised:
            if raised is not error:
                raise
        finally:
            self._probing = False if call.probing else self._probing
            self._renew_expiry()

    def _renew_expiry(self) -> None:
        """Let pybreaker's keys in Redis expire: it sets them without."""
        if isinstance(self._shared_state, RedisState):
            with suppress(SharedStateUnavailable):  # the call has its outcome
                self._shared_state.expire(*KEYS)


def _open() -> EngineError:
    reason = f"the circuit breaker is open after {FAILURES} failures in a row"
    return EngineError(reason, permanent=False, retry_after=OPEN_SECONDS)


def _redis_storage(shared_state: RedisState) -> Any:
    import pybreaker
    from redis import RedisError

    try:
        return pybreaker.CircuitRedisStorage(pybreaker.STATE_CLOSED, shared_state.redis, namespace="aura:ai")
    except RedisError as error:
        raise unavailable(error) from None
