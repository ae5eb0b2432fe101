"""Intake: the prepared fields of a ticket."""

from __future__ import annotations

from typing import Any

import pytest

from actors.intake import DESCRIPTION_LIMIT, TITLE_LIMIT, prepare
from db import reading, tickets, transaction
from db.new_tickets import NewTicket
from db.tickets import TicketRow

pytestmark = pytest.mark.usefixtures("database")


def load(source: str = "test", **fields: Any) -> TicketRow:
    with transaction() as session:
        [ticket_id] = tickets.create(
            session, source, [(NewTicket(**{"title": "VPN", "requester": "ada"} | fields), {})]
        )
    with reading() as session:
        [ticket] = tickets.load(session, [str(ticket_id)]).values()
    return ticket


def test_intake_cleans_html_and_detects_the_language() -> None:
    prepared = prepare(load(title="<b>Drucker</b>", description="<p>Der Drucker druckt seit heute nicht mehr.</p>"), [])

    assert (prepared.title, prepared.description) == ("Drucker", "Der Drucker druckt seit heute nicht mehr.")
    assert prepared.language == "de"


def test_tags_in_the_text_of_a_mail_stay_since_its_html_is_text_already() -> None:
    prepared = prepare(load(source="email", title="What is <br>?", description="I wrote <b>x</b> and saw it"), [])

    assert (prepared.title, prepared.description) == ("What is <br>?", "I wrote <b>x</b> and saw it")


def test_an_empty_title_is_the_beginning_of_the_description() -> None:
    assert prepare(load(title="<p></p>", description="The VPN drops"), []).title == "The VPN drops"


def test_intake_limits_title_and_description() -> None:
    prepared = prepare(load(title="x" * 400, description="y " * 30_000), [])

    assert len(prepared.title) <= TITLE_LIMIT
    assert len(prepared.description) <= DESCRIPTION_LIMIT


@pytest.mark.parametrize(("requester", "duplicate"), [("ada", True), ("eve", False)])
def test_a_duplicate_is_an_earlier_ticket_of_the_same_requester(requester: str, duplicate: bool) -> None:
    text = {"title": "VPN drops every ten minutes", "description": "Since this morning the VPN drops, from home only."}
    first = load(**text)
    second = load(**text, requester=requester)

    assert prepare(second, [first]).duplicate_of == (first.id if duplicate else None)
    assert prepare(first, [second]).duplicate_of is None
