"""What all workers must know of the remote engine: what was spent, answers to use again, who is asking just now.

It is kept in Redis when REDIS_URL names one, else in this process, which is enough when there is only one.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any, Protocol

import redis

from aura.errors import Unavailable
from aura.settings import Settings

#: Seconds that Redis may take to answer.
PATIENCE = 2.0
#: Seconds that a counter is kept: a day's is over after a day, a ticket's after its last retry.
COUNTERS_KEPT = 7 * 86_400
_PREFIX = "aura:ai:"

#: Adds to all the counters or to none: KEYS, then the amount, the seconds to keep them, and a limit for each.
_RESERVE = """
for i, key in ipairs(KEYS) do
  if tonumber(redis.call('GET', key) or '0') + tonumber(ARGV[1]) > tonumber(ARGV[i + 2]) then return i end
end
for _, key in ipairs(KEYS) do
  redis.call('INCRBY', key, ARGV[1])
  redis.call('EXPIRE', key, ARGV[2])
end
return 0
"""


class SharedStateUnavailable(Unavailable):
    """What the workers share cannot be reached, so nobody knows what may still be spent."""


class SharedState(Protocol):
    """Texts that expire, claims, and counters of whole numbers. Every method may raise StoreAway."""

    def get(self, key: str) -> str | None: ...

    def put(self, key: str, value: str, seconds: float) -> None: ...

    def claim(self, key: str, seconds: float) -> bool:
        """Return whether nobody else holds the key; it is ours then, for at most so many seconds."""

    def drop(self, key: str) -> None: ...

    def reserve(self, limits: Mapping[str, int], amount: int) -> str | None:
        """Add the amount to all counters, unless it takes one beyond its limit: return that one and add to none."""

    def add(self, key: str, amount: int) -> None:
        """Correct a counter, by a negative amount too."""


class MemoryState:
    """The store of a single process."""

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
            if len(self._texts) >= 10_000:  # forget what expired, and the oldest when nothing has
                self._texts = {k: v for k, v in self._texts.items() if time.monotonic() < v[1]}
                for old in list(self._texts)[: len(self._texts) - 9_000]:
                    del self._texts[old]
            self._texts[key] = value, time.monotonic() + seconds

    def claim(self, key: str, seconds: float) -> bool:
        with self._lock:
            if time.monotonic() < self._texts.get(key, ("", 0.0))[1]:
                return False
            self._texts[key] = "", time.monotonic() + seconds
            return True

    def drop(self, key: str) -> None:
        with self._lock:
            self._texts.pop(key, None)

    def reserve(self, limits: Mapping[str, int], amount: int) -> str | None:
        with self._lock:
            for key, limit in limits.items():
                if self._counters.get(key, 0) + amount > limit:
                    return key
            for key in limits:
                self._counters[key] = self._counters.get(key, 0) + amount
            return None

    def add(self, key: str, amount: int) -> None:
        with self._lock:
            self._counters[key] = self._counters.get(key, 0) + amount


class RedisState:
    """The store that all workers share."""

    def __init__(self, url: str) -> None:
        self.redis: Any = redis.Redis.from_url(url, socket_timeout=PATIENCE, socket_connect_timeout=PATIENCE)
        self._reserve = self.redis.register_script(_RESERVE)

    def get(self, key: str) -> str | None:
        value = self._do(lambda: self.redis.get(_PREFIX + key))
        return None if value is None else str(value.decode())

    def put(self, key: str, value: str, seconds: float) -> None:
        self._do(lambda: self.redis.set(_PREFIX + key, value, px=max(int(seconds * 1000), 1)))

    def claim(self, key: str, seconds: float) -> bool:
        return bool(self._do(lambda: self.redis.set(_PREFIX + key, "", px=max(int(seconds * 1000), 1), nx=True)))

    def drop(self, key: str) -> None:
        self._do(lambda: self.redis.delete(_PREFIX + key))

    def reserve(self, limits: Mapping[str, int], amount: int) -> str | None:
        keys, given = [_PREFIX + key for key in limits], [amount, COUNTERS_KEPT, *limits.values()]
        full = self._do(lambda: self._reserve(keys=keys, args=given))
        return list(limits)[full - 1] if full else None

    def add(self, key: str, amount: int) -> None:
        self._do(lambda: self.redis.incrby(_PREFIX + key, amount))

    def _do(self, call: Any) -> Any:
        try:
            return call()
        except redis.RedisError as error:
            raise SharedStateUnavailable(f"Redis is away ({type(error).__name__})") from None


def make_shared_state(settings: Settings) -> SharedState:
    """Return the store of the settings; opens no connection yet."""
    return RedisState(settings.redis_url.get_secret_value()) if settings.redis_url else MemoryState()
