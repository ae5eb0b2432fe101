"""Asynchronous calls of the remote engine: the steps of `aura.ai.engines.remote` for one ticket, hundreds of which are in flight.

    mask -> cache -> pause -> budget -> rate limits -> circuit breaker -> remote engine -> guardrails

Whatever computes or blocks is done for a batch before (`prepare`), or in a thread; the event loop only waits.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, TypeVar

from aura.ai.engines import rate_limits
from aura.ai.engines.async_state import AsyncState
from aura.ai.engines.base import Call, ClassificationRequest, EngineError, Verdict
from aura.ai.engines.budget import Reservation, used_up
from aura.ai.engines.concurrency import Concurrency
from aura.ai.engines.durations import LONGEST_WAIT
from aura.ai.engines.response_cache import POLL_INTERVAL, answer_key, flight_key
from aura.ai.engines.shared_state import MissingCounter, RedisState, SharedStateUnavailable

if TYPE_CHECKING:
    from aura.ai.engines.remote import RemoteEngineWithFallback

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class PreparedRequest:
    """A request that is ready to be sent, and the local engine's verdict on it."""

    request: ClassificationRequest
    masked: dict[str, int]
    #: The text about the ticket as it is sent, and the key of its answer.
    sent: str
    key: str
    local: Verdict


