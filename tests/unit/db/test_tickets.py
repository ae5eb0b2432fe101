"""Tickets: create, load, verdicts and recovery."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy import update

from db import jobs, reading, tickets, transaction
from db.jobs import Failure, NewJob
from db.models import DeadLetter, Ticket
from db.new_tickets import NewTicket
from db.time import from_now, now
from pipelines.recovery import restart_stranded
from pipelines.triage import triage
from tests.embedded import Hand, all_jobs, claim, move, promise

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
class TestCreate:
    def test_a_repeated_external_id_of_a_source_creates_no_second_ticket(self):
        same = NewTicket(title="x", external_id="7")

        assert len(create(same)) == 1
        assert create(same) == []
        assert len(create(same, source="another")) == 1
        assert len(create(NewTicket(title="x"), NewTicket(title="x"))) == 2, (
            "tickets without an external id are distinct"
        )
        with reading() as session:
            assert tickets.find(session, "test", "7") == all_tickets()[0].id
            assert tickets.find(session, "test", "8") is None

    def test_the_original_request_is_stored_as_ascii_json(self):
        original = {"title": "a\0b\ud800", "extra": ["extra", float("nan")]}
        with transaction() as session:
            tickets.create(session, "test", [(NewTicket.model_validate(original), original)])

        assert one_ticket().title == "ab"
        assert json.loads(one_ticket().raw)["title"] == "a\0b\ud800"
        assert one_ticket().raw.isascii()

    def test_many_tickets_are_created_at_once(self):
        assert len(create(*[NewTicket(title=f"ticket {number}") for number in range(500)])) == 500
        assert create() == []

    def test_load_leaves_out_unknown_ids(self):
        (ticket,) = create(NewTicket(title="x"))

        with reading() as session:
            found = tickets.load(session, [str(ticket), "999999", "x", "-1", "", "9" * 40, "1.0"])
        assert list(found) == [str(ticket)]


@pytest.mark.usefixtures("database")
class TestVerdicts:
    def test_only_a_changed_category_or_priority_raises_the_version(self):
        (ticket,) = create(NewTicket(title="x"))
        save_verdicts(verdict(ticket))
        assert one_ticket().version == 1, "nothing was notified before"
        save_verdicts(verdict(ticket, confidence=0.4))
        assert (one_ticket().version, one_ticket().needs_review) == (1, True)
        save_verdicts(verdict(ticket, priority="low"))
        assert one_ticket().version == 2
        save_verdicts(verdict(ticket, category="Email", priority="critical"))
        assert one_ticket().version == 3

    def test_the_priority_of_the_rules_holds_until_the_first_verdict(self):
        (ticket,) = create(NewTicket(title="x"))
        prepared = {"id": ticket, "duplicate_of": None, "priority": "critical"}
        prepared |= dict.fromkeys(("title", "description", "requester", "department", "language"), "")
        with transaction() as session:
            tickets.save_prepared(session, [prepared])
        assert (one_ticket().priority, one_ticket().priority_by) == ("critical", "rule")

        save_verdicts(verdict(ticket, priority="low"))
        assert (one_ticket().priority, one_ticket().priority_by) == ("low", "engine")
        assert one_ticket().version == 1, "nothing was notified before"
        with transaction() as session:
            tickets.save_prepared(session, [prepared])
        assert (one_ticket().priority, one_ticket().priority_by) == ("low", "engine")

    def test_a_verdict_overwrites_no_value_of_a_person(self):
        (ticket,) = create(NewTicket(title="x"))
        save_verdicts(verdict(ticket))
        update_tickets(category="Hardware", category_by="human", priority="low", priority_by="human")

        save_verdicts(verdict(ticket, category="Email", priority="critical"))

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
        (ticket,) = create(NewTicket(title="x"))
        save_verdicts(verdict(ticket))
        with transaction() as session:
            tickets.save_notified(session, [(ticket, 1, "Nora")])
            tickets.save_notified(session, [(ticket, 1, "Ada")])
        save_verdicts(verdict(ticket))
        prepared = {"id": ticket, "language": "en", "duplicate_of": None, "priority": "critical"}
        prepared |= dict.fromkeys(("title", "description", "requester", "department"), "clean")
        with transaction() as session:
            tickets.save_prepared(session, [prepared])

        assert (one_ticket().stage, one_ticket().assignee, one_ticket().title) == ("notified", "Nora", "clean")


# -- recovery ---------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("database")
class TestRecovery:
    def test_a_ticket_without_a_promise_starts_again(self, hand: Hand):
        (ticket,) = accept(NewTicket(title="VPN drops", requester="ada@example.com"))
        assert restart_stranded() == 0, "it may be on its way into this very second"

        move(Ticket, created_at=-121)
        assert restart_stranded() == 1
        assert restart_stranded() == 0
        hand.run()

        assert (one_ticket().id, one_ticket().stage) == (ticket, "notified")
        assert restart_stranded() == 0

    @pytest.mark.parametrize("stage", ["received", "prepared", "classified"])
    def test_a_ticket_without_a_job_is_found_at_every_stage(self, stage: str):
        create(NewTicket(title="x"))
        update_tickets(stage=stage, created_at=from_now(-121))

        assert restart_stranded() == 1

    def test_an_old_ticket_with_a_job_is_left_alone(self):
        (ticket,) = create(NewTicket(title="x"))
        move(Ticket, created_at=-10_000)
        promise(NewJob("classify", str(ticket), delay=3600))

        assert restart_stranded() == 0

    @pytest.mark.parametrize(("state", "recovered"), [("dead", 0), ("discarded", 0), ("replayed", 1)])
    def test_a_ticket_with_a_dead_letter_is_left_alone_until_its_replay(self, state: str, recovered: int):
        (ticket,) = create(NewTicket(title="x"))
        move(Ticket, created_at=-121)
        promise(NewJob("classify", str(ticket)))
        claimed = claim("classify", all_jobs()[0].id)
        with transaction() as session:
            jobs.dead_letter(session, [(job, Failure("X", "x", "", "")) for job in claimed])
            session.execute(update(DeadLetter).values(state=state))

        assert restart_stranded() == stranded

    @pytest.mark.parametrize("values", [{"stage": "notified", "notified_at": now()}, {"status": "closed"}])
    def test_a_finished_or_closed_ticket_is_left_alone(self, values: dict[str, Any]):
        create(NewTicket(title="x"))
        update_tickets(created_at=from_now(-121), **values)

        assert restart_stranded() == 0

    def test_a_message_whose_id_is_a_ticket_id_does_not_hide_the_ticket(self):
        from aura.jobs.rabbitmq.messages import Plain

        (ticket,) = create(NewTicket(title="x"))
        move(Ticket, created_at=-121)
        with transaction() as session:
            Plain("tickets.intake", "receive", {"title": "y"}, b"{}").accept(session, str(ticket))

        assert restart_stranded() == 1
