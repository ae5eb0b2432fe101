from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from aura.ai import EngineError
from aura.ai.engines.budget import cost
from aura.ai.engines.local import LocalEngine
from aura.ai.engines.shared_state import RedisState, SharedState
from aura.settings import PRIORITIES, given
from tests.conftest import wait_until
from tests.services import free_port
from tests.unit.ai.engines.scripted import SECRET, VPN, Scripted, another_request, classify, make

pytestmark = pytest.mark.usefixtures("way")

# -- masking ------------------------------------------------------------------------------------------------------------


def test_the_sent_text_is_masked_and_recorded(remote: Scripted, shared_state: SharedState) -> None:
    verdict = classify(make(remote, shared_state))

    assert verdict.engine == "openai"
    [call] = verdict.calls
    assert call.sent == remote.outbound_text(remote.requests[0])
    assert SECRET not in call.sent and "VPN tunnel drops" in call.sent
    assert sum(call.masked.values()) == 1
    assert (call.outcome, call.input_tokens, call.output_tokens) == ("answered", 400, 50)
    assert call.cost == verdict.cost == pytest.approx(cost("test-model", 400, 50))


def test_masking_can_be_switched_off(remote: Scripted, shared_state: SharedState) -> None:
    classify(make(remote, shared_state, ai_mask="off"))
    assert SECRET in remote.requests[0].description


def test_a_call_without_an_answer_is_recorded(remote: Scripted, shared_state: SharedState) -> None:
    remote.error = EngineError("no answer within 5 s", permanent=False, sent=True, billed=True)
    verdict = classify(make(remote, shared_state))

    assert (verdict.engine, verdict.fallback) == ("local", "openai: no answer within 5 s")
    [call] = verdict.calls
    assert call.outcome == "no answer within 5 s"
    assert call.cost > 0, "the provider may charge for it"


# -- response cache -----------------------------------------------------------------------------------------------------


def test_the_cached_verdict_of_an_equal_ticket_costs_nothing(remote: Scripted, shared_state: SharedState) -> None:
    engine = make(remote, shared_state)
    first, second = classify(engine), classify(engine, replace(VPN, id=2))

    assert len(remote.requests) == 1
    assert (first.cached, second.cached) == (False, True)
    assert (second.cost, second.calls) == (0.0, ())
    assert (second.category, second.reason, second.self_fix) == (first.category, first.reason, first.self_fix)


def test_another_model_prompt_or_text_is_no_cache_hit(remote: Scripted, shared_state: SharedState) -> None:
    engine = make(remote, shared_state)
    classify(engine)
    classify(engine, another_request(2))
    remote.model = "other-model"  # type: ignore[misc]
    classify(engine)
    remote.prompt_version = "test-v2"  # type: ignore[misc]
    classify(engine)
    assert len(remote.requests) == 4


def test_without_a_cache_each_ticket_is_sent(remote: Scripted, shared_state: SharedState) -> None:
    engine = make(remote, shared_state, ai_cache_seconds=0)
    assert [classify(engine).cached, classify(engine).cached] == [False, False]
    assert len(remote.requests) == 2


def test_ten_equal_concurrent_requests_share_one_call(remote: Scripted, shared_state: SharedState) -> None:
    engine = make(remote, shared_state)
    remote.answering.clear()
    with ThreadPoolExecutor(10) as pool:
        answers = [pool.submit(classify, engine) for _ in range(10)]
        wait_until(lambda: remote.requests)
        remote.answering.set()
        verdicts = [answer.result(10) for answer in answers]

    assert len(remote.requests) == 1
    assert sum(verdict.cached for verdict in verdicts) == 9


def test_a_failed_call_is_not_cached(remote: Scripted, shared_state: SharedState) -> None:
    engine = make(remote, shared_state)
    remote.error = EngineError("broken", permanent=True, sent=True)
    assert classify(engine).engine == "local"
    remote.error = None
    assert classify(engine).engine == "openai"


# -- budget -------------------------------------------------------------------------------------------------------------


def test_no_call_exceeds_the_budget_of_the_day(remote: Scripted, shared_state: SharedState) -> None:
    most = cost("test-model", len(remote.outbound_text(VPN)) + 1_000, 500)
    engine = make(remote, shared_state, ai_budget_day=most * 2.5, ai_budget_ticket=1.0)
    remote.verdict = remote.verdict._replace(
        input_tokens=0, output_tokens=0
    )  # no tokens in the answer: the reservation counts
    verdicts = [classify(engine, another_request(number)) for number in range(1, 6)]

    assert [verdict.engine for verdict in verdicts] == ["openai", "openai", "local", "local", "local"]
    assert "AURA_AI_BUDGET_DAY" in verdicts[2].fallback
    assert sum(verdict.cost for verdict in verdicts) <= most * 2.5


