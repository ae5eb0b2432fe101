"""The remote engine behind its guards, with the local engine at its side.

    mask -> cache -> pause -> budget -> breaker -> the remote engine -> bounds

Whatever stops a question on this way, the local engine answers it at once and the verdict says why; so every ticket
gets a verdict, no call goes beyond the budget, and no text of a ticket decides more than a person would let it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from time import perf_counter

from aura.ai.engines.base import Call, ClassificationRequest, Engine, EngineError, RemoteEngine, Verdict
from aura.ai.engines.budget import Budget, cost
from aura.ai.engines.cache import Cache, key_of
from aura.ai.engines.circuit_breaker import Breaker
from aura.ai.engines.guardrails import apply_guardrails, safe_words
from aura.ai.engines.shared_state import SharedState, SharedStateUnavailable
from aura.ai.text.masking import Masked, mask
from aura.settings import Settings

#: Tickets of one batch that the remote engine is asked about at the same time.
AT_ONCE = 8
#: Seconds for which nobody asks again after Redis was away; and the longest time a provider may make us wait.
STORE_PAUSE, LONGEST_PAUSE = 10.0, 3_600.0
#: Seconds beyond AI_TIMEOUT after which a call is over for certain.
GRACE = 5.0
#: Characters of what the remote engine says that are kept: its reason, its summary, each step.
REASON, SUMMARY, STEP, STEPS = 400, 200, 200, 5
#: What is kept of an answer, to be used again.
_KEPT = (
    *("category", "confidence", "priority", "priority_confidence", "reason", "engine", "model", "prompt_version"),
    *("summary", "sentiment", "self_fix"),
)


class GuardedEngine:
    """Asks the remote engine where it may, and the local engine where it may not."""

    def __init__(self, remote: RemoteEngine, local: Engine, store: SharedState, settings: Settings) -> None:
        self.remote, self.local = remote, local
        self.name = remote.name
        self._settings, self.store = settings, store
        self.budget = Budget(store, settings.ai_budget_day, settings.ai_budget_ticket)
        self.breaker = Breaker(store)
        self._cache = Cache(store, settings.ai_cache_seconds, settings.ai_timeout + GRACE)

    def classify(self, questions: Sequence[ClassificationRequest]) -> list[Verdict]:
        """Return one verdict per question, in order; ``fallback`` says why where the local engine answered."""
        answers = self.upgrade(questions)
        stopped = [at for at, answer in enumerate(answers) if isinstance(answer, EngineError)]
        relief = dict(zip(stopped, self.local.classify([questions[at] for at in stopped]), strict=True))
        return [
            relief[at]._replace(fallback=f"{self.name}: {answer}", calls=answer.calls)
            if isinstance(answer, EngineError)
            else answer
            for at, answer in enumerate(answers)
        ]

    def upgrade(self, questions: Sequence[ClassificationRequest]) -> list[Verdict | EngineError]:
        """Return the remote engine's verdict on each question, or why there is none just now."""
        locals_ = self.local.classify(questions)
        if len(questions) < 2:
            return [self._one(question, local) for question, local in zip(questions, locals_, strict=True)]
        with ThreadPoolExecutor(min(AT_ONCE, len(questions)), thread_name_prefix="classify") as pool:
            return list(pool.map(self._one, questions, locals_))

    def _one(self, question: ClassificationRequest, local: Verdict) -> Verdict | EngineError:
        start = perf_counter()
        try:
            verdict = self._answer(question)
        except EngineError as error:
            return error
        except SharedStateUnavailable as away:
            return EngineError(f"{away}, so nobody knows the budget", permanent=False, retry_after=STORE_PAUSE)
        verdict = verdict._replace(latency_ms=round((perf_counter() - start) * 1000, 1))
        return self.within_bounds(verdict, local)

    def _answer(self, question: ClassificationRequest) -> Verdict:
        masked, found = self.masked(question)
        sent = self.remote.sends(masked)
        key = key_of(self.remote.prompt_version, self.remote.model, sent)
        if (kept := self._cache.get(key)) is not None:
            return _again(kept)
        with self._cache.flight(key) as kept:
            if kept is not None:
                return _again(kept)
            verdict = self._ask(masked, sent, found)
            self._cache.put(key, json.dumps({name: getattr(verdict, name) for name in _KEPT}))
            return verdict

    def _ask(self, question: ClassificationRequest, sent: str, found: dict[str, int]) -> Verdict:
        self._mind_the_pause()
        model = self.remote.model
        asked = len(sent.encode()) + self.remote.instructions_bytes
        reservation = self.budget.reserve(model, question.id, asked, self._settings.ai_max_tokens)
        call = Call(model, self.remote.prompt_version, sent, found, "answered")
        start = perf_counter()
        try:
            with self.breaker.guarding():
                verdict = self.remote.classify([question])[0]
        except EngineError as error:
            # what the provider may charge for counts as the most that it can cost
            spent = reservation.dollars if error.billed else 0.0
            self.budget.settle(reservation, spent)
            if error.sent:
                self._pause(error)
                error.calls = (replace(call, outcome=str(error), cost=spent, latency_ms=_since(start)),)
            raise
        told = verdict.input_tokens + verdict.output_tokens
        spent = cost(model, verdict.input_tokens, verdict.output_tokens) if told else reservation.dollars
        self.budget.settle(reservation, spent)
        call = replace(
            call,
            input_tokens=verdict.input_tokens,
            output_tokens=verdict.output_tokens,
            cost=spent,
            latency_ms=_since(start),
        )
        return verdict._replace(cost=spent, calls=(call,))

    def masked(self, question: ClassificationRequest) -> tuple[ClassificationRequest, dict[str, int]]:
        """Return the question as it may leave the house, and how many of each kind were masked."""
        if self._settings.ai_mask == "off":
            return question, {}
        found: dict[str, int] = {}

        def clean(text: str) -> str:
            masked: Masked = mask(text)
            for kind, count in masked.found.items():
                found[kind] = found.get(kind, 0) + count
            return masked.text

        precedents = tuple(replace(each, text=clean(each.text)) for each in question.precedents)
        return replace(
            question,
            title=clean(question.title),
            description=clean(question.description),
            department=clean(question.department),
            precedents=precedents,
        ), found

    def within_bounds(self, verdict: Verdict, local: Verdict) -> Verdict:
        """Return the remote engine's verdict with what it may not decide or say taken away."""
        priority, cut = apply_guardrails(verdict.priority, local.priority)
        differs = verdict.category != local.category
        return verdict._replace(
            priority=priority,
            reason=safe_words(verdict.reason, REASON)
            + (f" The model said {verdict.priority}; a person may set that." if priority != verdict.priority else ""),
            summary=safe_words(verdict.summary, SUMMARY) or local.summary,
            self_fix=tuple(filter(None, (safe_words(step, STEP) for step in verdict.self_fix[:STEPS])))
            or local.self_fix,
            words=local.words,
            disagreement=f"{local.engine}: {local.category}, {local.priority}" if differs else "",
            review=verdict.confidence < self._settings.review_below or cut or differs,
        )

    def _mind_the_pause(self) -> None:
        paused = self.store.get("pause")
        if paused is not None:
            until, _, reason = paused.partition(" ")
            raise EngineError(reason, permanent=False, retry_after=max(float(until) - time.time(), 0.1))

    def _pause(self, error: EngineError) -> None:
        if error.retry_after:
            seconds = min(error.retry_after, LONGEST_PAUSE)
            self.store.put("pause", f"{time.time() + seconds} {error}", seconds)


def _again(kept: str) -> Verdict:
    said = json.loads(kept)
    return Verdict(**{**said, "self_fix": tuple(said["self_fix"])}, cached=True)


def _since(start: float) -> float:
    return round((perf_counter() - start) * 1000, 1)
