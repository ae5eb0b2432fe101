"""Recipients of a public reply: those that `announce` notifies, as a button names them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select

from aura.desk.participants import add_participant
from aura.desk.replies import describe, reply_recipients, resolution_recipients
from aura.desk.ticket_actions import comment
from db import reading, tickets, transaction
from db.models import Notification
from db.new_tickets import NewTicket
from tests.embedded import Hand

ADA, BOB, CARL = "ada@example.com", "bob@example.com", "carl@example.com"


@pytest.mark.parametrize(
    ("addresses", "text"),
    [([], ""), ([ADA], ADA), ([ADA, BOB], f"{ADA} and 1 in Cc"), ([ADA, BOB, CARL], f"{ADA} and 2 in Cc")],
)
def test_a_button_names_the_first_recipient_and_the_number_of_the_others(addresses: list[str], text: str):
    assert describe(addresses) == text


@pytest.mark.parametrize("cc", ["on", "off"])
@pytest.mark.parametrize("requester", [ADA, "Ada <ada@example.com>", "ada", "", "a@example.com, b@example.com"])
def test_the_named_recipients_are_those_that_are_notified(
    database: str, hand: Hand, configure: Callable[..., Any], cc: str, requester: str
):
    configure(AURA_NOTIFY_CC=cc)
    with transaction() as session:
        [number] = tickets.create(session, "test", [(NewTicket(title="VPN drops", requester=requester), {})])
    for address in (BOB, CARL):
        add_participant(number, address, "nora")
    with reading() as session:
        named = reply_recipients(session, number, requester)

    comment(number, "nora", "The cable", visibility="public", recipients=named)
    hand.run()

    with reading() as session:
        by_role = Notification.role.in_(("requester", "cc"))
        notified = session.scalars(select(Notification.recipient).where(by_role)).all()
    assert sorted(named) == sorted(notified)


@pytest.mark.parametrize(
    ("requester", "expected"),
    [(ADA, [ADA]), ("Ada <ada@example.com>", [ADA]), ("ada", ["ada"]), ("", []), ("a@b, c", [])],
)
def test_a_resolution_is_sent_to_the_requester_alone(requester: str, expected: list[str]):
    assert resolution_recipients(requester) == expected
