"""The guards around the remote engine: mask, cache, pause, budget, breaker, bounds; in one process and over Redis."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from aura.ai import ClassificationRequest, EngineError, Verdict
from aura.ai.engines import circuit_breaker as breakers
from aura.ai.engines.budget import MICRO, Budget, cost, price
from aura.ai.engines.cache import Cache
from aura.ai.engines.local import LocalEngine
from aura.ai.engines.remote import GuardedEngine
from aura.ai.engines.shared_state import MemoryState, RedisState, SharedState, SharedStateUnavailable
from aura.settings import given
from tests.conftest import wait_until
from tests.services import free_port

SECRET = "ada.lovelace@example.com"
VPN = ClassificationRequest("VPN drops", f"The VPN tunnel drops all the time. Mail me at {SECRET}", id=1)


class Scripted:
    """A remote engine that does what the test says and remembers what it was asked."""

    name, model, prompt_version, instructions_bytes = "openai", "test-model", "test-v1", 1_000

    def __init__(self) -> None:
        self.asked: list[ClassificationRequest] = []
        self.error: EngineError | None = None
        self.says = Verdict(
            "Network", 0.9, "medium", 0.9, "The tunnel drops.", self.name, self.model, self.prompt_version,
            input_tokens=400, output_tokens=50, summary="The VPN drops.", sentiment="negative", self_fix=("Reconnect.",),
        )  # fmt: skip
        self.hold = threading.Event()
        self.hold.set()

    def sends(self, question: ClassificationRequest) -> str:
        return f"{question.title}\n{question.description}"

    def classify(self, questions: Sequence[ClassificationRequest]) -> list[Verdict]:
        self.asked += questions
        assert self.hold.wait(10)
        if self.error is not None:
            raise self.error
        return [self.says for _ in questions]


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.integration)])
def store(request: pytest.FixtureRequest) -> SharedState:
    return MemoryState() if request.param == "memory" else RedisState(request.getfixturevalue("redis_url"))


@pytest.fixture
def remote() -> Iterator[Scripted]:
    remote = Scripted()
    yield remote
    remote.hold.set()


def guarded(remote: Scripted, store: SharedState, **values: Any) -> GuardedEngine:
    settings = given(**values)
    return GuardedEngine(remote, LocalEngine(settings.categories), store, settings)


def ask(engine: GuardedEngine, question: ClassificationRequest = VPN) -> Verdict:
    return engine.classify([question])[0]


def different(number: int) -> ClassificationRequest:
    return replace(VPN, title=f"VPN drops {number}", id=number)


# -- what leaves the house ---------------------------------------------------------------------------------------------


def test_what_is_sent_is_masked_and_written_down(remote: Scripted, store: SharedState) -> None:
    verdict = ask(guarded(remote, store))

    assert verdict.engine == "openai"
    [call] = verdict.calls
    assert call.sent == remote.sends(remote.asked[0])
    assert SECRET not in call.sent and "VPN tunnel drops" in call.sent
    assert sum(call.masked.values()) == 1
    assert (call.outcome, call.input_tokens, call.output_tokens) == ("answered", 400, 50)
    assert call.cost == verdict.cost == pytest.approx(cost("test-model", 400, 50))


def test_the_mask_can_be_taken_off(remote: Scripted, store: SharedState) -> None:
    ask(guarded(remote, store, ai_mask="off"))
    assert SECRET in remote.asked[0].description


def test_what_left_is_written_down_when_no_answer_came(remote: Scripted, store: SharedState) -> None:
    remote.error = EngineError("no answer within 5 s", permanent=False, sent=True, billed=True)
    verdict = ask(guarded(remote, store))

    assert (verdict.engine, verdict.fallback) == ("local", "openai: no answer within 5 s")
    [call] = verdict.calls
    assert call.outcome == "no answer within 5 s"
    assert call.cost > 0, "the provider may charge for it"


# -- answers used again ------------------------------------------------------------------------------------------------


def test_an_equal_ticket_costs_nothing(remote: Scripted, store: SharedState) -> None:
    engine = guarded(remote, store)
    first, second = ask(engine), ask(engine, replace(VPN, id=2))

    assert len(remote.asked) == 1
    assert (first.cached, second.cached) == (False, True)
    assert (second.cost, second.calls) == (0.0, ())
    assert (second.category, second.reason, second.self_fix) == (first.category, first.reason, first.self_fix)


def test_another_model_prompt_or_text_is_another_question(remote: Scripted, store: SharedState) -> None:
    engine = guarded(remote, store)
    ask(engine)
    ask(engine, different(2))
    remote.model = "other-model"  # type: ignore[misc]
    ask(engine)
    remote.prompt_version = "test-v2"  # type: ignore[misc]
    ask(engine)
    assert len(remote.asked) == 4


def test_without_a_cache_each_ticket_is_asked_about(remote: Scripted, store: SharedState) -> None:
    engine = guarded(remote, store, ai_cache_seconds=0)
    assert [ask(engine).cached, ask(engine).cached] == [False, False]
    assert len(remote.asked) == 2


def test_ten_that_ask_the_same_at_once_cost_one_call(remote: Scripted, store: SharedState) -> None:
    engine = guarded(remote, store)
    remote.hold.clear()
    with ThreadPoolExecutor(10) as pool:
        answers = [pool.submit(ask, engine) for _ in range(10)]
        wait_until(lambda: remote.asked, 5)
        remote.hold.set()
        verdicts = [answer.result(10) for answer in answers]

    assert len(remote.asked) == 1
    assert sum(verdict.cached for verdict in verdicts) == 9


def test_when_the_one_who_asks_fails_the_next_one_asks(remote: Scripted, store: SharedState) -> None:
    engine = guarded(remote, store)
    remote.error = EngineError("broken", permanent=True, sent=True)
    assert ask(engine).engine == "local"
    remote.error = None
    assert ask(engine).engine == "openai"


def test_who_waits_for_a_flight_that_died_asks_in_the_end(store: SharedState) -> None:
    cache = Cache(store, seconds=60, longest_call=0.3)
    assert store.claim("flight:question", 60), "somebody asks, and dies"
    with cache.flight("question") as answer:
        assert answer is None


# -- the budget --------------------------------------------------------------------------------------------------------


def test_no_call_goes_beyond_the_days_budget(remote: Scripted, store: SharedState) -> None:
    most = cost("test-model", len(remote.sends(VPN)) + 1_000, 500)
    engine = guarded(remote, store, ai_budget_day=most * 2.5, ai_budget_ticket=1.0)
    remote.says = remote.says._replace(
        input_tokens=0, output_tokens=0
    )  # a server that does not tell: the most it can be
    verdicts = [ask(engine, different(number)) for number in range(1, 6)]

    assert [verdict.engine for verdict in verdicts] == ["openai", "openai", "local", "local", "local"]
    assert "AURA_AI_BUDGET_DAY" in verdicts[2].fallback
    assert sum(verdict.cost for verdict in verdicts) <= most * 2.5


def test_many_at_once_cannot_pass_the_budget_together(remote: Scripted, store: SharedState) -> None:
    most = cost("test-model", len(remote.sends(different(10))) + 1_000, 500)
    engine = guarded(remote, store, ai_budget_day=most * 3.2, ai_budget_ticket=1.0)
    remote.hold.clear()
    with ThreadPoolExecutor(12) as pool:
        answers = [pool.submit(ask, engine, different(number)) for number in range(10, 22)]
        wait_until(lambda: sum(answer.done() for answer in answers) == 9, 10)
        assert len(remote.asked) == 3, "the others were turned away while these three ran"
        remote.hold.set()
        assert sum(answer.result(10).engine == "openai" for answer in answers) == 3


def test_a_ticket_has_a_budget_of_its_own_across_its_retries(remote: Scripted, store: SharedState) -> None:
    most = cost("test-model", len(remote.sends(VPN)) + 1_000, 500)
    engine = guarded(remote, store, ai_budget_ticket=most * 2.5)
    remote.error = EngineError("no answer", permanent=False, sent=True, billed=True)
    reasons = [ask(engine).fallback for _ in range(3)]

    assert len(remote.asked) == 2
    assert "AURA_AI_BUDGET_TICKET" in reasons[2]


def test_a_call_that_cost_nothing_gives_its_reservation_back(remote: Scripted, store: SharedState) -> None:
    most = cost("test-model", len(remote.sends(VPN)) + 1_000, 500)
    engine = guarded(remote, store, ai_budget_day=most * 1.5, ai_budget_ticket=1.0)
    remote.error = EngineError("the server answered 500", permanent=True, sent=True)
    for _ in range(3):
        ask(engine)
    assert len(remote.asked) == 3


def test_what_was_spent_before_this_process_began_counts() -> None:
    budget = Budget(MemoryState(), day=1.0, ticket=1.0)
    budget.opened_with(0.999999)
    with pytest.raises(EngineError, match="AURA_AI_BUDGET_DAY") as raised:
        budget.reserve("test-model", 1, 1_000, 500)
    assert raised.value.retry_after is not None and 0 < raised.value.retry_after <= 86_400


def test_a_budget_of_nothing_asks_nobody(remote: Scripted, store: SharedState) -> None:
    assert ask(guarded(remote, store, ai_budget_day=0)).engine == "local"
    assert remote.asked == []


def test_when_redis_is_away_the_local_engine_answers(remote: Scripted) -> None:
    away = RedisState(f"redis://127.0.0.1:{free_port()}/0")
    verdict = ask(guarded(remote, away))
    assert verdict.engine == "local"
    assert "Redis is away" in verdict.fallback
    assert remote.asked == [], "nobody knows what may still be spent"


def test_a_reservation_is_settled_by_what_was_spent(store: SharedState) -> None:
    budget = Budget(store, day=1.0, ticket=1.0)
    budget.settle(budget.reserve("test-model", 7, 10_000, 500), 0.25)
    assert store.reserve({"ticket:7": round(0.75 * MICRO)}, round(0.5 * MICRO)) is None
    assert store.reserve({"ticket:7": round(0.75 * MICRO)}, 1) == "ticket:7"


def test_prices_have_dates_and_an_unknown_model_has_one_too() -> None:
    from datetime import date

    day = date(2026, 11, 24)
    assert price("gpt-6-luna-2026-11-01", day) == price("gpt-6-luna", day)
    assert all(each > 0 for each in price("somebody-elses-model", day))


# -- pause and breaker -------------------------------------------------------------------------------------------------


def test_a_provider_that_asks_for_a_pause_gets_it(remote: Scripted, store: SharedState) -> None:
    engine = guarded(remote, store)
    remote.error = EngineError("too many requests (429)", permanent=False, retry_after=60, sent=True)
    verdicts = [ask(engine, different(number)) for number in range(3)]

    assert len(remote.asked) == 1
    assert {verdict.fallback for verdict in verdicts} == {"openai: too many requests (429)"}
    [waits] = engine.upgrade([VPN])
    assert isinstance(waits, EngineError)
    assert 50 < (waits.retry_after or 0) <= 60


@pytest.mark.integration
def test_the_pause_holds_for_every_worker(remote: Scripted, redis_url: str) -> None:
    remote.error = EngineError("too many requests (429)", permanent=False, retry_after=60, sent=True)
    ask(guarded(remote, RedisState(redis_url)))
    ask(guarded(remote, RedisState(redis_url)), different(2))
    assert len(remote.asked) == 1


def test_the_breaker_opens_and_closes_again(remote: Scripted, store: SharedState) -> None:
    engine = guarded(remote, store)
    remote.error = EngineError("the server answered 500", permanent=False, sent=True)
    for number in range(breakers.FAILURES + 3):
        assert ask(engine, different(number)).engine == "local"
    assert len(remote.asked) == breakers.FAILURES
    assert engine.breaker.state == "open"

    remote.error = None
    engine.breaker._breaker.reset_timeout = 0.01  # as if ten seconds had passed
    wait_until(lambda: ask(engine, different(99)).engine == "openai", 10)
    assert engine.breaker.state == "closed"


def test_a_refusal_is_no_fault_of_the_provider(remote: Scripted, store: SharedState) -> None:
    engine = guarded(remote, store)
    remote.error = EngineError("the model refused to answer", permanent=True, sent=True, billed=True)
    for number in range(breakers.FAILURES + 3):
        ask(engine, different(number))
    assert len(remote.asked) == breakers.FAILURES + 3
    assert engine.breaker.state == "closed"


@pytest.mark.integration
def test_workers_share_the_breaker(remote: Scripted, redis_url: str) -> None:
    first, second = (guarded(remote, RedisState(redis_url)) for _ in range(2))
    remote.error = EngineError("the server answered 500", permanent=False, sent=True)
    for number in range(breakers.FAILURES):
        ask(first, different(number))
    assert "left alone" in ask(second, different(50)).fallback
    assert len(remote.asked) == breakers.FAILURES


def test_calls_run_side_by_side(remote: Scripted, store: SharedState) -> None:
    engine = guarded(remote, store)
    remote.hold.clear()
    with ThreadPoolExecutor(4) as pool:
        answers = [pool.submit(ask, engine, different(number)) for number in range(4)]
        wait_until(lambda: len(remote.asked) == 4, 5, "all four are under way at once")
        remote.hold.set()
        assert {answer.result(10).engine for answer in answers} == {"openai"}


# -- bounds ------------------------------------------------------------------------------------------------------------


def test_a_priority_goes_one_level_above_the_local_engines_and_no_further(remote: Scripted, store: SharedState) -> None:
    local = LocalEngine(given().categories).classify([VPN])[0]
    remote.says = remote.says._replace(priority="critical")
    verdict = ask(guarded(remote, store))

    levels = ("low", "medium", "high", "critical")
    assert levels.index(verdict.priority) <= levels.index(local.priority) + 1
    assert verdict.review, "a person decides about more"


def test_a_disagreement_about_the_category_needs_review(remote: Scripted, store: SharedState) -> None:
    assert not ask(guarded(remote, store)).disagreement
    remote.says = remote.says._replace(category="Hardware")
    verdict = ask(guarded(remote, store), different(2))
    assert verdict.category == "Hardware"
    assert verdict.disagreement.startswith("local: Network")
    assert verdict.review


def test_what_the_model_wrote_is_cleaned_before_anybody_reads_it(remote: Scripted, store: SharedState) -> None:
    remote.says = remote.says._replace(
        reason="Go to https://evil.example/login now",
        summary="<b>x</b> mail evil@example.com",
        self_fix=("Call https://evil.example", "Restart the client."),
    )
    verdict = ask(guarded(remote, store))
    for text in (verdict.reason, verdict.summary, *verdict.self_fix):
        assert "evil" not in text and "<b>" not in text
    assert "Restart the client." in verdict.self_fix


# -- the store ---------------------------------------------------------------------------------------------------------


def test_a_text_is_gone_after_its_time(store: SharedState) -> None:
    store.put("greeting", "hällo", 0.1)
    assert store.get("greeting") == "hällo"
    wait_until(lambda: store.get("greeting") is None, 5)


def test_a_claim_is_held_by_one_until_it_is_dropped_or_over(store: SharedState) -> None:
    assert store.claim("flight", 60)
    assert not store.claim("flight", 60)
    store.drop("flight")
    assert store.claim("flight", 0.1)
    wait_until(lambda: store.claim("flight", 60), 5)


def test_a_reservation_adds_to_all_counters_or_to_none(store: SharedState) -> None:
    assert store.reserve({"day": 10, "one": 5}, 5) is None
    assert store.reserve({"day": 10, "one": 5}, 1) == "one"
    assert store.reserve({"day": 10, "two": 5}, 5) is None
    assert store.reserve({"day": 10, "three": 5}, 1) == "day"
    store.add("day", -3)
    assert store.reserve({"day": 10, "three": 5}, 3) is None


def test_a_process_keeps_no_more_answers_than_it_has_room_for() -> None:
    store = MemoryState()
    for number in range(10_500):
        store.put(f"answer:{number}", "x", 3600)
    assert len(store._texts) <= 10_000
    assert store.get("answer:10499") == "x"


def test_redis_that_is_away_is_said_so() -> None:
    with pytest.raises(SharedStateUnavailable, match="Redis is away"):
        RedisState(f"redis://127.0.0.1:{free_port()}/0").get("x")
