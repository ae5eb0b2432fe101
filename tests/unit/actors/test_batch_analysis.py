"""Re-analysis through the provider's Batch API: each phase once and a verdict for every ticket, whatever fails."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from sqlalchemy import select, update
from sqlalchemy.orm import Session
from werkzeug import Request, Response

from actors import analysis
from aura.ai import ClassificationRequest
from aura.ai.engines import factory
from aura.ai.engines.budget import MICRO
from aura.ai.engines.circuit_breaker import FAILURES
from aura.ai.engines.shared_state import MemoryState
from aura.settings import get_settings
from db import analysis_batches, reading, tickets, transaction
from db.models import AiCall, AnalysisBatch, Comment, Job, Notification, SharedCounter, Ticket, VerdictRecord
from db.new_tickets import NewTicket
from db.time import from_now, now
from pipelines.reanalysis import reanalyze_changed, reanalyze_stale, reclassify
from pipelines.triage import triage
from tests.embedded import CrashBeforeCommit, Hand, all_jobs, count, letters, move
from tests.openai_server import CHAT, GOOD, BatchProvider, completion

SECRET = "ada.lovelace@example.com"
TICKETS = 5


@pytest.fixture(autouse=True)
def _fresh_engine() -> Iterator[None]:
    """Leave no engine behind, nor what it has spent."""
    yield
    factory.reset()


@pytest.fixture
def provider(httpserver: HTTPServer) -> BatchProvider:
    provider = BatchProvider()
    httpserver.expect_request(re.compile(r"/v1/(files|batches).*")).respond_with_handler(provider)
    return provider


@pytest.fixture
def stale_tickets(
    database: str, provider: BatchProvider, httpserver: HTTPServer, configure: Callable[..., Any], hand: Hand
) -> list[int]:
    """Tickets that the local engine judged four days ago, and OpenAI with its Batch API since then."""
    reports = [
        NewTicket(title=f"VPN drops {n}", description=f"Mail {SECRET}", requester=SECRET) for n in range(TICKETS)
    ]
    with transaction() as session:
        ids = tickets.create(session, "test", [(report, {}) for report in reports])
        triage.send_many(ids)
    hand.run()
    move(Ticket, classified_at=-4 * 86_400)
    url = httpserver.url_for("/v1")
    configure(OPENAI_API_KEY="key", OPENAI_BASE_URL=url, AURA_AI_BATCH_ABOVE="3", AURA_AI_CACHE_SECONDS="0")
    return ids


def go(hand: Hand, rounds: int = 1) -> None:
    """Let the batch do so many phases, whenever they are due."""
    for _ in range(rounds):
        with transaction() as session:
            session.execute(update(Job).where(Job.actor == "advance").values(due_at=from_now(-1)))
        hand.relay()
        hand.work()


def batch() -> AnalysisBatch:
    with reading() as session:
        return session.scalars(select(AnalysisBatch)).one()


def newest(ticket: int) -> VerdictRecord:
    with reading() as session:
        mine = select(VerdictRecord).where(VerdictRecord.ticket_id == ticket).order_by(VerdictRecord.id.desc())
        return session.scalars(mine.limit(1)).one()


def calls() -> list[AiCall]:
    with reading() as session:
        return list(session.scalars(select(AiCall).order_by(AiCall.ticket_id)))


def alone() -> dict[str, list[Any]]:
    return {job.key: job.args for job in all_jobs() if job.actor == "reanalyze"}


def spent() -> int:
    """Return what the budget counts for today, in millionths of a dollar."""
    guarded: Any = factory.make_engine(get_settings(), analysis.spent_today)
    if isinstance(guarded.shared_state, MemoryState):
        counters = guarded.shared_state._counters
    else:
        with reading() as session:
            counters = {each.key: each.amount for each in session.scalars(select(SharedCounter))}
    return sum(value for key, value in counters.items() if key.startswith("costs:"))


class TestABatch:
    def test_a_batch_passes_every_phase_and_its_verdicts_are_saved(
        self, stale_tickets: list[int], provider: BatchProvider, hand: Hand
    ):
        assert reanalyze_stale() == TICKETS
        assert (batch().state, [job.actor for job in all_jobs()]) == ("planned", ["advance"])
        assert reanalyze_stale() == 0, "what is in a batch is not enqueued again"

        go(hand)
        # The text sent to the provider is masked, written down, and as strict as a live question
        assert batch().state == "uploaded"
        lines = provider.lines(batch().input_file)
        assert [line["custom_id"] for line in lines] == [str(ticket) for ticket in stale_tickets]
        assert SECRET not in json.dumps(lines)
        assert {line["url"] for line in lines} == {"/v1/chat/completions"}
        schema = lines[0]["body"]["response_format"]["json_schema"]
        assert schema["strict"] and schema["schema"]["additionalProperties"] is False
        sent = [line["body"]["messages"][1]["content"] for line in lines]
        assert [call.sent for call in calls()] == sent
        assert {call.outcome for call in calls()} == {f"waits for the answer to batch {batch().id}"}

        go(hand)
        assert (batch().state, batch().provider_id) == ("submitted", "batch-0")
        go(hand, 3)
        assert (batch().state, batch().note, len(provider.batches)) == ("submitted", "in_progress", 1)
        assert next(job.due_at for job in all_jobs()) > batch().created_at

        provider.finish()
        go(hand, 2)
        assert (batch().state, batch().answered, batch().failed) == ("done", TICKETS, 0)
        verdict = newest(stale_tickets[0])
        assert (verdict.engine, verdict.category, verdict.reason) == ("openai", "Network", "The tunnel drops.")
        assert verdict.change.endswith("; re-analyzed because its verdict was old")
        # half of what 1,000 and 100 tokens cost live
        assert verdict.cost == pytest.approx((1000 * 1.0 + 100 * 6.0) / 1e6 * 0.5)
        assert batch().cost == pytest.approx(verdict.cost * TICKETS)
        assert {(call.outcome, call.cost, call.input_tokens) for call in calls()} == {("answered", verdict.cost, 1000)}
        assert spent() == round(batch().cost * MICRO)
        hand.run()
        assert (all_jobs(), letters()) == ([], [])

    def test_a_batch_of_openai_itself_uses_the_responses_api(
        self, stale_tickets: list[int], provider: BatchProvider, hand: Hand, monkeypatch: pytest.MonkeyPatch
    ):
        guarded: Any = factory.make_engine(get_settings(), analysis.spent_today)
        monkeypatch.setattr(guarded.remote, "compatible", False)
        refused, cut_off = stale_tickets[:2]

        def answer(asked: dict[str, Any]) -> str:
            line = json.loads(provider.line(asked))
            text = line["response"]["body"]["choices"][0]["message"]["content"]
            part: dict[str, Any] = {"type": "output_text", "text": text}
            if asked["custom_id"] == str(refused):
                part = {"type": "refusal", "refusal": "No."}
            line["response"]["body"] = {
                "status": "incomplete" if asked["custom_id"] == str(cut_off) else "completed",
                "output": [{"type": "reasoning"}, {"type": "message", "content": [part]}],
                "usage": {"input_tokens": 1000, "output_tokens": 100},
            }
            return json.dumps(line) + "\n"

        provider.answer = answer  # type: ignore[method-assign]
        reanalyze_stale()
        go(hand, 3)
        [line, *_] = provider.lines(batch().input_file)
        assert line["url"] == provider.batches["batch-0"]["endpoint"] == "/v1/responses"
        assert line["body"]["text"]["format"]["strict"] and line["body"]["store"] is False
        provider.finish()
        go(hand, 2)

        assert set(alone()) == {str(refused), str(cut_off)}
        assert [newest(ticket).engine for ticket in stale_tickets] == ["local"] * 2 + ["openai"] * 3
        assert newest(stale_tickets[4]).input_tokens == 1000

    def test_few_tickets_are_reanalyzed_one_by_one(self, stale_tickets: list[int], configure: Callable[..., Any]):
        configure(AURA_AI_BATCH_ABOVE=str(TICKETS))

        assert reanalyze_stale() == TICKETS

        assert count(AnalysisBatch) == 0
        assert len(alone()) == TICKETS

    def test_tickets_changed_during_the_batch_keep_their_verdict(
        self, stale_tickets: list[int], provider: BatchProvider, hand: Hand
    ):
        first, second, *_ = stale_tickets
        reanalyze_stale()
        go(hand, 2)
        with transaction() as session:
            session.execute(update(Ticket).where(Ticket.id == first).values(status="resolved"))
            session.execute(update(Ticket).where(Ticket.id == second).values(changed_at=from_now(1)))
        provider.finish()
        go(hand, 2)

        assert [newest(ticket).engine for ticket in stale_tickets] == ["local", "local", "openai", "openai", "openai"]
        assert alone() == {}

    def test_a_batch_takes_at_most_half_of_the_daily_budget(
        self, stale_tickets: list[int], provider: BatchProvider, hand: Hand, configure: Callable[..., Any]
    ):
        configure(AURA_AI_BUDGET_DAY="0.02")
        reanalyze_stale()
        go(hand)

        assert batch().state == "uploaded"
        assert 0 < len(provider.lines(batch().input_file)) == len(batch().tickets) < TICKETS
        assert f"of {TICKETS} tickets" in batch().note

    def test_a_batch_without_budget_sends_nothing(
        self, stale_tickets: list[int], provider: BatchProvider, hand: Hand, configure: Callable[..., Any]
    ):
        configure(AURA_AI_BUDGET_DAY="0")
        reanalyze_stale()
        go(hand)

        assert (batch().state, provider.files, all_jobs()) == ("failed", {}, [])
        assert "AURA_AI_BUDGET_DAY" in batch().note


class TestItIsKilled:
    @pytest.mark.parametrize("phase", ["planned", "uploaded", "submitted", "answered"])
    def test_a_crash_between_a_phase_and_its_record_repeats_no_request(
        self,
        stale_tickets: list[int],
        provider: BatchProvider,
        hand: Hand,
        monkeypatch: pytest.MonkeyPatch,
        phase: str,
    ):
        killed: list[str] = []
        record = analysis_batches.transition

        def dies(session: Session, number: int, before: str, *arguments: Any, **values: Any) -> bool:
            if before == phase and not killed:
                killed.append(before)
                raise CrashBeforeCommit
            return record(session, number, before, *arguments, **values)

        monkeypatch.setattr(analysis_batches, "transition", dies)
        reanalyze_stale()
        go(hand, 3)
        provider.finish()
        go(hand, 4)

        assert killed == [phase]
        assert batch().state == "done"
        assert provider.calls.count("POST /v1/files") == 1
        assert provider.calls.count("POST /v1/batches") == 1
        assert [newest(ticket).engine for ticket in stale_tickets] == ["openai"] * TICKETS
        with reading() as session:
            judged = session.scalars(select(VerdictRecord.ticket_id).where(VerdictRecord.engine == "openai")).all()
        assert sorted(judged) == stale_tickets, "one verdict each"
        assert [call.outcome for call in calls()] == ["answered"] * TICKETS
        assert spent() == round(batch().cost * MICRO)

    @pytest.mark.parametrize("broken", ["POST /v1/files", "POST /v1/batches"])
    def test_a_batch_whose_answer_is_lost_is_found_again(
        self, stale_tickets: list[int], provider: BatchProvider, hand: Hand, broken: str
    ):
        provider.broken = broken
        reanalyze_stale()
        go(hand, ["POST /v1/files", "POST /v1/batches"].index(broken) + 1)
        assert batch().note == "the server answered 503"
        provider.broken = ""
        go(hand, 3)
        provider.finish()
        go(hand, 2)

        assert batch().state == "done"
        assert (provider.calls.count("POST /v1/files"), provider.calls.count("POST /v1/batches")) == (1, 1)


def not_json(provider: BatchProvider, asked: dict[str, Any]) -> str:
    return "{not json\n"


def failing(provider: BatchProvider, asked: dict[str, Any]) -> str:
    line = json.loads(provider.line(asked))
    return json.dumps(line | {"response": {"status_code": 500, "body": {"error": {"message": SECRET}}}}) + "\n"


def without_response(provider: BatchProvider, asked: dict[str, Any]) -> str:
    return json.dumps({"custom_id": asked["custom_id"], "response": None, "error": {"code": "batch_expired"}}) + "\n"


def of_another_category(provider: BatchProvider, asked: dict[str, Any]) -> str:
    return provider.line(asked, category="Cooking")


def missing(provider: BatchProvider, asked: dict[str, Any]) -> str:
    return ""


def huge(provider: BatchProvider, asked: dict[str, Any]) -> str:
    return provider.line(asked, reason="x" * 10_000_000)


def of_another_ticket(provider: BatchProvider, asked: dict[str, Any]) -> str:
    return provider.line({"custom_id": "999999"})


def odd(provider: BatchProvider, asked: dict[str, Any]) -> str:
    return f"[]\nnull\n5\n{json.dumps({'custom_id': [asked['custom_id']]})}\n"


def empty_response(provider: BatchProvider, asked: dict[str, Any]) -> str:
    return json.dumps({"custom_id": asked["custom_id"], "response": {"status_code": 200, "body": {}}}) + "\n"


class TestLines:
    @pytest.mark.parametrize(
        "bad",
        [
            *(not_json, failing, without_response, of_another_category, missing),
            *(huge, of_another_ticket, odd, empty_response),
        ],
    )
    def test_a_bad_line_is_reanalyzed_alone_and_harms_no_other_line(
        self, stale_tickets: list[int], provider: BatchProvider, hand: Hand, bad: Callable[..., str]
    ):
        spoiled = stale_tickets[2]
        provider.answer = lambda asked: (  # type: ignore[method-assign]
            bad(provider, asked) if asked["custom_id"] == str(spoiled) else provider.line(asked)
        )
        reanalyze_stale()
        go(hand, 3)
        provider.finish()
        go(hand, 2)

        assert (batch().state, batch().answered, batch().failed) == ("done", TICKETS - 1, 1)
        assert alone() == {str(spoiled): ["its verdict was old"]}
        assert {newest(ticket).engine for ticket in stale_tickets if ticket != spoiled} == {"openai"}
        assert newest(spoiled).engine == "local"
        [call] = [call for call in calls() if call.ticket_id == spoiled]
        assert call.outcome != "answered" and SECRET not in call.outcome
        assert count(VerdictRecord) == 2 * TICKETS - 1

    def test_the_first_of_two_lines_of_a_ticket_counts(
        self, stale_tickets: list[int], provider: BatchProvider, hand: Hand
    ):
        provider.answer = lambda asked: provider.line(asked) + provider.line(asked, category="Email")  # type: ignore[method-assign]
        reanalyze_stale()
        go(hand, 3)
        provider.finish()
        go(hand, 2)

        assert batch().answered == TICKETS
        assert {newest(ticket).category for ticket in stale_tickets} == {"Network"}

    def test_an_answer_stays_within_the_bounds(self, stale_tickets: list[int], provider: BatchProvider, hand: Hand):
        provider.answer = lambda asked: provider.line(  # type: ignore[method-assign]
            asked, priority="critical", reason="Go to https://trap.example now"
        )
        with reading() as session:
            before = {ticket.id: ticket.priority for ticket in session.scalars(select(Ticket))}
        reanalyze_stale()
        go(hand, 3)
        provider.finish()
        go(hand, 2)

        for ticket in stale_tickets:
            assert before[ticket] in ("low", "medium")
            assert newest(ticket).priority != "critical"
            assert "trap.example" not in newest(ticket).reason


class TestItEndsOtherwise:
    @pytest.mark.parametrize("status", ["failed", "expired", "cancelled"])
    def test_tickets_without_an_answer_are_reanalyzed_alone(
        self, stale_tickets: list[int], provider: BatchProvider, hand: Hand, status: str
    ):
        answered = stale_tickets[:2]
        provider.answer = lambda asked: provider.line(asked) if int(asked["custom_id"]) in answered else ""  # type: ignore[method-assign]
        reanalyze_stale()
        go(hand, 3)
        provider.finish(status)
        go(hand, 2)

        left = stale_tickets if status == "failed" else stale_tickets[2:]
        assert (batch().state, set(alone())) == ("done", {str(ticket) for ticket in left})
        assert spent() == round(batch().cost * MICRO)

    def test_a_provider_without_a_batch_api_gets_single_requests(
        self, stale_tickets: list[int], httpserver: HTTPServer, hand: Hand
    ):
        httpserver.clear_all_handlers()
        httpserver.expect_request(re.compile(".*")).respond_with_data("{}", 404, content_type="application/json")
        reanalyze_stale()
        go(hand)

        assert batch().state == "failed"
        assert "404" in batch().note
        assert len(alone()) == TICKETS
        assert spent() == 0

    def test_a_batch_that_never_ends_ends_after_a_day(
        self, stale_tickets: list[int], provider: BatchProvider, hand: Hand
    ):
        reanalyze_stale()
        go(hand, 3)
        move(AnalysisBatch, created_at=-27 * 3600)
        go(hand)

        assert (batch().state, len(alone())) == ("failed", TICKETS)
        assert "within a day" in batch().note


@pytest.mark.usefixtures("database")
class TestASecondLook:
    def test_a_comment_is_sent_to_the_engine_and_the_change_has_a_reason(
        self, hand: Hand, configure: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
    ):
        # Given a ticket about a printer whose people know
        report = NewTicket(title="Printer question", description="How do I add a printer?", requester="bob@example.com")
        with transaction() as session:
            [ticket] = tickets.create(session, "test", [(report, {})])
            triage.send_many([ticket])
        hand.run()
        before = newest(ticket)
        assert reanalyze_changed() == 0
        # When somebody adds what it is really about
        with transaction() as session:
            text = "Ransomware note on every screen, files are encrypted, whole site down, critical security incident!"
            session.add(Comment(ticket_id=ticket, author="bob@example.com", text=text, source="api"))
            session.execute(update(Ticket).values(changed_at=now(), classified_at=from_now(-60)))
        assert reanalyze_changed() == 1
        hand.run()
        # Then it is judged by it, and says so; and it is not reanalyzed
        after = newest(ticket)
        assert (after.category, before.change) == ("Security", "")
        assert f"category {before.category} -> Security" in after.change
        assert after.change.endswith("re-analyzed because its text changed or a comment was added")
        assert reanalyze_changed() == 0
        with reading() as session:
            [again] = session.scalars(select(Ticket)).all()
        assert (again.version, again.notified_version) == (2, 2)

    @pytest.mark.parametrize("differs", [True, False])
    @pytest.mark.parametrize(("stopped", "why"), [("budget", "AURA_AI_BUDGET_DAY"), ("breaker", "circuit breaker")])
    def test_a_fallback_verdict_is_reclassified_and_announced_only_when_it_changed(
        self, hand: Hand, configure: Callable[..., Any], httpserver: HTTPServer, stopped: str, why: str, differs: bool
    ):
        # Given a provider that fails until it has an answer, and no money or a breaker that its failures opened
        answer: dict[str, Any] = {}

        def provider(_request: Request) -> Response:
            return completion(json.dumps(answer)) if answer else Response(status=500)

        httpserver.expect_request(CHAT).respond_with_handler(provider)
        configure(OPENAI_API_KEY="key", OPENAI_BASE_URL=httpserver.url_for("/v1"), AURA_AI_CACHE_SECONDS="0")
        settings = configure(AURA_AI_BUDGET_DAY="0" if stopped == "budget" else "5")
        engine: Any = factory.make_engine(settings, analysis.spent_today)
        engine.breaker._breaker.reset_timeout = 3600
        engine.classify([ClassificationRequest(f"VPN drops {n}", "") for n in range(FAILURES)])
        # When a ticket comes, then the local engine answers, and notifications are enqueued
        with transaction() as session:
            [ticket] = tickets.create(session, "test", [(NewTicket(title="VPN drops", requester="b@example.com"), {})])
            triage.send_many([ticket])
        hand.run()
        before, notified = newest(ticket), count(Notification)
        assert before.engine == "local" and why in before.fallback and notified
        # When there is money again, and the provider works
        answer.update(GOOD, category="Security" if differs else before.category, priority=before.priority)
        configure(AURA_AI_BUDGET_DAY="5")
        engine.breaker._breaker.reset_timeout = 0
        move(VerdictRecord, created_at=-3600)
        move(Ticket, classified_at=-3600)
        assert reclassify() == 1
        hand.run()
        # Then its verdict is the provider's, and a second notification is enqueued only for a change
        after = newest(ticket)
        assert (after.engine, after.fallback, after.category) == ("openai", "", answer["category"])
        assert (count(Notification) > notified) == differs
        assert (reclassify(), letters()) == (0, [])
