"""Rate limits of the AI provider: requests and tokens a minute, by setting, for all workers together.

A call reserves its place and waits for it. The tokens of a call are known after it: before, they count as the most that they
can be, and then the difference is given back.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aura.ai.engines.base import EngineError
from aura.ai.engines.durations import LONGEST_WAIT
from aura.ai.engines.shared_state import Rate, SharedState
from aura.settings import Settings

if TYPE_CHECKING:
    from aura.ai.engines.async_state import AsyncState

#: The counters, with the setting that each is limited by.
REQUESTS, TOKENS = "rate:requests", "rate:tokens"
SETTINGS = {REQUESTS: "AURA_AI_REQUESTS_PER_MINUTE", TOKENS: "AURA_AI_TOKENS_PER_MINUTE"}


@dataclass(frozen=True, slots=True)
class Rated:
    """The rates of one call, each with its counter and the units that were reserved."""

    limits: tuple[tuple[str, Rate, int], ...]

    def changes(self, tokens: int) -> list[tuple[str, int]]:
        """Return what to add to the counters when the call took so many tokens; 0 if that is not known."""
        return [(key, (tokens - units) * rate.interval) for key, rate, units in self.limits if key == TOKENS and tokens]

    async def settle(self, state: AsyncState, tokens: int) -> None:
        """Replace the tokens that were reserved by those of the call."""
        for key, amount in self.changes(tokens):
            await state.add(key, amount)


def rated(settings: Settings, size: int) -> Rated:
    """Return the rates of a call with an input of so many bytes; none unless they are set."""
    limits = []
    if settings.ai_requests_per_minute:
        limits.append((REQUESTS, Rate(settings.ai_requests_per_minute), 1))
    if settings.ai_tokens_per_minute:
        # a token has at least one byte
        limits.append((TOKENS, Rate(settings.ai_tokens_per_minute), size + settings.ai_max_tokens))
    return Rated(tuple(limits))


def wait_for(state: SharedState, call: Rated) -> None:
    """Wait in this thread until the limits have room for the call. Raises EngineError."""
    for key, rate, units in call.limits:
        wait = state.throttle(key, rate, units, LONGEST_WAIT)
        if wait is None:
            raise exceeded(key)
        time.sleep(wait)


def exceeded(key: str) -> EngineError:
    """Return the error of a call that would wait too long."""
    reason = f"the rate limit is used up for the next {LONGEST_WAIT:g} s ({SETTINGS[key]})"
    return EngineError(reason, permanent=False, retry_after=LONGEST_WAIT)
