"""Shared state of the remote engine: counters of costs, cached answers, claims of running calls, the circuit breaker.

It is in Redis if REDIS_URL is set, else in PostgreSQL, and in the memory of the process in embedded mode.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from aura.errors import Unavailable
from aura.settings import Settings

if TYPE_CHECKING:
    import redis

#: Seconds that Redis may take to answer.
TIMEOUT = 2.0
#: Seconds until a counter expires: a day's counter is needed for a day, a ticket's until its last retry.
COUNTER_SECONDS = 7 * 86_400
#: Values that the memory of a process holds, and how many are left when it is full.
MEMORY_MOST, MEMORY_LEFT = 10_000, 9_000
_PREFIX = "aura:ai:"

#: Adds to all counters or to none. KEYS: counters; ARGV: the amount, seconds until they expire, how many of the first
#: counters must exist, and a limit for each.
_RESERVE = """
for i, key in ipairs(KEYS) do
  if i <= tonumber(ARGV[3]) and redis.call('EXISTS', key) == 0 then return -i end
end
for i, key in ipairs(KEYS) do
  if tonumber(redis.call('GET', key) or '0') + tonumber(ARGV[1]) > tonumber(ARGV[i + 3]) then return i end
end
for _, key in ipairs(KEYS) do
  redis.call('INCRBY', key, ARGV[1])
  redis.call('EXPIRE', key, ARGV[2])
end
return 0
"""
#: Adds to a counter that exists, which does not go below zero. A counter that Redis lost is not made again: the reservation
#: that is settled is not in it.
_ADD = """
local old = redis.call('GET', KEYS[1])
if not old then return 0 end
redis.call('SET', KEYS[1], math.max(tonumber(old) + tonumber(ARGV[1]), 0), 'EX', ARGV[2])
return 1
"""


class SharedStateUnavailable(Unavailable):
    """The shared state does not answer, so the costs of today are not known."""


class MissingCounter(Exception):
    """A counter that must exist does not: it is new, or Redis is empty. The caller starts it."""


class SharedState(Protocol):
    """Texts that expire, claims, and counters of whole numbers. Every method may raise SharedStateUnavailable."""

    def get(self, key: str) -> str | None: ...

    def put(self, key: str, value: str, seconds: float) -> None: ...

    def claim(self, key: str, seconds: float) -> bool:
        """Claim the key for some seconds. Returns False if it is claimed already."""

    def delete(self, key: str) -> None: ...

    def reserve(self, limits: Mapping[str, int], amount: int, existing: Collection[str] = ()) -> str | None:
        """Add the amount to all counters and return None, or return the counter that would exceed its limit and add to none.

        `existing` are the first of the counters. Raises MissingCounter if one of them does not exist.
        """

    def start(self, key: str, amount: int) -> None:
        """Create a counter with this amount unless it exists."""

    def add(self, key: str, amount: int) -> None:
        """Add to a counter that exists, which does not go below zero; the amount may be negative."""


class MemoryState:
    """Shared state in the memory of one process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._texts: dict[str, tuple[str, float]] = {}
        self._counters: dict[str, int] = {}

    def get(self, key: str) -> str | None:
        with self._lock:
            value, until = self._texts.get(key, ("", 0.0))
            return value if time.monotonic() < until else None

    def put(self, key: str, value: str, seconds: float) -> None:
        with self._lock:
            if len(self._texts) >= MEMORY_MOST:  # delete the expired texts, and the oldest of the others
                self._texts = {name: text for name, text in self._texts.items() if time.monotonic() < text[1]}
                for old in list(self._texts)[: len(self._texts) - MEMORY_LEFT]:
                    del self._texts[old]
            self._texts[key] = value, time.monotonic() + seconds

    def claim(self, key: str, seconds: float) -> bool:
        with self._lock:
            if time.monotonic() < self._texts.get(key, ("", 0.0))[1]:
                return False
            self._texts[key] = "", time.monotonic() + seconds
            return True

    def delete(self, key: str) -> None:
        with self._lock:
            self._texts.pop(key, None)

    def reserve(self, limits: Mapping[str, int], amount: int, existing: Collection[str] = ()) -> str | None:
        with self._lock:
            if not self._counters.keys() >= set(existing):
                raise MissingCounter
            for key, limit in limits.items():
                if self._counters.get(key, 0) + amount > limit:
                    return key
            for key in limits:
                # the counters that were used last are at the end
                self._counters[key] = self._counters.pop(key, 0) + amount
            if len(self._counters) > MEMORY_MOST:
                for old in list(self._counters)[: len(self._counters) - MEMORY_LEFT]:
                    del self._counters[old]
            return None

    def start(self, key: str, amount: int) -> None:
        with self._lock:
            self._counters.setdefault(key, amount)

    def add(self, key: str, amount: int) -> None:
        with self._lock:
            if key in self._counters:
                self._counters[key] = max(self._counters[key] + amount, 0)


