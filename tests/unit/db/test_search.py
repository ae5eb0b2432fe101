"""Search: what each qualifier finds, what cannot be understood, and how far one search reads."""

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


def found(said: str, before: int | None = None, page: int = 50) -> list[int]:
    with reading() as session:
        return [ticket.id for ticket in search.search(session, said, before, page).tickets]


@pytest.mark.usefixtures("database")
class TestFinding:
    def test_everything_newest_first_a_page_at_a_time(self):
        ids = [store() for _ in range(5)]
        with reading() as session:
            first = search.search(session, "", page=2)
            second = search.search(session, "", first.older, 2)
            third = search.search(session, "", second.older, 2)

        assert [t.id for page in (first, second, third) for t in page.tickets] == ids[::-1]
        assert third.older is None

    @pytest.mark.parametrize(
        ("said", "fields"),
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
            ("before:2020-01-02", {"created_at": from_now(-3650 * 86_400)}),
            ("vpn", {"title": "The VPN drops"}),
            ('"drops every ten"', {"description": "It drops every ten minutes"}),
            ("50%_!", {"description": "the disk is at 50%_! full"}),
            ("https://example.com/x", {"description": "see https://example.com/x"}),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_a_term_finds_the_one_it_is_about(self, said: str, fields: dict[str, Any]):
        other, wanted = store(), store(**fields)

        assert found(said) == [wanted]
        assert found(f"-{said}") == [other]

    def test_all_terms_must_hold(self):
        store(category="Network"), store(priority="high")
        both = store(category="Network", priority="high", title="Switch 4 is down")

        assert found("category:network priority:high switch") == [both]
        assert found(f"id:{both} -category:email") == [both]

    def test_one_search_reads_so_far_and_tells_it(self, monkeypatch: pytest.MonkeyPatch):
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
    ("said", "problem"),
    [
        ("colour:red", "there is no colour: in a search; there are category, priority"),
        ("is:happy", "is:happy means nothing: there are open, done"),
        ("needs:love", "needs:love means nothing: there is needs:review"),
        ("after:yesterday", "'yesterday' is no day: write it as 2026-11-25"),
        ("id:x", "'x' is no ticket's number"),
        ("id:99999999999999999999", "is no ticket's number"),
        ("a " * 30, "at most 20 words"),
        ("a" * 501, "at most 500 characters"),
    ],
)
def test_what_cannot_be_understood_is_told(said: str, problem: str):
    with pytest.raises(InvalidSearch, match=problem):
        search.parse(said)


@given(st.text(max_size=80))
def test_any_text_is_a_search_or_is_refused(said: str):
    with suppress(InvalidSearch):  # nothing else
        search.parse(said)


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize("said", ["\0", "\ud800", "'; DROP TABLE tickets; --", '"', '"" -""', "-", ":", "a:b:c/d", "%"])
def test_hostile_words_are_only_words(said: str):
    store()
    try:
        found(said)
    except InvalidSearch:
        pass
    else:
        return
    assert ":" in said
