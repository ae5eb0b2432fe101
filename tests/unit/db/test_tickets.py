"""Tickets in the database: taken in once whatever they hold, and never overwritten where a human spoke."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from sqlalchemy import select, update

import actors
from actors.batch_analysis import advance
from actors.classify import classify
from actors.reanalyze import reanalyze
from db import jobs, reading, tickets, transaction
from db import reanalysis as worth_a_look
from db.jobs import Failure, NewJob
from db.models import DeadLetter, Ticket
from db.new_tickets import DEPTH_LIMIT, DESCRIPTION_LIMIT, NewTicket, parse_json, parse_priority, storable
from db.reanalysis import RemoteEngine, StaleVerdict
from db.time import from_now, now
from pipelines.reanalysis import reanalysis, reanalyze_stale
from pipelines.recovery import rescue_stranded
from pipelines.triage import triage
from tests.embedded import Hand, all_jobs, claim, letters, move, promise

# -- a submission -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("URGENT!!!", "critical"),
        ("hoch", "high"),
        ("P2", "high"),
        (3, "medium"),
        ("  Normal ", "medium"),
        ("gering", "low"),
        ("", None),
        (None, None),
        ("whenever", None),
        (["high", "low"], None),
    ],
)
def test_a_claimed_priority_is_understood_or_nobody_can_tell(said: object, meant: str | None):
    assert parse_priority(said) == meant


def test_a_submission_takes_what_people_send():
    found = NewTicket.model_validate({"title": "  VPN \0", "description": None, "external_id": 17, "colour": "red"})

    assert (found.title, found.description, found.external_id) == ("VPN", "", "17")
    assert NewTicket(title="x", external_id="  ").external_id is None
    assert NewTicket(title="x", priority="").priority is None


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        ({}, "needs a title or a description"),
        ({"title": " \0 ", "description": "\ud800"}, "needs a title or a description"),
        ({"title": 5}, "title"),
        ({"title": "x" * 2001}, "title"),
        ({"title": "x", "description": "x" * (DESCRIPTION_LIMIT + 1)}, "description"),
        ({"title": "x", "priority": "whenever"}, "priority"),
        ({"title": "x", "external_id": True}, "external_id"),
        ({"title": "x", "external_id": "x" * 201}, "external_id"),
    ],
)
def test_what_is_no_ticket_is_refused_without_repeating_it(payload: dict[str, Any], words: str):
    with pytest.raises(ValidationError, match=words) as refused:
        NewTicket.model_validate(payload)

    assert "xxxx" not in str(refused.value)
    assert "whenever" not in str(refused.value)


@given(st.text())
def test_storable_text_has_nothing_that_postgresql_refuses(text: str):
    kept = storable(text)

    assert "\0" not in kept
    assert kept.encode().decode() == kept
    assert storable(kept) == kept


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
        max_leaves=10,
    )
)
def test_json_is_parsed_as_json(value: Any):
    assert parse_json(json.dumps(value)) == value


@pytest.mark.parametrize("text", ["NaN", '{"a": -Infinity}', "{", "", "[" * 50_000, "1" * 5000, b"\xff\xfe{"])
def test_what_is_no_json_is_a_value_error(text: str | bytes):
    with pytest.raises(ValueError):
        parse_json(text)


def test_the_depth_that_is_read_can_be_written_again():
    def nested(levels: int) -> str:
        return '{"title": "x", "priority": ' + "[" * levels + "]" * levels + "}"

    deep = parse_json(nested(DEPTH_LIMIT - 1))
    assert parse_priority(deep["priority"]) is None
    json.dumps(deep)
    for levels in (DEPTH_LIMIT + 1, 900, 980, 990, 995, 2000):
        with pytest.raises(ValueError, match="deep"):
            parse_json(nested(levels))


# -- in the database --------------------------------------------------------------------------------------------------


def accept(*submissions: NewTicket, source: str = "test", promised: bool = False) -> list[int]:
    with transaction() as session:
        new = tickets.create(session, source, [(each, {"as": "it came"}) for each in submissions])
        if promised:
            triage.send_many(new)
    return new


def all_tickets() -> list[Ticket]:
    with reading() as session:
        return list(session.scalars(select(Ticket).order_by(Ticket.id)))


def one_ticket() -> Ticket:
    (ticket,) = all_tickets()
    return ticket


def change(**values: Any) -> None:
    """Set columns of every ticket."""
    with transaction() as session:
        session.execute(update(Ticket).values(**values))


@pytest.mark.usefixtures("database")
class TestAccept:
    def test_the_same_id_of_one_source_is_one_ticket(self):
        same = NewTicket(title="x", external_id="7")

        assert len(accept(same)) == 1
        assert accept(same) == []
        assert len(accept(same, source="another")) == 1
        assert len(accept(NewTicket(title="x"), NewTicket(title="x"))) == 2, "no id, no identity"
        with reading() as session:
            assert tickets.find(session, "test", "7") == all_tickets()[0].id
            assert tickets.find(session, "test", "8") is None

    def test_the_original_is_kept_as_it_came_whatever_it_holds(self):
        original = {"title": "a\0b\ud800", "extra": ["kept", float("nan")]}
        with transaction() as session:
            tickets.create(session, "test", [(NewTicket.model_validate(original), original)])

        assert one_ticket().title == "ab"
        assert json.loads(one_ticket().raw)["title"] == "a\0b\ud800"
        assert one_ticket().raw.isascii()

    def test_many_at_once_and_none(self):
        assert len(accept(*[NewTicket(title=f"ticket {number}") for number in range(500)])) == 500
        assert accept() == []

    def test_a_load_leaves_out_what_is_not_there(self):
        (known,) = accept(NewTicket(title="x"))

        with reading() as session:
            found = tickets.load(session, [str(known), "999999", "x", "-1", "", "9" * 40, "1.0"])
        assert list(found) == [str(known)]


# -- verdicts ---------------------------------------------------------------------------------------------------------


def verdict(
    ticket_id: int, category: str = "Network", priority: str = "high", confidence: float = 0.9
) -> dict[str, Any]:
    said = {"priority_confidence": 0.9, "reason": "because", "needs_review": confidence < 0.5, "engine": "local"}
    said |= {"model": "m", "self_fix": [], "words": [], "similar": [], "cost": 0.0, "cached": False, "latency_ms": 1.0}
    texts = ("prompt_version", "fallback", "disagreement", "change", "summary", "sentiment", "language")
    said |= dict.fromkeys(texts, "")
    said |= dict.fromkeys(("input_tokens", "output_tokens"), 0)
    said |= dict.fromkeys(("suggested_agent", "resolution_p50", "resolution_p90", "due_at", "warn_at"))
    said |= {"paused_seconds": 0.0}
    return {"ticket_id": ticket_id, "category": category, "confidence": confidence, "priority": priority} | said


def say(*verdicts: dict[str, Any]) -> None:
    with transaction() as session:
        tickets.save_verdicts(session, verdicts)


@pytest.mark.usefixtures("database")
class TestVerdicts:
    def test_only_a_material_change_raises_the_version(self):
        (ticket,) = accept(NewTicket(title="x"))
        say(verdict(ticket))
        assert one_ticket().version == 1, "the first verdict changes nothing that was told"
        say(verdict(ticket, confidence=0.4))
        assert (one_ticket().version, one_ticket().needs_review) == (1, True)
        say(verdict(ticket, priority="low"))
        assert one_ticket().version == 2
        say(verdict(ticket, category="Email", priority="critical"))
        assert one_ticket().version == 3

    def test_the_rules_say_how_urgent_it_is_until_an_engine_has_read_it(self):
        (ticket,) = accept(NewTicket(title="x"))
        prepared = {"id": ticket, "duplicate_of": None, "priority": "critical"}
        prepared |= dict.fromkeys(("title", "description", "requester", "department", "language"), "")
        with transaction() as session:
            tickets.save_prepared(session, [prepared])
        assert (one_ticket().priority, one_ticket().priority_by) == ("critical", "rule")

        say(verdict(ticket, priority="low"))
        assert (one_ticket().priority, one_ticket().priority_by) == ("low", "engine")
        assert one_ticket().version == 1, "nobody was told before"
        with transaction() as session:
            tickets.save_prepared(session, [prepared])
        assert (one_ticket().priority, one_ticket().priority_by) == ("low", "engine")

    def test_a_human_is_not_overruled_and_no_new_version_comes_of_it(self):
        (ticket,) = accept(NewTicket(title="x"))
        say(verdict(ticket))
        change(category="Hardware", category_by="human", priority="low", priority_by="human")

        say(verdict(ticket, category="Email", priority="critical"))

        found = one_ticket()
        assert (found.category, found.category_by, found.priority, found.priority_by, found.version) == (
            "Hardware",
            "human",
            "low",
            "human",
            1,
        )
        with reading() as session:
            assert tickets.reasons(session, [ticket, 999]) == {ticket: "because"}

    def test_a_later_step_never_moves_the_stage_back(self):
        (ticket,) = accept(NewTicket(title="x"))
        say(verdict(ticket))
        with transaction() as session:
            tickets.save_notified(session, [(ticket, 1, "Nora")])
            tickets.save_notified(session, [(ticket, 1, "Somebody else")])
        say(verdict(ticket))
        prepared = {"id": ticket, "language": "en", "duplicate_of": None, "priority": "critical"}
        prepared |= dict.fromkeys(("title", "description", "requester", "department"), "clean")
        with transaction() as session:
            tickets.save_prepared(session, [prepared])

        assert (one_ticket().stage, one_ticket().assignee, one_ticket().title) == ("notified", "Nora", "clean")


# -- re-analysis ------------------------------------------------------------------------------------------------------


def stale(remote: bool = False, limit: int = 100) -> list[StaleVerdict]:
    engine = RemoteEngine("model", "prompt") if remote else None
    with reading() as session:
        return worth_a_look.stale_verdicts(session, 3, 0.5, engine, limit)


@pytest.mark.usefixtures("database")
class TestReanalysis:
    @pytest.mark.parametrize(
        ("values", "hours", "said", "why"),
        [
            ({}, 1, None, ""),
            ({}, 73, None, "its verdict was old"),
            ({"confidence": 0.4}, 1, None, ""),
            ({"confidence": 0.4}, 13, None, "its confidence was low"),
            ({"changed_at": now()}, 0.1, None, worth_a_look.CHANGED),
            # with an engine that is configured: what other than that has judged it
            ({}, 2, {}, ""),
            ({}, 2, {"engine": "local"}, "the local engine classified it"),
            ({}, 0.5, {"engine": "local"}, ""),
            ({}, 2, {"model": "another"}, "another model classified it"),
            ({}, 2, {"prompt_version": "older"}, "an older prompt classified it"),
            # done, or in part or in full in a person's hands
            ({"status": "resolved"}, 73, {}, ""),
            ({"category_by": "human"}, 73, None, "its verdict was old"),
            ({"category_by": "human", "priority_by": "human"}, 73, {}, ""),
        ],
    )
    def test_it_chooses_what_is_worth_another_look(
        self, values: dict[str, Any], hours: float, said: dict[str, str] | None, why: str
    ):
        (ticket,) = accept(NewTicket(title="x"))
        given = {"engine": "openai", "model": "model", "prompt_version": "prompt"}
        say(verdict(ticket) | (given | said if said is not None else {}))
        change(classified_at=from_now(-hours * 3600), **values)

        assert stale(remote=said is not None) == ([StaleVerdict(ticket, why)] if why else [])

    def test_no_new_ticket_waits_for_a_second_look(self):
        # Given what a worker of eight threads prefetches, and what Dramatiq takes first of that: the lower number
        broker, prefetch = actors.broker, 16
        shares = {name: broker.bulkhead.slot(broker, each.queue_name, prefetch)[0] for name, each in (
            ("new", classify), ("again", reanalyze), ("together", advance)
        )}  # fmt: skip
        assert shares == {"new": prefetch, "again": 1, "together": 1}
        assert reanalyze.priority > classify.priority
        assert reanalyze.queue_name != classify.queue_name

    def test_what_was_never_classified_is_not_looked_at_again(self):
        accept(NewTicket(title="x"))
        change(created_at=from_now(-10 * 86_400))

        assert stale(remote=True) == []

    def test_the_oldest_verdict_comes_first_and_the_limit_holds(self):
        first, second, third = accept(*[NewTicket(title=str(number)) for number in range(3)])
        say(*[verdict(ticket) for ticket in (first, second, third)])
        for ticket, days in ((first, 5), (second, 9), (third, 7)):
            with transaction() as session:
                session.execute(
                    update(Ticket).where(Ticket.id == ticket).values(classified_at=from_now(-days * 86_400))
                )

        assert [each.id for each in stale()] == [second, third, first]
        assert [each.id for each in stale(limit=1)] == [second]

    @pytest.mark.parametrize("changed", [True, False])
    def test_people_are_told_again_only_of_a_change(self, hand: Hand, monkeypatch: pytest.MonkeyPatch, changed: bool):
        from db.models import Notification
        from tests.embedded import count

        # Given a ticket whose people know, with a verdict of four days ago
        accept(NewTicket(title="VPN drops every ten minutes", requester="ada@example.com"), promised=True)
        hand.run()
        told = count(Notification)
        if changed:  # as if the engine had said something else then
            change(category="Hardware")
        change(classified_at=from_now(-4 * 86_400))
        # When the night comes
        assert reanalyze_stale() == 1
        assert [(job.actor, job.pipeline, job.next_steps) for job in all_jobs()] == [
            ("reanalyze", "reanalysis", ["notify"])
        ]
        hand.run()
        # Then
        assert one_ticket().version == (2 if changed else 1)
        assert one_ticket().notified_version == one_ticket().version
        assert (count(Notification) > told) == changed
        assert reanalyze_stale() == 0
        assert letters() == []

    def test_a_journey_under_way_and_a_second_look_do_not_merge(self):
        (ticket,) = accept(NewTicket(title="x"), promised=True)
        reanalysis.send(ticket)
        classify.send(ticket)

        assert {(job.actor, job.pipeline) for job in all_jobs()} == {
            ("intake", "triage"),
            ("reanalyze", "reanalysis"),
            ("classify", ""),
        }


# -- recovery ---------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("database")
class TestRecovery:
    def test_a_ticket_without_a_promise_starts_again(self, hand: Hand):
        (ticket,) = accept(NewTicket(title="VPN drops", requester="ada@example.com"))
        assert rescue_stranded() == 0, "it may be on its way into this very second"

        move(Ticket, created_at=-121)
        assert rescue_stranded() == 1
        assert rescue_stranded() == 0
        hand.run()

        assert (one_ticket().id, one_ticket().stage) == (ticket, "notified")
        assert rescue_stranded() == 0

    @pytest.mark.parametrize("stage", ["received", "prepared", "classified"])
    def test_whatever_stage_it_is_stranded_at(self, stage: str):
        accept(NewTicket(title="x"))
        change(stage=stage, created_at=from_now(-121))

        assert rescue_stranded() == 1

    def test_a_ticket_with_a_job_is_not_stranded_however_old(self):
        (ticket,) = accept(NewTicket(title="x"))
        move(Ticket, created_at=-10_000)
        promise(NewJob("classify", str(ticket), delay=3600))

        assert rescue_stranded() == 0

    @pytest.mark.parametrize(("state", "stranded"), [("dead", 0), ("discarded", 0), ("replayed", 1)])
    def test_a_dead_letter_explains_it_until_it_is_replayed(self, state: str, stranded: int):
        (ticket,) = accept(NewTicket(title="x"))
        move(Ticket, created_at=-121)
        promise(NewJob("classify", str(ticket)))
        claimed = claim("classify", all_jobs()[0].id)
        with transaction() as session:
            jobs.dead_letter(session, [(job, Failure("X", "x", "", "")) for job in claimed])
            session.execute(update(DeadLetter).values(state=state))

        assert rescue_stranded() == stranded

    @pytest.mark.parametrize("values", [{"stage": "notified", "notified_at": now()}, {"status": "closed"}])
    def test_what_is_finished_or_closed_is_not_stranded(self, values: dict[str, Any]):
        accept(NewTicket(title="x"))
        change(created_at=from_now(-121), **values)

        assert rescue_stranded() == 0

    def test_a_message_with_a_number_for_its_id_does_not_hide_a_stranded_ticket(self):
        from actors.plain_messages import PlainJson

        (ticket,) = accept(NewTicket(title="x"))
        move(Ticket, created_at=-121)
        with transaction() as session:
            PlainJson("tickets.intake", "receive", {"title": "y"}, b"{}").accept(session, str(ticket))

        assert rescue_stranded() == 1
