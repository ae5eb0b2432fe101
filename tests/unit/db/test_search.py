"""Search: each qualifier, invalid terms, and the window of a page."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import update

from db import reading, search, transaction
from db.models import Ticket
from db.new_tickets import NewTicket
from db.search import InvalidSearch
from db.tickets import create
from db.time import from_now


def store(**fields: Any) -> int:
    with transaction() as session:
        [ticket_id] = create(session, "test", [(NewTicket(title="A ticket", requester="ada@example.com"), {})])
        if fields:
            session.execute(update(Ticket).where(Ticket.id == ticket_id).values(**fields))
    return ticket_id


def found(query: str, before: int | None = None, page: int = 50) -> list[int]:
    with reading() as session:
        return [ticket.id for ticket in search.search(session, query, before, page).tickets]


@pytest.mark.usefixtures("database")
class TestFinding:
    def test_tickets_are_listed_newest_first_page_by_page(self):
        ids = [store() for _ in range(5)]
        with reading() as session:
            first = search.search(session, "", page=2)
            second = search.search(session, "", first.older, 2)
            third = search.search(session, "", second.older, 2)

        assert [t.id for page in (first, second, third) for t in page.tickets] == ids[::-1]
        assert third.older is None

    @pytest.mark.parametrize(
        ("query", "fields"),
        [
            ("category:security", {"category": "Security"}),
            ("priority:CRITICAL", {"priority": "critical"}),
            ("needs:review", {"needs_review": True}),
            ("is:assigned", {"assignee": "Lena Vogt"}),
            ('assignee:"lena vogt"', {"assignee": "Lena Vogt"}),
            ("is:done", {"status": "resolved"}),
            ("is:late", {"sla_state": "breached"}),
            ("is:human", {"priority_by": "human"}),
            ("requester:bob@example.com", {"requester": "bob@example.com"}),
            ("requester:BOB@Example.com", {"requester": "bob@example.com"}),
            ('requester:"bob sand"', {"requester": "Bob Sand"}),
            ("before:2020-01-02", {"created_at": from_now(-3650 * 86_400)}),
            ("vpn", {"title": "The VPN drops"}),
            ('"drops every ten"', {"description": "It drops every ten minutes"}),
            ("50%_!", {"description": "the disk is at 50%_! full"}),
            ("https://example.com/x", {"description": "see https://example.com/x"}),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_a_term_finds_the_matching_ticket_and_a_minus_the_others(self, query: str, fields: dict[str, Any]):
        other, wanted = store(), store(**fields)

        assert found(query) == [wanted]
        assert found(f"-{query}") == [other]

    def test_all_terms_must_hold(self):
        store(category="Network"), store(priority="high")
        both = store(category="Network", priority="high", title="Switch 4 is down")

        assert found("category:network priority:high switch") == [both]
        assert found(f"id:{both} -category:email") == [both]

    def test_a_page_ends_at_the_window_and_says_so(self, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr(search, "WINDOW", 3)
        wanted = store(title="The printer burns")
        for _ in range(5):
            store()

        with reading() as session:
            first = search.search(session, "burns")
            assert (first.tickets, first.read_to is not None) == ([], True)
            second = search.search(session, "burns", first.older)

        assert [t.id for t in second.tickets] == [wanted]
        assert second.older is None


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ("colour:red", "no qualifier colour:; there are category, priority"),
        ("is:happy", "is: must be one of open, done"),
        ("status:opne", "status: must be one of open, in_progress.*did you mean open?"),
        ("-priority:urgent", "priority: must be one of low, medium, high, critical, not 'urgent'"),
        ("stage:done", "stage: must be one of received, prepared, classified, notified, not 'done'"),
        ("needs:love", "needs: must be review, not 'love'"),
        ("after:yesterday", "'yesterday' is not a date such as 2026-11-25"),
        ("id:x", "id: must be the number of a ticket, not 'x'"),
        ("id:99999999999999999999", "must be the number of a ticket"),
        ("a " * 30, "at most 20 terms"),
        ("a" * 501, "at most 500 characters"),
    ],
)
def test_an_invalid_term_is_refused(query: str, problem: str):
    with pytest.raises(InvalidSearch, match=problem):
        search.parse(query)


@given(st.text(max_size=80))
def test_any_text_is_a_search_or_is_refused(query: str):
    with suppress(InvalidSearch):  # nothing else
        search.parse(query)


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize(
    "query", ["\0", "\ud800", "'; DROP TABLE tickets; --", '"', '"" -""', "-", ":", "a:b:c/d", "%"]
)
def test_hostile_text_is_only_text(query: str):
    store()
    try:
        found(query)
    except InvalidSearch:
        pass
    else:
        return
    assert ":" in query