class AsyncRemoteEngine:
    """Classifies single tickets on an event loop; made once for each remote engine."""

    def __init__(self, engine: RemoteEngineWithFallback, most: int) -> None:
        self._engine = engine
        self.concurrency = Concurrency(most)
        self._states: tuple[asyncio.AbstractEventLoop, AsyncState] | None = None

    def prepare(self, requests: Sequence[ClassificationRequest]) -> list[PreparedRequest]:
        """Mask the requests and classify them locally; in a thread."""
        local = self._engine.local.classify(requests)
        return [self._prepare(*pair) for pair in zip(requests, local, strict=True)]

    def _prepare(self, request: ClassificationRequest, local: Verdict) -> PreparedRequest:
        masked_request, masked = self._engine.mask(request)
        sent = self._engine.remote.outbound_text(masked_request)
        return PreparedRequest(masked_request, masked, sent, self._engine.cache_key(sent), local)

    async def classify(self, prepared: PreparedRequest) -> Verdict:
        """Return the verdict; ``fallback`` has the reason where the local engine answered."""
        answer = await self.reclassify(prepared)
        if isinstance(answer, EngineError):
            return prepared.local._replace(fallback=f"{self._engine.name}: {answer}", calls=answer.calls)
        return answer

    async def reclassify(self, prepared: PreparedRequest) -> Verdict | EngineError:
        """Return the remote engine's verdict, or the reason why there is none."""
        start = perf_counter()
        try:
            verdict = await self._cached_or_called(prepared)
        except EngineError as error:
            return error
        except SharedStateUnavailable as error:
            return self._engine.without_state(error)
        verdict = verdict._replace(latency_ms=round((perf_counter() - start) * 1000, 1))
        return self._engine.apply_guardrails(verdict, prepared.local)

    def _state(self) -> AsyncState:
        loop = asyncio.get_running_loop()
        if self._states is None or self._states[0] is not loop:
            self._states = loop, AsyncState(self._engine.shared_state)
        return self._states[1]

    async def _cached_or_called(self, prepared: PreparedRequest) -> Verdict:
        cache, state = self._engine.cache, self._state()
        if not cache.seconds:
            return await self._call(prepared, state, await state.get("pause"))
        # equal tickets of this process wait without asking the shared state again and again
        while (running := state.running.get(prepared.key)) is not None:
            await running.wait()
            if (answer := await state.get(answer_key(prepared.key))) is not None:
                return self._engine.cached_verdict(answer)
        state.running[prepared.key] = done = asyncio.Event()
        try:
            return await self._single_flight(prepared, state)
        finally:
            del state.running[prepared.key]
            done.set()

    async def _single_flight(self, prepared: PreparedRequest, state: AsyncState) -> Verdict:
        """Return the verdict of a call, or that of an equal call of another process."""
        cache = self._engine.cache
        flight, until = flight_key(prepared.key), time.monotonic() + cache.longest_call
        while True:
            # the claim comes first: the call that held it before has stored its answer
            claimed, answer, pause = await asyncio.gather(
                state.claim(flight, cache.longest_call), state.get(answer_key(prepared.key)), state.get("pause")
            )
            if claimed or answer is not None or time.monotonic() > until:
                break
            await asyncio.sleep(POLL_INTERVAL)
        stored: list[str] = []
        try:
            if answer is not None:
                return self._engine.cached_verdict(answer)
            verdict = await self._call(prepared, state, pause)
            stored.append(self._engine.cached_fields(verdict))
            return verdict
        finally:
            # also after a cancellation
            releases = [state.put(answer_key(prepared.key), each, cache.seconds) for each in stored]
            await asyncio.gather(*releases, *([state.delete(flight)] if claimed else []))

    async def _call(self, prepared: PreparedRequest, state: AsyncState, pause: str | None) -> Verdict:
        engine = self._engine
        engine.raise_if_paused(pause)
        size = engine.size(prepared.sent)
        reservation = await self._reserve(state, prepared.request.id, size)
        try:
            rated = await self._throttle(state, size)
            guarded = await self._in_thread(engine.breaker.begin)
        except BaseException:
            await self._settle(state, reservation, 0.0)  # nothing was sent
            raise
        call = Call(engine.remote.model, engine.remote.prompt_version, prepared.sent, prepared.masked, "answered")
        start, began = perf_counter(), time.monotonic()
        failure: BaseException | None = None
        try:
            verdict = await engine.remote.classify_one(prepared.request)
        except EngineError as error:
            failure = error
            if error.throttled or (error.sent and error.retry_after):
                self.concurrency.refused(began)
            charged = reservation.dollars if error.billed else 0.0
            await self._settle(state, reservation, charged)
            if error.sent:
                await self._pause(state, error)
                error.calls = (engine.failed_call(call, error, charged, start),)
            raise
        except BaseException as error:
            failure = error  # a cancelled call may be billed: its reservation counts, as that of a crashed worker
            raise
        finally:
            await self._in_thread(lambda: engine.breaker.end(guarded, failure))
        self.concurrency.answered()
        verdict, call = engine.answered_call(call, verdict, reservation, start)
        await asyncio.gather(
            self._settle(state, reservation, call.cost), rated.settle(state, call.input_tokens + call.output_tokens)
        )
        return verdict

    async def _reserve(self, state: AsyncState, ticket_id: int, size: int) -> Reservation:
        budget, settings = self._engine.budget, self._engine.settings
        limits, reservation = budget.limits(self._engine.remote.model, ticket_id, size, settings.ai_max_tokens)
        day = next(iter(limits))
        while True:
            try:
                full = await state.reserve(limits, reservation.amount, (day,))
            except MissingCounter:
                await asyncio.to_thread(budget.start, day, reservation.amount)
            else:
                if full is not None:
                    raise used_up(full)
                return reservation

    async def _settle(self, state: AsyncState, reservation: Reservation, dollars: float) -> None:
        changes = self._engine.budget.changes(reservation, dollars)
        await asyncio.gather(*(state.add(key, amount) for key, amount in changes))

    async def _throttle(self, state: AsyncState, size: int) -> rate_limits.Rated:
        """Wait until the rate limits have room for the call."""
        rated = rate_limits.rated(self._engine.settings, size)
        for key, rate, units in rated.limits:
            wait = await state.throttle(key, rate, units, LONGEST_WAIT)
            if wait is None:
                raise rate_limits.exceeded(key)
            await asyncio.sleep(wait)
        return rated

    async def _pause(self, state: AsyncState, error: EngineError) -> None:
        if found := self._engine.pause_of(error):
            await state.put("pause", *found)

    async def _in_thread(self, call: Callable[[], Result]) -> Result:
        """Call the circuit breaker; in a thread if it asks Redis."""
        if isinstance(self._engine.shared_state, RedisState):
            return await asyncio.to_thread(call)
        return call()
