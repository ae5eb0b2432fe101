"""Who may comment by mail: people of the ticket, with a reply token. Every other mail is a ticket that names the first one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import delete, update

from aura.mail import IngestResult, ingest_mail
from aura.mail.conversations import NO_TOKEN, NOT_VERIFIED, OTHER_TOKEN, STRANGER
from db import participants, reading, transaction
from db.models import Agent, InboundMail, Notification, SigningKey, Ticket
from db.timeline import timeline
from tests.embedded import Hand, count
from tests.unit.mail.helpers import answering, token
from tests.unit.mail.test_ingest import all_mails, comments, notify, ticket, write

pytestmark = pytest.mark.usefixtures("database")

REQUESTER, CC, AGENT, OTHER_AGENT = "ada@example.com", "bob@example.com", "grace@example.com", "hugo@example.com"
TEAM, STRANGE = "service-desk@localhost", "mallory@evil.example"
SERVER = "mx.example.org"


@pytest.fixture(autouse=True)
def people(database: str) -> None:
    """Ticket 1 of the requester with one person in Cc, ticket 2 of another one, and two agents."""
    ingest_mail(write(REQUESTER, Message_ID="<first@example.com>", Cc=CC))
    ingest_mail(write("carl@example.com", "Printer"))
    with transaction() as session:
        session.add_all([Agent(name="Grace", email="Grace@example.com"), Agent(name="Hugo", email=OTHER_AGENT)])


def outcome(sender: str, **headers: str) -> tuple[str, int | None, str]:
    result = ingest_mail(write(sender, "Re: something", "More.", **headers))
    return result.outcome, result.ticket_id, result.note


def verified(result: str = "pass", domain: str = "example.com") -> dict[str, str]:
    return {"Authentication_Results": f"{SERVER}; dmarc={result} header.from={domain}"}


# -- who, and with whose token ----------------------------------------------------------------------------------------

ALLOWED = [
    (REQUESTER, REQUESTER),
    (REQUESTER, AGENT),
    (REQUESTER, TEAM),
    (CC, CC),
    (CC, REQUESTER),
    (CC, AGENT),
    (AGENT, AGENT),
    (AGENT, OTHER_AGENT),
    (AGENT, TEAM),
]


@pytest.mark.parametrize(("sender", "owner"), ALLOWED)
def test_a_person_comments_with_a_token_of_an_owner_with_the_same_rights(sender: str, owner: str) -> None:
    assert outcome(sender, **answering(1, owner)) == ("comment", 1, "")
    assert [each.author for each in comments()] == [sender]


@pytest.mark.parametrize(("sender", "owner"), [(REQUESTER, CC), (AGENT, REQUESTER), (AGENT, CC)])
def test_a_token_gives_nobody_more_rights_unless_the_sender_is_verified(
    sender: str, owner: str, configure: Callable[..., Any]
) -> None:
    assert outcome(sender, **answering(1, owner)) == ("ticket", 3, OTHER_TOKEN)
    configure(AURA_TRUSTED_AUTHSERV=SERVER)
    assert outcome(sender, **answering(1, owner), **verified())[0] == "comment"
    assert [each.sender_verified for each in comments()] == [True]


@pytest.mark.parametrize("owner", [REQUESTER, CC, AGENT, TEAM])
def test_a_stranger_comments_with_nobodys_token(owner: str, configure: Callable[..., Any]) -> None:
    assert outcome(STRANGE, **answering(1, owner)) == ("ticket", 3, STRANGER)
    configure(AURA_TRUSTED_AUTHSERV=SERVER)
    assert outcome(STRANGE, **answering(1, owner), **verified(domain="evil.example")) == ("ticket", 4, STRANGER)
    assert comments() == []


@pytest.mark.parametrize("sender", [REQUESTER, CC, AGENT])
def test_a_token_of_another_ticket_a_forged_or_a_strangers_one_proves_nothing(sender: str) -> None:
    own = token(1, sender)
    forged = own[:-1] + ("a" if own[-1] != "a" else "b")
    replaced = own.replace("1-", "2-", 1)
    for proof in (token(2, "carl@example.com"), replaced):
        result = ingest_mail(write(sender, "x", "More.", In_Reply_To=f"<ticket-{proof}@localhost>"))
        assert (result.outcome, bool(result.note)) == ("ticket", True)
    other = write(sender, "Re: [Aura #1]", "More.", In_Reply_To=f"<ticket-{token(2, sender)}@localhost>")
    assert ingest_mail(other).ticket_id not in (1, None)
    for proof in (forged, token(1, STRANGE), "1-" + "a" * 24):
        assert outcome(sender, In_Reply_To=f"<ticket-{proof}@localhost>")[::2] == ("ticket", NO_TOKEN)
    assert [each for each in comments() if each.ticket_id == 1] == [], "an agent takes part in ticket 2 as well"


def test_a_removed_person_and_a_deleted_agent_comment_no_more() -> None:
    mails = {sender: answering(1, sender) for sender in (CC, AGENT)}
    with transaction() as session:
        participants.remove(session, 1, CC)
        session.execute(delete(Agent))
    for sender, headers in mails.items():
        assert outcome(sender, **headers)[::2] == ("ticket", STRANGER)
    assert outcome(REQUESTER, **mails[CC])[::2] == ("ticket", NO_TOKEN), "nor does anybody with their token"


def test_a_replaced_key_ends_all_tokens() -> None:
    headers = answering()
    with transaction() as session:
        session.execute(delete(SigningKey).where(SigningKey.name == "reply"))
    assert outcome(REQUESTER, **headers)[::2] == ("ticket", NO_TOKEN)


def test_an_address_in_another_spelling_is_the_same_person() -> None:
    with transaction() as session:
        session.execute(update(Ticket).where(Ticket.id == 1).values(requester="Ada <ADA@bücher.example>"))
    assert outcome("ada@xn--bcher-kva.example", **answering(1, "ada@bücher.example"))[0] == "comment"


# -- where the token is -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        {"In_Reply_To": "<{id}.{token}@localhost>"},
        {"References": "<first@example.com> <ticket-1@localhost> <ticket-{token}@localhost> <rewritten@ses.example>"},
        {"References": "<{id}.{token}@other.example>"},
        {"To": "aura+{token}@localhost"},
        {"To": "somebody@example.com", "Cc": '"Aura #1" <AURA+{upper}@LOCALHOST>'},
        {"Delivered_To": "aura+{token}@localhost"},
        {"X_Original_To": "<aura+{token}@localhost>"},
    ],
    ids=lambda headers: "-".join(headers),
)
def test_the_token_is_found_where_mail_programs_keep_it(headers: dict[str, str]) -> None:
    own = token(1, REQUESTER)
    values = {"id": "0" * 32, "token": own, "upper": own.upper()}
    assert outcome(REQUESTER, **{name: value.format(**values) for name, value in headers.items()})[0] == "comment"


@pytest.mark.parametrize(
    "headers",
    [
        {"Subject": "Re: [Aura #1] {token}"},
        {"To": "aura+{token}@elsewhere.example"},
        {"To": '"aura+{token}@localhost" <x@example.com>'},
        {"Reply_To": "aura+{token}@localhost"},
        {"X_Aura": "notification {token}"},
        {"Subject": "Re: [Aura #1]", "Comments": "<ticket-{token}@localhost>"},
    ],
    ids=lambda headers: "-".join(headers),
)
def test_the_token_proves_nothing_elsewhere(headers: dict[str, str]) -> None:
    own = token(1, REQUESTER)
    sent = {name: value.format(token=own) for name, value in headers.items()}
    quoted = f"More.\n\nOn Monday, Aura wrote:\n> Reply to aura+{own}@localhost <ticket-{own}@localhost>"
    assert ingest_mail(write(REQUESTER, sent.pop("Subject", "Re: x"), quoted, **sent)).outcome == "ticket"


def test_the_plus_address_is_no_participant(configure: Callable[..., Any]) -> None:
    ingest_mail(
        write(REQUESTER, Cc=f"aura+{token(1, AGENT)}@localhost, aura@localhost, eve@example.com", **answering())
    )
    with reading() as session:
        assert [each["address"] for each in participants.listing(session, 1)] == [CC, "eve@example.com"]


def test_a_mail_from_a_plus_address_of_ours_is_a_loop() -> None:
    assert ingest_mail(write(f"aura+{token(1, REQUESTER)}@localhost")).outcome == "ignored: own mail of Aura"


# -- without a token --------------------------------------------------------------------------------------------------

NAMES = [
    {"subject": "Re: [Aura #1] VPN drops"},
    {"subject": "Re: [#1] VPN drops"},
    {"References": "<ticket-1@localhost>"},
    {"To": '"Aura #1" <aura@localhost>'},
    {"In_Reply_To": "<first@example.com>"},
]


@pytest.mark.parametrize("named", NAMES, ids=str)
@pytest.mark.parametrize("sender", [REQUESTER, CC, AGENT, STRANGE])
def test_a_mail_without_a_token_is_a_ticket_that_names_the_other_one(named: dict[str, str], sender: str) -> None:
    result = ingest_mail(write(sender, text="More.", **named))

    reason = STRANGER if sender == STRANGE else NO_TOKEN
    assert result == IngestResult(result.id, "ticket", 3, note=reason)
    assert (ticket(3).requester, comments(), ticket(1).changed_at) == (sender, [], None)
    assert ticket(3).description == f"(This names ticket #1, and is no comment there: {reason}.)\n\nMore."
    with reading() as session:
        entries = [(timeline(session, number) or {})["timeline"] for number in (1, 3)]
    for found in entries:
        [entry] = [each for each in found if each["kind"] == "mail" and each["id"] == result.id]
        assert (entry["ticket_id"], entry["refers_to"], entry["note"]) == (3, 1, reason)


@pytest.mark.parametrize("named", NAMES, ids=str)
def test_with_an_optional_token_the_address_of_people_of_the_ticket_suffices(
    named: dict[str, str], configure: Callable[..., Any]
) -> None:
    configure(AURA_MAIL_REPLY_TOKEN="optional")
    assert ingest_mail(write(REQUESTER, **named)).outcome == "comment"
    assert ingest_mail(write(CC, **named)).outcome == "comment"
    assert ingest_mail(write(STRANGE, **named)).outcome == "ticket"
    configure(AURA_MAIL_REPLY_TOKEN="optional", AURA_TRUSTED_AUTHSERV=SERVER)
    assert ingest_mail(write(REQUESTER, **named, **verified("fail"))).note == NOT_VERIFIED


def test_a_timeline_shows_a_bounded_number_of_mails_that_name_the_ticket() -> None:
    with transaction() as session:
        named = {"sender": STRANGE, "raw": b"", "outcome": "ticket", "refers_to": 1, "note": STRANGER}
        session.add_all(InboundMail(message_id=str(number), **named) for number in range(70))
    with reading() as session:
        found = timeline(session, 1)
    assert found is not None
    assert sum(each["kind"] == "mail" for each in found["timeline"]) == 1 + 50


# -- mails that earlier versions sent ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stored", "result"), [("<{id}@localhost>", "comment"), ("<{id}.1-x@localhost>", "ticket"), ("", "ticket")]
)
def test_the_message_id_of_a_mail_sent_before_the_upgrade_is_a_token_of_its_recipient(stored: str, result: str) -> None:
    notify(1, REQUESTER)
    with transaction() as session:
        [key] = session.scalars(update(Notification).values(provider_id="").returning(Notification.id))
        session.execute(update(Notification).values(provider_id=stored.format(id=key)))
    assert outcome(REQUESTER, In_Reply_To=f"<{key}@localhost>")[0] == result
    assert outcome(AGENT, In_Reply_To=f"<{key}@localhost>")[0] == "ticket", "the token of the requester"


# -- senders who are not verified -------------------------------------------------------------------------------------


@pytest.mark.parametrize("sender", [REQUESTER, CC, AGENT])
def test_an_unverified_sender_never_comments(sender: str, configure: Callable[..., Any]) -> None:
    configure(AURA_TRUSTED_AUTHSERV=SERVER)
    assert outcome(sender, **answering(1, sender), **verified("fail")) == ("ticket", 3, NOT_VERIFIED)
    assert outcome(sender, **answering(1, sender)) == ("ticket", 4, NOT_VERIFIED)
    assert outcome(sender, **answering(1, sender), **verified()) == ("comment", 1, "")
    assert [ticket(number).sender_verified for number in (3, 4)] == [False, False]


def test_an_unverified_sender_adds_nobody_in_cc_and_forwards_for_nobody(configure: Callable[..., Any]) -> None:
    configure(AURA_TRUSTED_AUTHSERV=SERVER)
    inner = "From: Carl <carl@customer.example>\nSubject: The gate\n\nIt is stuck.\n"
    body = f"--b\nContent-Type: text/plain\n\n\n--b\nContent-Type: message/rfc822\n\n{inner}\n--b--\n"
    forwarded = {"Content_Type": "multipart/mixed; boundary=b", "Cc": "victim@example.com"}

    ingest_mail(write(AGENT, "Fwd: The gate", body, **forwarded, **verified("fail")))
    ingest_mail(write(AGENT, "Fwd: The gate", body, **forwarded, **verified()))

    assert [(ticket(number).requester, ticket(number).sender_verified) for number in (3, 4)] == [
        (AGENT, False),
        ("carl@customer.example", None),
    ]
    with reading() as session:
        assert [bool(participants.listing(session, number)) for number in (3, 4)] == [False, True]


def test_refused_mail_of_an_unverified_sender_is_stored(configure: Callable[..., Any]) -> None:
    configure(AURA_TRUSTED_AUTHSERV=SERVER, AURA_MAIL_DMARC_FAILED="refuse")
    before = count(Ticket)
    result = ingest_mail(write(REQUESTER, **verified("fail")))
    assert result.outcome == "refused: sender not verified: dmarc=fail (AURA_MAIL_DMARC_FAILED)"
    assert (count(Ticket), all_mails()[-1].sender_verified) == (before, False)
    assert ingest_mail(write(REQUESTER, **verified())).outcome == "ticket"


def test_forged_mails_neither_use_up_the_limit_of_a_sender_nor_hide_their_tickets(
    hand: Hand, configure: Callable[..., Any]
) -> None:
    configure(AURA_TRUSTED_AUTHSERV=SERVER, AURA_MAIL_SENDER_LIMIT="3")
    forged = [ingest_mail(write("dan@example.com", **verified("fail"))).outcome for _ in range(5)]
    own = ingest_mail(write("dan@example.com", **verified()))
    hand.run()

    assert ([each.partition(":")[0] for each in forged], own.outcome) == (["ticket"] * 3 + ["ignored"] * 2, "ticket")
    assert (ticket(own.ticket_id or 0).duplicate_of, ticket(own.ticket_id or 0).sender_verified) == (None, True)


def test_a_mail_with_many_tokens_is_compared_with_a_bounded_number(configure: Callable[..., Any]) -> None:
    forged = ", ".join(f"aura+1-{'a' * 22}{first}{second}@localhost" for first in "bcdefghij" for second in "bcdefghij")
    assert outcome(REQUESTER, To=f"aura+{token(1, REQUESTER)}@localhost, {forged}")[0] == "comment"
    assert outcome(REQUESTER, To=f"{forged}, aura+{token(1, REQUESTER)}@localhost")[::2] == ("ticket", NO_TOKEN)


@pytest.mark.parametrize("stored", ["ann@bücher.example", "ann@xn--bcher-kva.example"])
@pytest.mark.parametrize("sender", ["ann@bücher.example", "ann@xn--bcher-kva.example"])
def test_the_note_of_an_agent_is_internal_in_either_spelling_of_the_domain(stored: str, sender: str) -> None:
    with transaction() as session:
        session.add(Agent(name="Ann", email=stored))
    assert outcome(sender, **answering(1, stored)) == ("comment", 1, "")
    assert [each.internal for each in comments()] == [True]
