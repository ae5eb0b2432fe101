"""Shared state of the remote engine: counters of costs, cached answers, claims of running calls, the circuit breaker.

It is in Redis if REDIS_URL is set, else in PostgreSQL, and in the memory of the process in embedded mode.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, cast

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
#: Microseconds of a second; counters of rates hold the time at which they are full.
MICROSECONDS = 1_000_000
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
redis.call('SET', KEYS[1], string.format('%.0f', math.max(tonumber(old) + tonumber(ARGV[1]), 0)), 'EX', ARGV[2])
return 1
"""


#: Reserves units of a rate (see `Rate`) by the clock of Redis. KEYS[1]: the counter; ARGV: microseconds of the units, of the
#: burst and of the longest wait, and seconds until the counter expires. Returns the microseconds to wait, -1 if too long.
_THROTTLE = """
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local full = math.max(tonumber(redis.call('GET', KEYS[1]) or '0'), now) + tonumber(ARGV[1])
local wait = math.max(full - tonumber(ARGV[2]) - now, 0)
if wait > tonumber(ARGV[3]) then return -1 end
redis.call('SET', KEYS[1], string.format('%.0f', full), 'EX', ARGV[4])
return wait
"""


class SharedStateUnavailable(Unavailable):
    """The shared state does not answer, so the costs of today are not known."""


class MissingCounter(Exception):
    """A counter that must exist does not: it is new, or Redis is empty. The caller starts it."""


@dataclass(frozen=True, slots=True)
class Rate:
    """A rate limit: so many units in any window of `seconds`, of which `burst` may come at once.

    The generic cell rate algorithm: the units of a window are the burst and those that the rest of the limit adds meanwhile.
    """

    limit: int
    seconds: float = 60.0

    @property
    def burst(self) -> int:
        return max(self.limit // 10, 1)

    @property
    def interval(self) -> int:
        """Microseconds that a unit takes."""
        return math.ceil(self.seconds * MICROSECONDS / (self.limit - self.burst + 1))

    def reserve(self, full_at: int, now: int, units: int) -> tuple[int, int]:
        """Return the new value of the counter and the microseconds to wait, from its old value and the time.

        More units than the burst wait for an empty window, and no longer; those that follow wait for all of them.
        """
        full_at = max(full_at, now) + units * self.interval
        return full_at, max(full_at - max(self.burst, units) * self.interval - now, 0)


class Op(NamedTuple):
    """A call of a method of SharedState: one of get, put, claim, delete, reserve, add and throttle."""

    name: str
    arguments: tuple[Any, ...]


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

    def throttle(self, key: str, rate: Rate, units: int, longest: float) -> float | None:
        """Reserve units of a rate, and return the seconds to wait before they are used.

        Returns None, and reserves none, if that is more than `longest` seconds.
        """

    def many(self, ops: Sequence[Op]) -> list[Any]:
        """Make many calls, in few round trips; return the result of each, or the exception that it would raise.

        Of the calls of one list, those that release come first (put, delete, add), and a claim comes before every get.
        """


#: The order of the calls in `many`.
ORDER = ("put", "delete", "add", "claim", "get", "reserve", "throttle")


def one_by_one(state: SharedState, ops: Sequence[Op]) -> list[Any]:
    """Make the calls of `many` in its order, one after the other."""
    results: dict[int, Any] = {}
    for at in sorted(range(len(ops)), key=lambda at: ORDER.index(ops[at].name)):
        try:
            results[at] = getattr(state, ops[at].name)(*ops[at].arguments)
        except (MissingCounter, SharedStateUnavailable) as error:
            results[at] = error
    return [results[at] for at in range(len(ops))]


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

    def throttle(self, key: str, rate: Rate, units: int, longest: float) -> float | None:
        with self._lock:
            full_at, wait = rate.reserve(self._counters.get(key, 0), int(time.monotonic() * MICROSECONDS), units)
            if wait > longest * MICROSECONDS:
                return None
            self._counters.pop(key, None)
            self._counters[key] = full_at
            return wait / MICROSECONDS

    def many(self, ops: Sequence[Op]) -> list[Any]:
        return one_by_one(self, ops)


class RedisState:
    """Shared state in Redis, of all workers."""

    def __init__(self, url: str) -> None:
        from redis import Redis  # loaded only with REDIS_URL: its import takes a tenth of a worker's start

        self.redis: Any = Redis.from_url(url, socket_timeout=TIMEOUT, socket_connect_timeout=TIMEOUT)
        self._reserve, self._add = self.redis.register_script(_RESERVE), self.redis.register_script(_ADD)
        self._throttle = self.redis.register_script(_THROTTLE)

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

    def throttle(self, key: str, rate: Rate, units: int, longest: float) -> float | None:
        [wait] = self._send([Op("throttle", (key, rate, units, longest))])
        return cast("float | None", wait)

    def many(self, ops: Sequence[Op]) -> list[Any]:
        try:
            return self._send(ops)
        except SharedStateUnavailable as error:
            return [error] * len(ops)

    def _send(self, ops: Sequence[Op]) -> list[Any]:
        """Make the calls in one round trip."""
        pipeline = self.redis.pipeline(transaction=False)
        order = sorted(range(len(ops)), key=lambda at: ORDER.index(ops[at].name))
        for at in order:
            getattr(self, f"_pipe_{ops[at].name}")(pipeline, *ops[at].arguments)
        answers = dict(zip(order, self._run(pipeline.execute), strict=True))
        return [_read_answer(op, answers[at]) for at, op in enumerate(ops)]

    def _pipe_get(self, pipeline: Any, key: str) -> None:
        pipeline.get(_PREFIX + key)

    def _pipe_put(self, pipeline: Any, key: str, value: str, seconds: float) -> None:
        pipeline.set(_PREFIX + key, value, px=max(int(seconds * 1000), 1))

    def _pipe_claim(self, pipeline: Any, key: str, seconds: float) -> None:
        pipeline.set(_PREFIX + key, "", px=max(int(seconds * 1000), 1), nx=True)

    def _pipe_delete(self, pipeline: Any, key: str) -> None:
        pipeline.delete(_PREFIX + key)

    def _pipe_add(self, pipeline: Any, key: str, amount: int) -> None:
        self._add(keys=[_PREFIX + key], args=[amount, COUNTER_SECONDS], client=pipeline)

    def _pipe_reserve(self, pipeline: Any, limits: Mapping[str, int], amount: int, existing: Collection[str]) -> None:
        arguments = [amount, COUNTER_SECONDS, len(existing), *limits.values()]
        self._reserve(keys=[_PREFIX + key for key in limits], args=arguments, client=pipeline)

    def _pipe_throttle(self, pipeline: Any, key: str, rate: Rate, units: int, longest: float) -> None:
        cost, burst = units * rate.interval, max(rate.burst, units) * rate.interval
        arguments = [cost, burst, int(longest * MICROSECONDS), COUNTER_SECONDS]
        self._throttle(keys=[_PREFIX + key], args=arguments, client=pipeline)

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


def _read_answer(op: Op, answer: Any) -> Any:
    """Return the result of a call from the answer of Redis."""
    if op.name == "get":
        return None if answer is None else answer.decode()
    if op.name == "claim":
        return bool(answer)
    if op.name == "throttle":
        return None if answer < 0 else answer / MICROSECONDS
    if op.name == "reserve":
        return MissingCounter() if answer < 0 else list(op.arguments[0])[answer - 1] if answer else None
    return None


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
