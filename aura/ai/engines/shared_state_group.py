"""Runs many calls of the shared state in one transaction of PostgreSQL, with one statement for each kind of call.

The counters are locked once, in one order, and the reservations are decided here, one after the other: as exact as one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy.orm import Session

from aura.ai.engines.shared_state import COUNTER_SECONDS, MICROSECONDS, MissingCounter, Op
from db import shared_state


def run(session: Session, ops: Sequence[Op]) -> list[Any]:
    """Make the calls, in the order that `SharedState.many` documents; return the result of each."""
    by_name: dict[str, list[int]] = {}
    for at, op in enumerate(ops):
        by_name.setdefault(op.name, []).append(at)
    results: list[Any] = [None] * len(ops)

    def arguments(name: str) -> list[tuple[int, tuple[Any, ...]]]:
        return [(at, ops[at].arguments) for at in by_name.get(name, ())]

    if puts := arguments("put"):
        shared_state.put_many(session, {key: (value, seconds) for _, (key, value, seconds) in puts})
    if deletes := arguments("delete"):
        shared_state.delete_texts(session, {key for _, (key,) in deletes})
    if claims := arguments("claim"):
        claimed = shared_state.claim_many(session, {key: seconds for _, (key, seconds) in claims})
        for at, (key, _) in claims:
            results[at] = key in claimed
            claimed.discard(key)  # of equal claims in one list, the first one has it
    if gets := arguments("get"):
        texts = shared_state.texts(session, {key for _, (key,) in gets})
        for at, (key,) in gets:
            results[at] = texts.get(key)
    counting = {at: ops[at] for name in ("add", "reserve", "throttle") for at in by_name.get(name, ())}
    for at, result in _count(session, counting).items():
        results[at] = result
    return results


def _count(session: Session, ops: Mapping[int, Op]) -> dict[int, Any]:
    """Make the calls that change counters."""
    if not ops:
        return {}
    keys, new = set[str](), set[str]()
    for name, arguments in ops.values():
        if name == "reserve":
            limits, _, existing = arguments
            keys |= limits.keys()
            new |= limits.keys() - set(existing)
        else:
            keys.add(arguments[0])
            new |= {arguments[0]} if name == "throttle" else set()
    old, now = shared_state.lock_counters(session, keys, new, COUNTER_SECONDS)
    amounts = dict(old)
    results = {at: _CHANGES[op.name](amounts, now, *op.arguments) for at, op in ops.items()}
    shared_state.set_counters(
        session, {key: amount for key, amount in amounts.items() if amount != old[key]}, COUNTER_SECONDS
    )
    return results


def _add(amounts: dict[str, int], _now: int, key: str, amount: int) -> None:
    if key in amounts:
        amounts[key] = max(amounts[key] + amount, 0)


def _reserve(amounts: dict[str, int], _now: int, limits: Mapping[str, int], amount: int, _existing: Any) -> Any:
    if not amounts.keys() >= limits.keys():
        return MissingCounter()
    for key, limit in limits.items():
        if amounts[key] + amount > limit:
            return key
    for key in limits:
        amounts[key] += amount
    return None


def _throttle(amounts: dict[str, int], now: int, key: str, rate: Any, units: int, longest: float) -> float | None:
    full_at, wait = rate.reserve(amounts[key], now, units)
    if wait > longest * MICROSECONDS:
        return None
    amounts[key] = full_at
    return float(wait / MICROSECONDS)


_CHANGES: dict[str, Callable[..., Any]] = {"add": _add, "reserve": _reserve, "throttle": _throttle}