def test_concurrent_calls_cannot_exceed_the_budget_together(remote: Scripted, shared_state: SharedState) -> None:
    most = cost("test-model", len(remote.outbound_text(another_request(10))) + 1_000, 500)
    engine = make(remote, shared_state, ai_budget_day=most * 3.2, ai_budget_ticket=1.0)
    remote.answering.clear()
    with ThreadPoolExecutor(12) as pool:
        answers = [pool.submit(classify, engine, another_request(number)) for number in range(10, 22)]
        # nine are rejected while the other three wait for the provider
        wait_until(lambda: sum(answer.done() for answer in answers) == 9 and len(remote.requests) == 3)
        remote.answering.set()
        assert sum(answer.result(10).engine == "openai" for answer in answers) == 3


def test_the_budget_of_a_ticket_holds_across_its_retries(remote: Scripted, shared_state: SharedState) -> None:
    most = cost("test-model", len(remote.outbound_text(VPN)) + 1_000, 500)
    engine = make(remote, shared_state, ai_budget_ticket=most * 2.5)
    remote.error = EngineError("no answer", permanent=False, sent=True, billed=True)
    reasons = [classify(engine).fallback for _ in range(3)]

    assert len(remote.requests) == 2
    assert "AURA_AI_BUDGET_TICKET" in reasons[2]


def test_a_call_without_costs_releases_its_reservation(remote: Scripted, shared_state: SharedState) -> None:
    most = cost("test-model", len(remote.outbound_text(VPN)) + 1_000, 500)
    engine = make(remote, shared_state, ai_budget_day=most * 1.5, ai_budget_ticket=1.0)
    remote.error = EngineError("the server answered 500", permanent=True, sent=True)
    for _ in range(3):
        classify(engine)
    assert len(remote.requests) == 3


def test_with_a_budget_of_zero_no_call_is_made(remote: Scripted, shared_state: SharedState) -> None:
    assert classify(make(remote, shared_state, ai_budget_day=0)).engine == "local"
    assert remote.requests == []


def test_without_redis_the_local_engine_answers(remote: Scripted) -> None:
    unavailable = RedisState(f"redis://127.0.0.1:{free_port()}/0")
    verdict = classify(make(remote, unavailable))
    assert verdict.engine == "local"
    assert "Redis is unavailable" in verdict.fallback
    assert remote.requests == [], "the costs of today are not known"


# -- pause and circuit breaker ------------------------------------------------------------------------------------------


def test_a_retry_after_pauses_all_calls(remote: Scripted, shared_state: SharedState) -> None:
    engine = make(remote, shared_state)
    remote.error = EngineError("too many requests (429)", permanent=False, retry_after=60, sent=True)
    verdicts = [classify(engine, another_request(number)) for number in range(3)]

    assert len(remote.requests) == 1
    assert {verdict.fallback for verdict in verdicts} == {"openai: too many requests (429)"}
    [paused] = engine.reclassify([VPN])
    assert isinstance(paused, EngineError)
    assert 50 < (paused.retry_after or 0) <= 60


@pytest.mark.integration
def test_the_pause_holds_for_every_worker(remote: Scripted, redis_url: str) -> None:
    remote.error = EngineError("too many requests (429)", permanent=False, retry_after=60, sent=True)
    classify(make(remote, RedisState(redis_url)))
    classify(make(remote, RedisState(redis_url)), another_request(2))
    assert len(remote.requests) == 1


def test_calls_run_concurrently(remote: Scripted, shared_state: SharedState) -> None:
    engine = make(remote, shared_state)
    remote.answering.clear()
    with ThreadPoolExecutor(4) as pool:
        answers = [pool.submit(classify, engine, another_request(number)) for number in range(4)]
        wait_until(lambda: len(remote.requests) == 4, 90, "all four are under way at once")
        remote.answering.set()
        assert {answer.result(90).engine for answer in answers} == {"openai"}


# -- guardrails ---------------------------------------------------------------------------------------------------------


def test_a_priority_is_at_most_one_level_above_the_local_one(remote: Scripted, shared_state: SharedState) -> None:
    local = LocalEngine(given().categories).classify([VPN])[0]
    remote.verdict = remote.verdict._replace(priority="critical")
    verdict = classify(make(remote, shared_state))

    assert PRIORITIES.index(verdict.priority) <= PRIORITIES.index(local.priority) + 1
    assert verdict.review, "a person decides about a higher one"


def test_a_different_local_category_needs_review(remote: Scripted, shared_state: SharedState) -> None:
    assert not classify(make(remote, shared_state)).disagreement
    remote.verdict = remote.verdict._replace(category="Hardware")
    verdict = classify(make(remote, shared_state), another_request(2))
    assert verdict.category == "Hardware"
    assert verdict.disagreement.startswith("local: Network")
    assert verdict.review


def test_the_texts_of_an_answer_hold_no_links_and_addresses(remote: Scripted, shared_state: SharedState) -> None:
    remote.verdict = remote.verdict._replace(
        reason="Go to https://evil.example/login now",
        summary="<b>x</b> mail evil@example.com",
        self_fix=("Call https://evil.example", "Restart the client."),
    )
    verdict = classify(make(remote, shared_state))
    for text in (verdict.reason, verdict.summary, *verdict.self_fix):
        assert "evil" not in text and "<b>" not in text
    assert "Restart the client." in verdict.self_fix
