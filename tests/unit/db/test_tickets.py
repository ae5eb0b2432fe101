"""Tickets: create, load and verdicts."""

from __future__ import annotations

import json

import pytest

from db import reading, tickets, transaction
from db.new_tickets import NewTicket
from tests.unit.db.helpers import all_tickets, create, one_ticket, save_verdicts, update_tickets, verdict


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
