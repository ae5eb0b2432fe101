"""Analysis: corrections, verdicts, re-analysis, costs and backtests, through actors and commands."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from sqlalchemy import update

from actors import analysis
from aura.ai import ClassificationRequest, EngineError, Verdict
from aura.ai.engines.base import Call
from aura.desk import backtest
from aura.desk.ticket_actions import NotAllowed, correct, resolve
from db import ai_costs, corrections, queue_controls, reading, transaction
from db.corrections import UnknownTicket
from db.models import AiCall, Correction, Notification, Ticket, VerdictRecord
from db.new_tickets import NewTicket
from db.tickets import create
from db.time import from_now
from pipelines.reanalysis import reanalysis, reclassify
from pipelines.triage import triage
from tests.commands import Run
from tests.embedded import Hand, count, letters

pytestmark = pytest.mark.usefixtures("database")


def submit(title: str = "VPN drops every ten minutes", requester: str = "ada@example.com") -> int:
    with transaction() as session:
        [ticket] = create(session, "test", [(NewTicket(title=title, requester=requester), {})])
        triage.send(ticket)
    return ticket


def ticket_of(ticket_id: int) -> Ticket:
    with reading() as session:
        return session.get_one(Ticket, ticket_id)


def rows(model: Any) -> list[Any]:
    with reading() as session:
        return list(session.query(model).order_by(model.id))


class Remote:
    """A remote engine behind its guards, as the steps see it."""

    name = "openai"

    def __init__(self) -> None:
        self.error: EngineError | None = None
        self.asked: list[ClassificationRequest] = []
        self.says = Verdict("Hardware", 0.9, "high", 0.9, "because", "openai", "m-1", "p-1", cost=0.01)
        self.says = self.says._replace(calls=(Call("m-1", "p-1", "the text", {}, "answered", 10, 5, 0.01),))

    def reclassify(self, questions: Sequence[ClassificationRequest]) -> list[Verdict | EngineError]:
        self.asked += questions
        return [self.error or self.says for _ in questions]

    def classify(self, questions: Sequence[ClassificationRequest]) -> list[Verdict]:
        return [self.says for _ in self.reclassify(questions)]


@pytest.fixture
def remote(monkeypatch: pytest.MonkeyPatch) -> Remote:
    remote = Remote()
    monkeypatch.setattr(analysis, "make_engine", lambda *_: remote)
    return remote


# -- corrections -------------------------------------------------------------------------------------------------------


def test_a_correction_notifies_and_no_engine_overwrites_it(hand: Hand, remote: Remote) -> None:
    ticket = submit()
    hand.run()
    notified = count(Notification)

    assert correct(ticket, "nora", category="access", priority="low") == ["category", "priority"]
    hand.run()

    found = ticket_of(ticket)
    assert (found.category, found.category_by, found.priority, found.priority_by) == ("Access", "human", "low", "human")
    assert count(Notification) > notified, "the change is notified"
    assert [(row.field, row.old, row.old_by, row.new, row.engine, row.author) for row in rows(Correction)] == [
        ("category", "Hardware", "engine", "Access", "openai", "nora"),
        ("priority", "high", "engine", "low", "openai", "nora"),
    ]
    notified = count(Notification)
    reanalysis.send(ticket)
    hand.run()
    assert (ticket_of(ticket).category, ticket_of(ticket).priority) == ("Access", "low")
    assert count(Notification) == notified, "nothing material changed"


def test_an_unchanged_correction_confirms_the_verdict_and_notifies_nobody(hand: Hand, remote: Remote) -> None:
    remote.says = remote.says._replace(review=True)
    ticket = submit()
    hand.run()
    notified = count(Notification)
    assert ticket_of(ticket).needs_review

    assert correct(ticket, "nora", category="Hardware") == []
    hand.run()

    assert (ticket_of(ticket).category_by, ticket_of(ticket).needs_review) == ("human", False)
    assert count(Notification) == notified
    with reading() as session:
        assert [each.id for each in corrections.reviewed_tickets(session, 10)] == [ticket]
        assert corrections.reviewed_tickets(session, 10, changed=True) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"category": "Weather"}, "there is no category 'Weather'; there are Hardware"),
        ({"priority": "urgent"}, "low, medium"),
        ({}, "a correction needs a category, a priority or both"),
    ],
)
def test_an_unknown_category_or_priority_is_refused(change: dict[str, str], message: str) -> None:
    ticket = submit()
    with pytest.raises(NotAllowed, match=message):
        correct(ticket, "nora", **change)
    assert rows(Correction) == []


@pytest.mark.parametrize("number", [-1, 0, 999_999, 2**70])
def test_an_unknown_ticket_is_an_error(number: int) -> None:
    with pytest.raises(UnknownTicket, match=f"no ticket {number}"):
        correct(number, "nora", priority="low")
    with pytest.raises(UnknownTicket):
        resolve(number, "x")


def test_corrections_are_examples_of_the_engine(hand: Hand, remote: Remote, monkeypatch: pytest.MonkeyPatch) -> None:
    ticket = submit("The badge reader at the gate is dead")
    hand.run()
    correct(ticket, "nora", category="Access")
    found = analysis.corrections.reviewed_tickets
    with reading() as session:
        [decided] = found(session, 6, 14.0, changed=True)
    assert (decided.title, decided.category, decided.priority) == (
        "The badge reader at the gate is dead",
        "Access",
        "high",
    )
    with reading() as session:
        [example] = analysis.load_examples(session)
    assert "badge reader" in example.text


# -- verdicts ----------------------------------------------------------------------------------------------------------


def test_a_verdict_holds_all_that_was_found(hand: Hand) -> None:
    ticket = submit("My laptop does not start and I cannot work, the screen stays black")
    hand.run()
    [verdict] = rows(VerdictRecord)
    assert verdict.ticket_id == ticket
    assert verdict.summary and verdict.words and verdict.self_fix
    assert verdict.sentiment in ("negative", "neutral", "positive")
    assert (verdict.language, verdict.cost, verdict.cached, verdict.disagreement) == ("en", 0.0, False, "")


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("My laptop is dead, write to ada@example.com about it", "ada@"),
        ("My laptop is dead, password: hunter2 opens it", "hunter2"),
        ("My laptop is dead, call +49 170 1234567 about it", "1234567"),
        ("My laptop is dead, refund DE89370400440532013000 please", "DE89370400440532013000"),
    ],
)
def test_a_summary_that_others_read_is_masked(hand: Hand, text: str, secret: str) -> None:
    submit(text)
    hand.run()
    [verdict] = rows(VerdictRecord)
    assert verdict.summary.startswith("My laptop is dead") and secret not in verdict.summary


def test_a_verdict_names_similar_resolved_tickets(hand: Hand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(analysis, "_any_resolved", lambda _session: True)
    for number in range(6):
        old = submit(f"Docking station {number} does not detect my two monitors", f"user{number}@example.com")
        hand.run()
        resolve(old, "Updated the firmware of the dock.")
    ticket = submit("The docking station does not detect the monitors any more", "new@example.com")
    hand.run()

    verdict = rows(VerdictRecord)[-1]
    assert verdict.ticket_id == ticket
    assert verdict.similar and {each["resolution"] for each in verdict.similar} == {"Updated the firmware of the dock."}
    assert all(each["id"] < ticket for each in verdict.similar)
    assert verdict.resolution_p50 is not None and 0 <= verdict.resolution_p50 <= verdict.resolution_p90


def test_requests_to_the_provider_are_in_the_timeline(hand: Hand, remote: Remote, run: Run) -> None:
    ticket = submit()
    hand.run()
    [call] = rows(AiCall)
    assert (call.ticket_id, call.sent, call.outcome, call.cost) == (ticket, "the text", "answered", 0.01)
    whats = {entry["kind"] for entry in run("tickets", "show", ticket, "--format", "json").json()["timeline"]}
    assert {"ai_call", "verdict"} <= whats


# -- re-analysis -------------------------------------------------------------------------------------------------------


def test_a_reanalysis_upgrades_the_verdict_and_notifies_nobody_again(hand: Hand, remote: Remote) -> None:
    remote.says = remote.says._replace(engine="local", model="local-1", calls=(), fallback="openai: down")
    ticket = submit()
    hand.run()
    notified = count(Notification)
    remote.says = remote.says._replace(engine="openai", model="m-1", fallback="")

    reanalysis.send(ticket)
    hand.run()

    assert [row.engine for row in rows(VerdictRecord)] == ["local", "openai"]
    assert count(Notification) == notified


def test_a_reanalysis_that_must_wait_pauses_its_queue_and_keeps_the_verdict(hand: Hand, remote: Remote) -> None:
    ticket = submit()
    hand.run()
    before = ticket_of(ticket).classified_at
    remote.error = EngineError("too many requests (429)", permanent=False, retry_after=300)

    reanalysis.send(ticket)
    hand.run()

    with reading() as session:
        held = queue_controls.current(session)["ai.reanalyze"]
    assert (held.paused, held.reason) == (True, "too many requests (429)")
    assert len(rows(VerdictRecord)) == 1
    assert ticket_of(ticket).classified_at == before, "the next sweep finds it again"
    assert letters() == []


def test_a_reanalysis_with_a_permanent_error_is_not_repeated_each_night(hand: Hand, remote: Remote) -> None:
    ticket = submit()
    hand.run()
    before = ticket_of(ticket).classified_at
    remote.error = EngineError("the model refused to answer", permanent=True)
    reanalysis.send(ticket)
    hand.run()
    assert len(rows(VerdictRecord)) == 1
    after = ticket_of(ticket).classified_at
    assert before is not None and after is not None and after > before


def test_fallback_verdicts_are_reclassified_when_the_remote_engine_is_back(
    hand: Hand, remote: Remote, configure: Callable[..., Any]
) -> None:
    configure(OPENAI_API_KEY="sk-test")
    remote.says = remote.says._replace(engine="local", model="local-1", calls=(), fallback="openai: down")
    stepped_in, fine = submit(), submit("Laptop broken", "bob@example.com")
    hand.run()
    minutes = {stepped_in: 15, fine: 5}
    with transaction() as session:
        for ticket, ago in minutes.items():
            then = {"created_at": from_now(-60 * ago)}
            session.execute(update(VerdictRecord).where(VerdictRecord.ticket_id == ticket).values(then))
            session.execute(update(Ticket).where(Ticket.id == ticket).values(classified_at=from_now(-60 * ago + 1)))

    assert reclassify() == 1, "the other one is too young"
    remote.error = EngineError("the model refused to answer", permanent=True)
    hand.run()
    assert reclassify() == 0, "it was looked at, and there was no better answer"


def test_without_an_api_key_no_ticket_is_reclassified(hand: Hand) -> None:
    assert reclassify() == 0


# -- what it costs, and what another model would say ---------------------------------------------------------------------


def test_costs_and_agreement_of_the_engines(hand: Hand, remote: Remote, run: Run) -> None:
    submit()
    hand.run()
    remote.says = remote.says._replace(disagreement="local: Network, high", cached=True, calls=(), cost=0.0)
    submit("Another one")
    hand.run()

    with reading() as session:
        assert ai_costs.spent_today(session) == pytest.approx(0.01)
        figures = ai_costs.agreement(session, 1)
    assert (figures["verdicts"], figures["remote"], figures["cached"], figures["disagreement"]) == (2, 2, 1, 0.5)
    found = run("costs", "--format", "json").json()
    assert [(row["model"], row["calls"], row["failed"]) for row in found["calls"]] == [("m-1", 1, 0)]
    assert "10.00 US dollars" in run("costs").err


def test_a_backtest_of_another_model_changes_no_ticket(
    hand: Hand, remote: Remote, monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    first, second = submit("Laptop broken"), submit("Cannot sign in", "bob@example.com")
    hand.run()
    correct(first, "nora", category="Hardware")
    correct(second, "nora", category="Access")
    hand.run()
    notified, verdicts = count(Notification), count(VerdictRecord)
    trial = Remote()
    trial.says = trial.says._replace(category="Access", model="m-2")
    monkeypatch.setattr(backtest, "_engine", lambda model, _settings: (trial.reclassify, model))

    report = backtest.backtest("m-2", 500).as_dict()

    assert report["accuracy"]["category"] == report["accuracy_before"]["category"] == 0.5
    assert [(each["ticket"], each["before"], each["now"], each["human"]) for each in report["changed"]] == [
        (second, "Hardware", "Access", "Access"),
        (first, "Hardware", "Access", "Hardware"),
    ]
    assert report["dollars"] == pytest.approx(0.02)
    assert (count(Notification), count(VerdictRecord)) == (notified, verdicts)
    assert "50.0%" in run("backtest", "--model", "m-2").out


def test_an_unknown_model_is_an_error(run: Run) -> None:
    assert "aura models list" in run("backtest", "--model", "local-12345678").err
    assert "OPENAI_API_KEY" in run("backtest", "--model", "gpt-9").err
    assert "no ticket is reviewed yet" in run("backtest", "--model", "shipped").err


def test_the_commands_correct_and_resolve(hand: Hand, run: Run) -> None:
    ticket = submit()
    hand.run()
    category = "Email" if ticket_of(ticket).category != "Email" else "Access"
    assert f"ticket {ticket}: category changed" in run("tickets", "correct", ticket, "--category", category).out
    assert f"ticket {ticket} confirmed" in run("tickets", "correct", ticket, "--category", category).out
    assert "there are low, medium" in run("tickets", "correct", ticket, "--priority", "now").err
    assert run("tickets", "resolve", ticket, "Restarted it", "--format", "json").json()["status"] == "resolved"
    found = ticket_of(ticket)
    assert (found.status, found.resolution) == ("resolved", "Restarted it")
    assert found.resolved_at is not None
