"""Analysis: verdicts with summary, similar tickets and the requests that were sent, and examples for the engine."""

from __future__ import annotations

import pytest

from actors import analysis
from aura.desk.ticket_actions import correct, resolve
from db import reading
from db.models import AiCall, VerdictRecord
from tests.commands import Run
from tests.embedded import Hand
from tests.unit.remote_engine import Remote, rows, submit

pytestmark = pytest.mark.usefixtures("database")


# -- corrections -------------------------------------------------------------------------------------------------------


def test_corrected_tickets_are_examples_of_the_engine(
    hand: Hand, remote: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
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


def test_a_verdict_holds_summary_sentiment_words_and_steps(hand: Hand) -> None:
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