class RedisState:
    """Shared state in Redis, of all workers."""

    def __init__(self, url: str) -> None:
        from redis import Redis  # loaded only with REDIS_URL: its import takes a tenth of a worker's start

        self.redis: Any = Redis.from_url(url, socket_timeout=TIMEOUT, socket_connect_timeout=TIMEOUT)
        self._reserve, self._add = self.redis.register_script(_RESERVE), self.redis.register_script(_ADD)

    def get(self, key: str) -> str | None:
        value = self._run(lambda: self.redis.get(_PREFIX + key))
        return None if value is None else str(value.decode())

    def put(self, key: str, value: str, seconds: float) -> None:
        self._run(lambda: self.redis.set(_PREFIX + key, value, px=max(int(seconds * 1000), 1)))

    def claim(self, key: str, seconds: float) -> bool:
        return bool(self._run(lambda: self.redis.set(_PREFIX + key, "", px=max(int(seconds * 1000), 1), nx=True)))

    def delete(self, key: str) -> None:
        self._run(lambda: self.redis.delete(_PREFIX + key))

    def reserve(self, limits: Mapping[str, int], amount: int, existing: Collection[str] = ()) -> str | None:
        keys, arguments = [_PREFIX + key for key in limits], [amount, COUNTER_SECONDS, len(existing), *limits.values()]
        full = self._run(lambda: self._reserve(keys=keys, args=arguments))
        if full < 0:
            raise MissingCounter
        return list(limits)[full - 1] if full else None

    def start(self, key: str, amount: int) -> None:
        self._run(lambda: self.redis.set(_PREFIX + key, amount, ex=COUNTER_SECONDS, nx=True))

    def add(self, key: str, amount: int) -> None:
        self._run(lambda: self._add(keys=[_PREFIX + key], args=[amount, COUNTER_SECONDS]))

    def expire(self, *keys: str) -> None:
        """Let keys expire as counters do."""
        pipeline = self.redis.pipeline(transaction=False)
        for key in keys:
            pipeline.expire(_PREFIX + key, COUNTER_SECONDS)
        self._run(pipeline.execute)

    def _run(self, call: Any) -> Any:
        from redis import RedisError

        try:
            return call()
        except RedisError as error:
            raise unavailable(error) from None


def unavailable(error: redis.RedisError) -> SharedStateUnavailable:
    """Return the error of a Redis that does not answer."""
    return SharedStateUnavailable(f"Redis is unavailable ({describe(error)})")


def describe(error: Exception) -> str:
    """Return the reason of an error of Redis in one line, such as the refusal of a password."""
    reason = " ".join(str(error).split())[:200]
    return f"{type(error).__name__}: {reason}" if reason else type(error).__name__


def make_shared_state(settings: Settings) -> SharedState:
    """Return the shared state of the settings; opens no connection."""
    if settings.redis_url:
        return RedisState(settings.redis_url.get_secret_value())
    if settings.sqlite:
        return MemoryState()
    from aura.ai.engines.database_state import DatabaseState

    return DatabaseState()
