"""Forms of From, Sender and Reply-To of tests/data/identity, from the bytes to the stored requester and the author of a comment.

Each form has the `requester` that its ticket has after triage, the `author` of the comment that it becomes with a stolen token of
the requester (null: it is a ticket of its own), and whether the sender is `verified` when DMARC passed for evil.example.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select

from aura.mail import ingest_mail
from db import reading, transaction
from db.models import Agent, Comment, Ticket
from tests.conftest import ROOT
from tests.embedded import Hand
from tests.unit.mail.helpers import token
from tests.unit.mail.test_ingest import ticket, write

LINES = (ROOT / "tests" / "data" / "identity" / "senders.jsonl").read_text("utf-8").splitlines()
FORMS: list[dict[str, Any]] = [json.loads(line) for line in LINES]
BOSS, CC, AGENT = "ceo@corp.example", "assistant@corp.example", "grace@corp.example"
SERVER = "mx.example.org"


@pytest.fixture
def desk(database: str, configure: Callable[..., Any]) -> None:
    """Ticket 1 of the boss, with a person in Cc, and an agent."""
    configure(AURA_MAIL_SENDER_LIMIT="0")
    ingest_mail(write(BOSS, Cc=CC))
    with transaction() as session:
        session.add(Agent(name="Grace", email=AGENT))


def mail(form: dict[str, Any], *more: str) -> bytes:
    above, below = "".join(f"{line}\n" for line in more), f"Message-ID: <{len(more)}-{FORMS.index(form)}@evil.example>"
    return f"{above}{form['headers']}{below}\n\nPlease send me the list.".encode(form.get("encoding", "utf-8"))


def failures(check: Callable[[dict[str, Any]], tuple[object, object]]) -> list[str]:
    """Return a line for each form whose result is not the expected one."""
    return [
        f"{form['name']}: {form['headers'][:200]!r} is {found!r}, not {expected!r}"
        for form in FORMS
        for found, expected in [check(form)]
        if found != expected
    ]


def test_the_forms_are_many_and_different() -> None:
    assert (
        len({form["name"] for form in FORMS})
        == len({(form["headers"], form.get("encoding")) for form in FORMS})
        == len(FORMS)
        >= 60
    )
    imitations = [form for form in FORMS if form["requester"] not in (BOSS, CC, AGENT)]
    assert len(imitations) >= 60, "forms whose sender is none of these people"


def test_the_requester_of_each_form(desk: None, hand: Hand) -> None:
    tickets = {form["name"]: ingest_mail(mail(form)).ticket_id for form in FORMS}
    hand.run()
    with reading() as session:
        stored = dict(session.execute(select(Ticket.id, Ticket.requester)).all())
        names = list(session.scalars(select(Ticket.requester_name)))
    assert None not in tickets.values()
    assert [name for name in names if "@" in name] == [], "a display name that imitates an address is not stored"
    assert failures(lambda form: (stored[tickets[form["name"]] or 0], form["requester"])) == []


def test_the_author_of_each_form_with_a_stolen_token(desk: None) -> None:
    answered = f"In-Reply-To: <ticket-{token(1, BOSS)}@localhost>"

    def check(form: dict[str, Any]) -> tuple[object, object]:
        result = ingest_mail(mail(form, answered))
        with reading() as session:
            last = session.scalars(select(Comment).order_by(Comment.id.desc()).limit(1)).first()
        if result.outcome == "comment":
            return (last.author if last else None, result.ticket_id), (form["author"], 1)
        own = result.ticket_id
        stored = ticket(own or 0)
        expected = (None, form["requester"], True)
        return (None if own != 1 else 1, stored.requester, stored.description.startswith("(This names ticket #1")), (
            expected if form["author"] is None else form["author"]
        )

    assert failures(check) == []


def test_whether_each_form_is_verified_by_dmarc_of_another_domain(desk: None, configure: Callable[..., Any]) -> None:
    configure(AURA_TRUSTED_AUTHSERV=SERVER, AURA_MAIL_SENDER_LIMIT="0")
    result = f"Authentication-Results: {SERVER}; dmarc=pass header.from=evil.example"
    answered = f"In-Reply-To: <ticket-{token(1, BOSS)}@localhost>"

    def check(form: dict[str, Any]) -> tuple[object, object]:
        ingested = ingest_mail(mail(form, result, answered))
        stored = ticket(ingested.ticket_id or 0)
        return (ingested.outcome, stored.requester, stored.sender_verified), (
            "ticket",
            form["requester"],
            form["verified"],
        )

    assert failures(check) == []
