"""People in Cc: who is remembered, and what is sent to them, through a real SMTP server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from email.message import EmailMessage
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from sqlalchemy import func, select

from aura.desk.participants import add_participant, remove_participant
from aura.desk.ticket_actions import comment, resolve
from aura.desk.unsubscribe import unsubscribe
from aura.errors import InvalidInput
from aura.mail import create_from_ignored, ingest_mail
from db import participants, reading, transaction
from db.models import Agent, Notification, Ticket, TicketParticipant
from tests.embedded import Hand
from tests.unit.actors.helpers import subscribe
from tests.unit.mail.helpers import answering, token
from tests.unit.mail.test_ingest import comments, ticket, write
from tests.unit.notifications.channels.test_email import Mailbox, PrivatePort

pytestmark = pytest.mark.usefixtures("database")

DESK, TEAM = "desk@example.org", "team@example.org"
BASE = "https://aura.example.org"


@pytest.fixture
def mailbox(database: str, configure: Callable[..., Any]) -> Iterator[Mailbox]:
    """The mails that the desk sends."""
    received = Mailbox()
    controller: Controller = PrivatePort(received, hostname="127.0.0.1", port=0)
    controller.start()
    configure(
        SMTP_URL=f"smtp://127.0.0.1:{controller.port}",
        MAIL_FROM=f"Service desk <{DESK}>",
        AURA_SERVICE_DESK=TEAM,
        AURA_BASE_URL=BASE,
        AURA_IMAP_URL="imaps://inbox%40example.org:x@mail.example.org/INBOX",
    )
    yield received
    controller.stop()


def people(number: int = 1) -> list[str]:
    with reading() as session:
        return [each["address"] for each in participants.listing(session, number)]


def mails_to(mailbox: Mailbox, address: str) -> list[EmailMessage]:
    return [mail for mail in mailbox.mails if str(mail["To"]) == address]


def cc(*addresses: str, **headers: str) -> bytes:
    return write(Cc=", ".join(addresses), To=DESK, **headers)


def test_people_in_cc_are_remembered_with_their_names(mailbox: Mailbox) -> None:
    ingest_mail(cc('"Sand, Bob" <Bob@Example.com>', "eve@example.com"))
    with reading() as session:
        rows = participants.listing(session, 1)
    assert [(row["name"], row["address"], row["added_by"]) for row in rows] == [
        ("Sand, Bob", "bob@example.com", "ada@example.com"),
        ("", "eve@example.com", "ada@example.com"),
    ]


@pytest.mark.parametrize(
    "address",
    [
        DESK,
        TEAM,
        "Inbox@example.org",
        "ada@example.com",
        "no-reply@shop.example",
        "NoReply@shop.example",
        "do_not_reply@shop.example",
        "notify-noreply@shop.example",
        "noreply+17@shop.example",
        "mailer-daemon@example.com",
        "bounces+17@example.com",
        "users-request@lists.example",
        "owner-users@lists.example",
        "support@example.org",
        "desk+17.t0ken@example.org",
        "Inbox+x@example.org",
        "users@lists.example",
        "not an address",
    ],
)
def test_own_addresses_machines_and_lists_are_left_out(mailbox: Mailbox, address: str) -> None:
    headers = {"Delivered_To": "support@example.org", "List_Post": "<mailto:users@lists.example>"}
    ingest_mail(cc(address, "bob@example.com", **headers))
    stored = people() or people_after_triage(mailbox)
    assert stored == ["bob@example.com"]


def people_after_triage(mailbox: Mailbox) -> list[str]:
    """Return the people of a mail that a mailing list made automatic, and that a person made a ticket."""
    create_from_ignored(1)
    return people()


def test_persons_whose_addresses_resemble_machines_are_kept(mailbox: Mailbox) -> None:
    ingest_mail(cc("noreen@example.com", "not.ray@example.com", "r.e.ply@example.com", "bounce.smith@example.com"))
    assert len(people()) == 4


def test_a_mail_with_a_thousand_people_in_cc_adds_a_bounded_number(hand: Hand, mailbox: Mailbox) -> None:
    ingest_mail(cc(*(f"victim{number}@example.com" for number in range(1000))))
    for number in range(3):
        ingest_mail(cc(*(f"other{number}-{each}@example.com" for each in range(30)), **answering()))
    hand.run()
    assert len(people()) == participants.MAX_PARTICIPANTS
    assert {str(mail["To"]) for mail in mailbox.mails} <= {"ada@example.com", TEAM}, "no reply, no mail to them"


def test_an_automatic_mail_adds_nobody(mailbox: Mailbox) -> None:
    ingest_mail(cc("bob@example.com", Auto_Submitted="auto-replied"))
    create_from_ignored(1)
    assert people() == []


def test_a_public_reply_reaches_people_in_cc_and_nothing_else_does(hand: Hand, mailbox: Mailbox) -> None:
    ingest_mail(cc("Bob <bob@example.com>"))
    hand.run()
    assert mails_to(mailbox, "ada@example.com") and not mails_to(mailbox, "bob@example.com")

    comment(1, "nora", "The secret is in the safe.")
    comment(1, "ada@example.com", "Any news?")
    resolve(1, "A new cable.")
    hand.run()
    assert not mails_to(mailbox, "bob@example.com")
    assert "secret" not in "".join(str(mail) for mail in mails_to(mailbox, "ada@example.com"))

    comment(1, "nora", "See https://kb.example.org/vpn?a=1 first.", visibility="public")
    hand.run()
    [mail] = mails_to(mailbox, "bob@example.com")
    text, html = (part.get_content() for part in mail.iter_parts())
    assert "https://kb.example.org/vpn?a=1" in text
    assert '<a href="https://kb.example.org/vpn?a=1"' in html
    assert "safe" not in text + html


def test_the_requester_gets_a_reply_as_its_agent_wrote_it(hand: Hand, mailbox: Mailbox) -> None:
    subscribe("boss@example.com", event="ticket.commented")
    ingest_mail(cc("bob@example.com"))
    hand.run()
    mailbox.mails.clear()
    reply = f"Call +49 30 1234567 or see https://kb.example.org/?user=ada@example.com{' and so on' * 1500}"
    comment(1, "nora", reply, visibility="public")
    hand.run()
    for address in ("ada@example.com", "bob@example.com"):
        [mail] = mails_to(mailbox, address)
        assert f"> {reply}" in next(mail.iter_parts()).get_content(), "whole"
    [mail] = mails_to(mailbox, "boss@example.com")
    assert "[phone 1]" in next(mail.iter_parts()).get_content(), "others get an excerpt, masked"
    resolve(1, "Call +49 30 1234567.", visibility="public")
    hand.run()
    assert "Call +49 30 1234567." in next(mails_to(mailbox, "ada@example.com")[-1].iter_parts()).get_content()


def test_the_links_of_a_requester_are_defanged_in_mails_to_others(hand: Hand, mailbox: Mailbox) -> None:
    ingest_mail(cc("bob@example.com"))
    hand.run()
    mailbox.mails.clear()
    ingest_mail(write(text="See https://evil.example/login and www.evil.example.", **answering()))
    hand.run()
    [mail] = mails_to(mailbox, TEAM)
    text, html = (part.get_content() for part in mail.iter_parts())
    assert "hxxps://evil.example/login" in text and "www[.]evil.example" in text
    assert "https://evil" not in text + html


def test_an_internal_comment_notifies_the_agent_alone(hand: Hand, mailbox: Mailbox) -> None:
    ingest_mail(cc("bob@example.com"))
    hand.run()
    comment(1, "nora", "The secret is in the safe.")
    hand.run()
    with reading() as session:
        roles = select(Notification.role).where(Notification.event == "ticket.commented")
        assert set(session.scalars(roles)) == {"team"}
    assert comments()[0].internal


def test_with_the_setting_off_people_in_cc_get_no_mail(
    hand: Hand, mailbox: Mailbox, configure: Callable[..., Any]
) -> None:
    configure(AURA_NOTIFY_CC="off")
    ingest_mail(cc("bob@example.com"))
    comment(1, "nora", "Try it again.", visibility="public")
    hand.run()
    assert people() == ["bob@example.com"]
    assert not mails_to(mailbox, "bob@example.com")


def test_a_removed_person_gets_no_mail_and_no_mail_adds_them_again(hand: Hand, mailbox: Mailbox) -> None:
    ingest_mail(cc("bob@example.com"))
    remove_participant(1, "Bob@example.com", "nora")
    ingest_mail(cc("bob@example.com", **answering()))
    comment(1, "nora", "Try it again.", visibility="public")
    hand.run()
    assert people() == []
    assert not mails_to(mailbox, "bob@example.com")
    with reading() as session:
        assert session.scalar(select(func.count()).select_from(TicketParticipant)) == 1


def test_a_person_in_cc_comments_until_removed(hand: Hand, mailbox: Mailbox) -> None:
    ingest_mail(cc("bob@example.com"))
    comment(1, "nora", "Try it again.", visibility="public")
    hand.run()
    reply = {"In_Reply_To": str(mails_to(mailbox, "bob@example.com")[0]["Message-ID"])}
    assert ingest_mail(write("bob@example.com", "Re: VPN drops", "Me too.", **reply)).outcome == "comment"
    assert ingest_mail(write("eve@example.com", "Re: VPN drops", "Me too.", **reply)).outcome == "ticket"
    remove_participant(1, "bob@example.com", "nora")
    assert ingest_mail(write("bob@example.com", "Re: VPN drops", "Me again.", **reply)).outcome == "ticket"


def test_mails_to_the_requester_and_people_in_cc_answer_the_mails_of_the_requester(
    hand: Hand, mailbox: Mailbox
) -> None:
    ingest_mail(cc("bob@example.com", Message_ID="<first@example.com>"))
    hand.run()
    [received] = mails_to(mailbox, "ada@example.com")
    assert received["In-Reply-To"] == "<first@example.com>"
    conversation = ["<ticket-1@example.org>", f"<ticket-{token(1, 'ada@example.com')}@example.org>"]
    assert received["References"].split() == [*conversation, "<first@example.com>"]
    assert received["Subject"] == "Re: VPN drops [Aura #1]"

    ingest_mail(write(Message_ID="<second@example.com>", In_Reply_To=str(received["Message-ID"])))
    ingest_mail(write("bob@example.com", Message_ID="<of-bob@example.com>", **answering(1, "bob@example.com")))
    comment(1, "nora", "Try it again.", visibility="public")
    hand.run()
    to_ada, to_bob = mails_to(mailbox, "ada@example.com")[-1], mails_to(mailbox, "bob@example.com")[-1]
    assert to_ada["References"].split()[2:] == ["<first@example.com>", "<second@example.com>"]
    assert to_ada["In-Reply-To"] == "<second@example.com>"
    assert to_bob["References"].split()[2:] == ["<first@example.com>", "<second@example.com>", "<of-bob@example.com>"]
    assert to_ada["Subject"] == to_bob["Subject"] == received["Subject"]
    # agents have a conversation of their own
    team = [mail for mail in mailbox.mails if str(mail["To"]) == TEAM]
    own = f"<ticket-1@example.org> <ticket-{token(1, TEAM)}@example.org>"
    assert team and {" ".join(str(mail["References"]).split()) for mail in team} == {own}


@pytest.mark.parametrize("identifier", ["<" + "x" * 230 + "@example.com>", "<ä@example.com>"])
def test_a_message_id_that_is_stored_as_a_digest_is_not_referred_to(
    hand: Hand, mailbox: Mailbox, identifier: str
) -> None:
    ingest_mail(write(Message_ID=identifier))
    hand.run()
    [received] = mails_to(mailbox, "ada@example.com")
    assert received["References"] == f"<ticket-1@example.org> {received['In-Reply-To']}"


# -- one person, several addresses ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("author", ["nora", "Nora@example.org", "nora@example.org"])
def test_the_author_of_a_comment_gets_no_notification_of_it(hand: Hand, mailbox: Mailbox, author: str) -> None:
    add_nora()
    subscribe("nora@example.org", event="ticket.commented")
    ingest_mail(cc("nora@example.org", "bob@example.com"))
    comment(1, author, "Try it again.", visibility="public")
    hand.run()
    assert mails_to(mailbox, "bob@example.com") and mails_to(mailbox, "ada@example.com")
    assert not mails_to(mailbox, "nora@example.org")


def test_the_own_answer_by_mail_is_not_sent_to_its_agent(hand: Hand, mailbox: Mailbox) -> None:
    add_nora()
    ingest_mail(cc("nora@example.org", "bob@example.com"))
    own = write("nora@example.org", text="#public\n\nTry it again.", **answering(1, "nora@example.org"))
    assert ingest_mail(own).outcome == "comment"
    hand.run()
    assert mails_to(mailbox, "bob@example.com")
    assert not mails_to(mailbox, "nora@example.org")
    comment(1, "carl", "Or this.", visibility="public")
    hand.run()
    assert len(mails_to(mailbox, "nora@example.org")) == 1, "the comment of another agent"


def test_two_spellings_of_an_internationalized_domain_are_one_person(hand: Hand, mailbox: Mailbox) -> None:
    ascii_form, unicode_form = "bob@xn--bcher-kva.example", "bob@bücher.example"
    ingest_mail(cc(ascii_form, unicode_form, Content_Type="text/plain; charset=utf-8"))
    ingest_mail(cc(ascii_form, subject="Re: VPN drops", **answering()))
    comment(1, "nora", "Try it again.", visibility="public")
    hand.run()
    assert people() == [unicode_form]
    assert [str(mail["To"]) for mail in mailbox.mails].count(ascii_form) == 1
    for spelling in (ascii_form, unicode_form):
        assert ingest_mail(write(spelling, "Re: VPN drops", spelling, **answering(1, spelling))).outcome == "comment"
    remove_participant(1, ascii_form.upper(), "nora")
    assert people() == []


def test_a_requester_in_cc_with_another_spelling_gets_one_mail(hand: Hand, mailbox: Mailbox) -> None:
    ingest_mail(write("ada@bücher.example"))
    hand.run()
    mailbox.mails.clear()
    with transaction() as session:
        participants.add(session, 1, [("", "ada@xn--bcher-kva.example")], "nora")
    comment(1, "nora", "Try it again.", visibility="public")
    hand.run()
    assert [str(mail["To"]) for mail in mailbox.mails] == ["ada@xn--bcher-kva.example"]


@pytest.mark.parametrize("address", [DESK, TEAM, "inbox@example.org", "Desk+17.t0ken@Example.org"])
def test_no_person_adds_an_address_of_the_desk_to_cc(mailbox: Mailbox, address: str) -> None:
    ingest_mail(write())
    with pytest.raises(InvalidInput, match="one of this desk"):
        add_participant(1, address, "nora")
    assert people() == []


def add_nora() -> None:
    with transaction() as session:
        session.add(Agent(name="nora", email="nora@example.org"))


def test_the_mail_to_a_person_in_cc_names_a_link_that_ends_these_mails(hand: Hand, mailbox: Mailbox) -> None:
    ingest_mail(cc("bob@example.com", "carl@example.com"))
    comment(1, "nora", "Try it again.", visibility="public")
    hand.run()
    [mail] = mails_to(mailbox, "bob@example.com")
    url = str(mail["List-Unsubscribe"]).strip("<>")
    assert url.startswith(f"{BASE}/unsubscribe/") and mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert url in next(mail.iter_parts()).get_content()
    assert all(mail["List-Unsubscribe"] is None for mail in mails_to(mailbox, "ada@example.com"))

    unsubscribe(url.rpartition("/")[2])
    unsubscribe(url.rpartition("/")[2])
    comment(1, "nora", "And again.", visibility="public")
    hand.run()
    assert people() == ["carl@example.com"]
    assert (len(mails_to(mailbox, "bob@example.com")), len(mails_to(mailbox, "carl@example.com"))) == (1, 2)


def test_a_mail_with_the_token_as_its_subject_unsubscribes(hand: Hand, mailbox: Mailbox) -> None:
    ingest_mail(cc("bob@example.com", "carl@example.com"))
    comment(1, "nora", "Try it again.", visibility="public")
    hand.run()
    token = str(mails_to(mailbox, "bob@example.com")[0]["List-Unsubscribe"]).strip("<>").rpartition("/")[2]
    forged = ingest_mail(write("eve@example.com", f"unsubscribe {token[:-6]}AAAAAA"))
    sent = ingest_mail(write("robot@mail.example", f"unsubscribe {token}", Auto_Submitted="auto-generated"))
    assert forged.outcome == "ticket"
    assert sent.outcome == "ignored: unsubscribed bob@example.com"
    assert people() == ["carl@example.com"]


def test_a_requester_is_stored_in_lower_case_whatever_the_mail_says(mailbox: Mailbox) -> None:
    ingest_mail(write("ADA@Example.COM"))
    assert ticket().requester == "ada@example.com"
    with reading() as session:
        assert session.scalar(select(func.count()).select_from(Ticket)) == 1


# -- replies to what was sent, and text of senders who are not verified --------------------------------------------------


@pytest.mark.parametrize("kept", ["References", "In-Reply-To", "Reply-To"])
def test_a_reply_to_a_sent_mail_is_a_comment_whatever_the_mail_program_keeps(
    kept: str, hand: Hand, mailbox: Mailbox, configure: Callable[..., Any]
) -> None:
    configure(AURA_MAIL_PLUS_ADDRESSES="on")
    ingest_mail(write())
    hand.run()
    [sent] = mails_to(mailbox, "ada@example.com")
    headers = {
        # a server replaced the Message-ID
        "References": {"References": f"{sent['References']} <new@ses.example>", "In_Reply_To": "<new@ses.example>"},
        "In-Reply-To": {"In_Reply_To": str(sent["Message-ID"])},
        "Reply-To": {"To": str(sent["Reply-To"])},
    }[kept]
    headers = {name: " ".join(value.split()) for name, value in headers.items()}
    assert str(sent["Reply-To"]).startswith("Aura #1 <desk+1-")
    assert ingest_mail(write(text="More.", **headers)).outcome == "comment"
    assert ingest_mail(write("mallory@evil.example", text="More.", **headers)).outcome == "ticket"


def test_without_the_setting_replies_go_to_the_address_of_the_desk(hand: Hand, mailbox: Mailbox) -> None:
    ingest_mail(write())
    hand.run()
    assert [str(mail["Reply-To"]) for mail in mails_to(mailbox, "ada@example.com")] == [f"Aura #1 <{DESK}>"]


@pytest.mark.parametrize("result", ["pass", "fail"])
def test_the_text_of_an_unverified_sender_is_sent_to_the_desk_alone(
    result: str, hand: Hand, mailbox: Mailbox, configure: Callable[..., Any]
) -> None:
    configure(AURA_TRUSTED_AUTHSERV="mx.example.org")
    authentication = {"Authentication_Results": f"mx.example.org; dmarc={result} header.from=example.com"}
    ingest_mail(cc("bob@example.com", Subject="Pay PHISH now", **authentication) + b" PHISH PHISH")
    add_participant(1, "carl@example.com", "nora")
    hand.run()
    comment(1, "nora", "We look into it.", visibility="public")
    resolve(1, "Nothing to do.", visibility="public")
    hand.run()

    outside = [*mails_to(mailbox, "ada@example.com"), *mails_to(mailbox, "carl@example.com")]
    assert len(outside) == 4, "acknowledged, commented twice, resolved"
    assert any("PHISH" in str(mail) for mail in outside) is (result == "pass")
    assert all(("sender not verified" in str(mail["Subject"])) is (result == "fail") for mail in outside)
    assert "We look into it." in "".join(next(mail.iter_parts()).get_content() for mail in outside)
    assert "PHISH" in "".join(str(mail) for mail in mails_to(mailbox, TEAM)), "the desk reads it"
