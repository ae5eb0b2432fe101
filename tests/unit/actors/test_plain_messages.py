"""Plain JSON messages: the jobs, tickets and notifications that they become."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors import plain_messages
from actors.plain_messages import PlainJson
from aura.jobs.program import Malformed
from db import transaction
from db.jobs import NewJob
from db.models import Agent, Notification, Ticket
from db.timeline import summary
from tests.embedded import Hand, all_jobs, count, enqueue, letters, one_job
from tests.unit.jobs.rabbitmq.received import ANYTHING, read


def accept(queue: str, payload: dict[str, Any], message_id: str | bytes | None = None, account: str = "") -> None:
    message = read(queue, payload)
    assert isinstance(message, PlainJson)
    with transaction() as session:
        message.accept(session, message_id, account)


@pytest.mark.usefixtures("database")
class TestPlain:
    @pytest.mark.parametrize("ticket_id", [17, "17", "017"])
    def test_a_request_for_an_analysis_is_a_job_of_that_ticket(self, ticket_id: Any):
        accept("ai.classify", {"ticket_id": ticket_id, "type": "classify"})
        accept("ai.classify", {"ticket_id": 17})

        assert (one_job().actor, one_job().key, one_job().pipeline, one_job().next_steps) == ("classify", "17", "", [])

    @pytest.mark.parametrize(
        "ticket_id",
        [None, True, 1.5, -1, "", "x", "1.0", "-1", " 1", "1" * 19, 10**30, "١٧", "²", [1], {"a": 1}],
        ids=str,
    )
    def test_a_ticket_id_that_is_no_number_is_refused(self, ticket_id: Any):
        with pytest.raises(Malformed, match="ticket_id must be the number of a ticket"):
            accept("ai.classify", {"ticket_id": ticket_id})

        assert all_jobs() == []

    @pytest.mark.parametrize("kind", ["reanalyze", "", 5, ["classify"], "\ud800\0"])
    def test_a_type_of_another_queue_is_refused(self, kind: Any):
        with pytest.raises(Malformed, match=r"does not belong into ai\.classify"):
            accept("ai.classify", {"ticket_id": 1, "type": kind})

    def test_a_ticket_is_stored_by_its_message_id_once(self, hand: Hand):
        ticket = {"title": "VPN drops \0 \ud800", "requester": "ada@example.com", "priority": "URGENT!"}
        accept("tickets.intake", ticket, "m-1")
        accept("tickets.intake", ticket, "m-1")
        hand.run()
        accept("tickets.intake", ticket, "m-1")
        hand.run()

        assert count(Ticket) == 1
        with transaction() as session:
            (found,) = session.query(Ticket).all()
        assert (found.source, found.stage) == ("message", "notified")
        assert (found.title, found.claimed_priority) == ("VPN drops", "critical")
        assert letters() == []

    def test_without_a_message_id_the_same_bytes_are_the_same_ticket_for_an_hour(
        self, hand: Hand, monkeypatch: pytest.MonkeyPatch
    ):
        def at(hour: int) -> None:
            clock = type("Clock", (), {"now": staticmethod(lambda zone: datetime(2026, 11, 23, hour, tzinfo=zone))})
            monkeypatch.setattr(plain_messages, "datetime", clock)

        at(8)
        accept("tickets.intake", {"title": "VPN drops"})
        accept("tickets.intake", {"title": "VPN drops"})
        accept("tickets.intake", {"title": "VPN drops again"})
        at(9)
        accept("tickets.intake", {"title": "VPN drops"})
        hand.run()

        assert count(Ticket) == 3

    @pytest.mark.parametrize(
        ("one", "other"),
        [("1", "1"), ("x" * 200 + "1", "x" * 200 + "2"), (b"\xff\xfe", b"\xff\xfd"), ("\ud800", "\udfff")],
        ids=["two programs count in the same way", "long", "no UTF-8", "surrogates"],
    )
    def test_different_tickets_never_merge(self, hand: Hand, one: Any, other: Any):
        accept("tickets.intake", {"title": "Disk full on srv1"}, one)
        accept("tickets.intake", {"title": "Printer jams"}, other)
        hand.run()

        assert count(Ticket) == 2

    def test_an_external_id_is_one_ticket_over_all_messages(self, hand: Hand):
        accept("tickets.intake", {"title": "VPN drops", "external_id": "T-1"}, "m-1")
        accept("tickets.intake", {"title": "VPN drops", "external_id": "T-1"}, "m-2")
        hand.run()

        assert count(Ticket) == 1

    def test_a_used_external_id_with_another_body_is_a_dead_letter_that_names_the_ticket(self, hand: Hand):
        accept("tickets.intake", {"title": "VPN drops", "external_id": "T-1"}, "m-1")
        hand.run()
        accept("tickets.intake", {"title": "Laptop stolen", "external_id": "T-1"}, "m-2")
        hand.run()

        (letter,) = letters()
        assert count(Ticket) == 1
        assert "ticket 1, which has another body; they differ in title" in letter.error
        assert b"Laptop stolen" in (letter.raw or b"")

    @pytest.mark.parametrize("fields", [{}, {"external_id": "4712"}], ids=["message_id", "external_id"])
    def test_the_same_message_and_external_id_of_another_account_is_another_ticket(
        self, hand: Hand, fields: dict[str, str]
    ):
        for account in ("intranet", "monitoring", ""):
            for _ in range(2):
                accept("tickets.intake", {"title": "Disk full", **fields}, "m-1", account)
        hand.run()

        assert count(Ticket) == 3
        assert letters() == []
        with transaction() as session:
            stored = [summary(ticket)["external_id"] for ticket in session.query(Ticket).all()]
        assert not fields or stored == ["4712"] * 3

    def test_a_job_of_an_earlier_version_has_no_account(self, hand: Hand):
        enqueue(NewJob("receive", "message:1", ['{"title": "VPN drops"}']))
        hand.run()

        assert count(Ticket) == 1

    @pytest.mark.parametrize("message_id", ["\0" * 9, "\ud800", "x" * 500, "ü" * 500])
    def test_any_message_id_can_be_stored(self, hand: Hand, message_id: str):
        accept("tickets.intake", {"title": "VPN drops"}, message_id)
        hand.run()

        assert count(Ticket) == 1

    @pytest.mark.parametrize(
        "ticket", [{}, {"title": ""}, {"title": 5}, {"title": "x" * 3000}, {"description": ["no"]}], ids=str
    )
    def test_an_invalid_ticket_is_a_dead_letter_with_the_reason(self, hand: Hand, ticket: dict[str, Any]):
        accept("tickets.intake", ticket)
        accept("tickets.intake", {"title": "good"})
        hand.run()

        (letter,) = letters()
        assert (letter.actor, letter.error_type, letter.attempts) == ("receive", "Permanent", 1)
        assert letter.error.startswith("not a ticket: ")
        assert count(Ticket) == 1

    @pytest.mark.parametrize("user_id", ["Nora", "nora@example.com", 1, "1"])
    def test_a_notification_finds_an_agent_by_id_name_or_address(self, hand: Hand, user_id: Any):
        with transaction() as session:
            session.add(Agent(id=1, name="Nora", email="nora@example.com", skills=[]))
        accept("notify.email", {"user_id": user_id, "data": {"subject": "Hi \0", "message": "Lunch?"}}, "m-1")
        accept("notify.email", {"user_id": user_id, "data": {"subject": "Hi \0", "message": "Lunch?"}}, "m-1")
        hand.run()

        with transaction() as session:
            (sent,) = session.query(Notification).all()
        assert (sent.recipient, sent.subject.strip(), sent.body, sent.state) == (
            "nora@example.com",
            "Hi",
            "Lunch?",
            "sent",
        )

    def test_a_notification_without_a_message_contains_its_data(self):
        accept("notify.email", {"user_id": "ada@example.com", "data": {"floor": 3, "text": ""}})

        with transaction() as session:
            (row,) = session.query(Notification).all()
        assert json.loads(row.body) == {"floor": 3, "text": ""}
        assert row.subject == "Message from the service desk"

    @pytest.mark.parametrize(
        "payload",
        [
            {},
            {"user_id": "ada@example.com"},
            {"user_id": "ada@example.com", "data": "text"},
            {"user_id": True, "data": {}},
            {"user_id": ["ada@example.com"], "data": {}},
            {"user_id": "nobody", "data": {}},
            {"user_id": 10**40, "data": {}},
            {"user_id": "\0", "data": {}},
            {"user_id": "a@" + "x" * 300, "data": {}},
        ],
        ids=lambda payload: str(payload)[:40],
    )
    def test_a_notification_without_a_known_recipient_is_refused(self, payload: dict[str, Any]):
        with pytest.raises(Malformed):
            accept("notify.email", payload)

        assert (count(Notification), all_jobs()) == (0, [])

    def test_a_notification_goes_to_agents_and_requesters_alone_by_setting(self, configure: Callable[..., Any]):
        configure(AURA_MESSAGE_RECIPIENTS="known")
        with transaction() as session:
            session.add(Agent(name="Nora", email="nora@example.com", skills=[]))
            session.add(Ticket(source="api", raw="{}", title="VPN", requester="bob@example.com"))
        data = {"subject": "Hi", "message": "Solved?"}
        for known in ("Nora", "nora@example.com", "bob@example.com", "Bob@Example.com"):
            accept("notify.email", {"user_id": known, "data": data}, known)
        with pytest.raises(Malformed, match="AURA_MESSAGE_RECIPIENTS"):
            accept("notify.email", {"user_id": "stranger@victim.example", "data": data})

        assert count(Notification) == 4

    @pytest.mark.slow
    @given(payload=st.dictionaries(st.sampled_from(["ticket_id", "type", "user_id", "data", "title"]), ANYTHING))
    def test_any_payload_is_accepted_or_refused(self, payload: dict[str, Any]):
        for queue in ("ai.classify", "notify.email", "tickets.intake"):
            try:
                accept(queue, payload)
            except Malformed:
                continue
