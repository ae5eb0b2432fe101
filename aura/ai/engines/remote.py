"""Remote engine with fallback: masks, caches, limits and checks every call to an AI provider.

    mask -> cache -> pause -> budget -> rate limits -> circuit breaker -> remote engine -> guardrails

Where one of these steps stops a request, the local engine classifies the ticket, and the verdict's ``fallback`` names the
reason. So every ticket gets a verdict, and no call exceeds the budget.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from time import perf_counter

from aura.ai.engines import rate_limits
from aura.ai.engines.async_remote import AsyncRemoteEngine
from aura.ai.engines.base import Call, ClassificationRequest, Engine, EngineError, RemoteEngine, Verdict
from aura.ai.engines.budget import Budget, Reservation, cost
from aura.ai.engines.circuit_breaker import CircuitBreaker
from aura.ai.engines.durations import GRACE
from aura.ai.engines.guardrails import limit_priority, safe_text
from aura.ai.engines.response_cache import ResponseCache, cache_key
from aura.ai.engines.shared_state import SharedState, SharedStateUnavailable
from aura.ai.text.masking import mask
from aura.settings import Settings

#: Requests of one batch that are sent concurrently.
CONCURRENCY = 8
#: Seconds without calls after the shared state was unavailable; and of the longest pause that a provider can ask for.
SHARED_STATE_PAUSE, LONGEST_PAUSE = 10.0, 3_600.0
#: Characters of an answer that are stored: reason, summary and each step; and the number of steps.
REASON, SUMMARY, STEP, STEPS = 400, 200, 200, 5
#: Fields of a verdict that are cached.
_CACHED = (
    *("category", "confidence", "priority", "priority_confidence", "reason", "engine", "model", "prompt_version"),
    *("summary", "sentiment", "self_fix"),
)


class RemoteEngineWithFallback:
    """Classifies with the remote engine, and with the local engine where the remote engine has no verdict."""

    def __init__(
        self,
        remote: RemoteEngine,
        local: Engine,
        shared_state: SharedState,
        settings: Settings,
        costs_today: Callable[[], float] = lambda: 0.0,
        running_calls: Callable[[], int] = lambda: 0,
    ) -> None:
        self.remote, self.local = remote, local
        self.name = remote.name
        self.shared_state = shared_state
        limits = settings.ai_budget_day, settings.ai_budget_ticket
        self.budget = Budget(shared_state, *limits, costs_today, running_calls)
        self.breaker = CircuitBreaker(shared_state)
        #: Single tickets on an event loop.
        self.single = AsyncRemoteEngine(self, max(settings.ai_concurrency, 1))
        self.settings = settings
        self.cache = ResponseCache(shared_state, settings.ai_cache_seconds, settings.ai_timeout + GRACE)

    def classify(self, requests: Sequence[ClassificationRequest]) -> list[Verdict]:
        """Return one verdict per request, in order; ``fallback`` has the reason where the local engine answered."""
        answers = self.reclassify(requests)
        failed = [at for at, answer in enumerate(answers) if isinstance(answer, EngineError)]
        local = dict(zip(failed, self.local.classify([requests[at] for at in failed]), strict=True))
        return [
            local[at]._replace(fallback=f"{self.name}: {answer}", calls=answer.calls)
            if isinstance(answer, EngineError)
            else answer
            for at, answer in enumerate(answers)
        ]

    def reclassify(self, requests: Sequence[ClassificationRequest]) -> list[Verdict | EngineError]:
        """Return the remote engine's verdict on each request, or the reason why there is none."""
        local_verdicts = self.local.classify(requests)
        if len(requests) < 2:
            return [self._classify_one(*pair) for pair in zip(requests, local_verdicts, strict=True)]
        with ThreadPoolExecutor(min(CONCURRENCY, len(requests)), thread_name_prefix="classify") as pool:
            return list(pool.map(self._classify_one, requests, local_verdicts))

    def _classify_one(self, request: ClassificationRequest, local: Verdict) -> Verdict | EngineError:
        start = perf_counter()
        try:
            verdict = self._cached_or_called(request)
        except EngineError as error:
            return error
        except SharedStateUnavailable as error:
            return self.without_state(error)
        return self.apply_guardrails(verdict._replace(latency_ms=_milliseconds_since(start)), local)

    def _cached_or_called(self, request: ClassificationRequest) -> Verdict:
        masked_request, masked = self.mask(request)
        sent = self.remote.outbound_text(masked_request)
        key = self.cache_key(sent)
        if (cached := self.cache.get(key)) is not None:
            return self.cached_verdict(cached)
        with self.cache.single_flight(key) as cached:
            if cached is not None:
                return self.cached_verdict(cached)
            verdict = self._call(masked_request, sent, masked)
            self.cache.put(key, self.cached_fields(verdict))
            return verdict

    def _call(self, request: ClassificationRequest, sent: str, masked: dict[str, int]) -> Verdict:
        self.raise_if_paused(self.shared_state.get("pause"))
        size = self.size(sent)
        reservation = self.budget.reserve(self.remote.model, request.id, size, self.settings.ai_max_tokens)
        rated = rate_limits.rated(self.settings, size)
        try:
            rate_limits.wait_for(self.shared_state, rated)
        except EngineError:
            self.budget.settle(reservation, 0.0)  # nothing was sent
            raise
        call = Call(self.remote.model, self.remote.prompt_version, sent, masked, "answered")
        start = perf_counter()
        try:
            with self.breaker.guard():
                verdict = self.remote.classify([request])[0]
        except EngineError as error:
            # a call that may be billed counts as the most that it can cost
            charged = reservation.dollars if error.billed else 0.0
            self.budget.settle(reservation, charged)
            if error.sent:
                if pause := self.pause_of(error):
                    self.shared_state.put("pause", *pause)
                error.calls = (self.failed_call(call, error, charged, start),)
            raise
        verdict, call = self.answered_call(call, verdict, reservation, start)
        self.budget.settle(reservation, call.cost)
        for key, amount in rated.changes(call.input_tokens + call.output_tokens):
            self.shared_state.add(key, amount)
        return verdict

    # -- the steps of a call, which `aura.ai.engines.async_remote` shares

    def cache_key(self, sent: str) -> str:
        """Return the key of the answer to a text about a ticket."""
        return cache_key(self.remote.prompt_version, self.remote.model, sent)

    def cached_fields(self, verdict: Verdict) -> str:
        """Return what the cache stores of a verdict."""
        return json.dumps({name: getattr(verdict, name) for name in _CACHED})

    def cached_verdict(self, content: str) -> Verdict:
        """Return the verdict of an answer in the cache."""
        fields = json.loads(content)
        return Verdict(**{**fields, "self_fix": tuple(fields["self_fix"])}, cached=True)

    def size(self, sent: str) -> int:
        """Return the bytes of a request with this text about the ticket."""
        return len(sent.encode()) + self.remote.instructions_bytes

    def failed_call(self, call: Call, error: EngineError, charged: float, start: float) -> Call:
        """Return the record of a call without an answer."""
        return replace(call, outcome=str(error), cost=charged, latency_ms=_milliseconds_since(start))

    def answered_call(
        self, call: Call, verdict: Verdict, reservation: Reservation, start: float
    ) -> tuple[Verdict, Call]:
        """Return the verdict with the costs and the record of its call."""
        tokens = verdict.input_tokens, verdict.output_tokens
        charged = cost(self.remote.model, *tokens) if any(tokens) else reservation.dollars
        call = replace(
            call,
            input_tokens=verdict.input_tokens,
            output_tokens=verdict.output_tokens,
            cost=charged,
            latency_ms=_milliseconds_since(start),
        )
        return verdict._replace(cost=charged, calls=(call,)), call

    def without_state(self, error: SharedStateUnavailable) -> EngineError:
        """Return the error of a request while the shared state does not answer."""
        return EngineError(f"{error}, and with it the budget", permanent=False, retry_after=SHARED_STATE_PAUSE)

    def raise_if_paused(self, pause: str | None) -> None:
        """Raise EngineError if the text of the shared state says that the provider asked for a pause."""
        if pause is not None:
            until, _, reason = pause.partition(" ")
            raise EngineError(reason, permanent=False, retry_after=max(float(until) - time.time(), 0.1))

    def pause_of(self, error: EngineError) -> tuple[str, float] | None:
        """Return the text of the pause that a provider asked for, and its seconds; None if it asked for none."""
        if not error.retry_after:
            return None
        seconds = min(error.retry_after, LONGEST_PAUSE)
        return f"{time.time() + seconds} {error}", seconds

    def mask(self, request: ClassificationRequest) -> tuple[ClassificationRequest, dict[str, int]]:
        """Return the request as it may be sent to the AI provider, and the number of masked values by kind."""
        if self.settings.ai_mask == "off":
            return request, {}
        counts: Counter[str] = Counter()

        def masked(text: str) -> str:
            result = mask(text, names=self.settings.ai_mask_names == "on")
            counts.update(result.found)
            return result.text

        request = replace(
            request,
            title=masked(request.title),
            description=masked(request.description),
            department=masked(request.department),
            examples=tuple(replace(example, text=masked(example.text)) for example in request.examples),
        )
        return request, dict(counts)

    def apply_guardrails(self, verdict: Verdict, local: Verdict) -> Verdict:
        """Return the remote verdict with a priority near the local one, and with texts that are safe to show."""
        priority, limited = limit_priority(verdict.priority, local.priority)
        differs = verdict.category != local.category
        reason = safe_text(verdict.reason, REASON)
        if priority != verdict.priority:
            reason += f" The model answered {verdict.priority}; a person can set that."
        return verdict._replace(
            priority=priority,
            reason=reason,
            summary=safe_text(verdict.summary, SUMMARY) or local.summary,
            self_fix=tuple(filter(None, (safe_text(step, STEP) for step in verdict.self_fix[:STEPS])))
            or local.self_fix,
            words=local.words,
            disagreement=f"{local.engine}: {local.category}, {local.priority}" if differs else "",
            review=verdict.confidence < self.settings.review_below or limited or differs,
        )


def _milliseconds_since(start: float) -> float:
    return round((perf_counter() - start) * 1000, 1)
