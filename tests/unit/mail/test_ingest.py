"""Ingest: a mail becomes one ticket or one comment, or is stored with the reason."""

from __future__ import annotations

import dataclasses
import threading
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import select, update
from sqlalchemy.exc import DataError

from aura.mail import IngestResult, NotPossible, create_from_ignored, ingest, ingest_mail, parse_mail
from aura.mail.ingest import UnknownMail, ingest_batch
from aura.notifications.channels import OutboundMessage
from aura.notifications.channels.email.mime import compose
from db import inbound_mails, reading, transaction
from db.models import Agent, Comment, InboundMail, Notification, Ticket
from db.time import from_now
from db.timeline import timeline
from tests.embedded import all_jobs, count, move, one_job
from tests.unit.mail.helpers import answering, token
from tests.unit.mail.test_parse import MAILS, mail

pytestmark = pytest.mark.usefixtures("database")


def write(
    sender: str = "ada@example.com", subject: str = "VPN drops", text: str = "It fails.", **headers: str
) -> bytes:
    """Return a mail of a person; header names have _ for -."""
    lines = {"From": sender, "Subject": subject, "Message-ID": f"<{uuid.uuid4()}@example.com>"}
    lines |= {name.replace("_", "-"): value for name, value in headers.items()}
    return "".join(f"{name}: {value}\r\n" for name, value in lines.items()).encode() + b"\r\n" + text.encode()


def ticket(number: int = 1) -> Ticket:
    with reading() as session:
        row = session.get(Ticket, number)
    assert row is not None
    return row


def comments() -> list[Comment]:
    with reading() as session:
        return list(session.scalars(select(Comment).order_by(Comment.id)))


def all_mails() -> list[InboundMail]:
    with reading() as session:
        return list(session.scalars(select(InboundMail).order_by(InboundMail.id)))


def notify(ticket_id: int, recipient: str) -> Any:
    """Store a notification of a ticket, and return its e-mail."""
    key = uuid.uuid4().hex
    with transaction() as session:
        row = {"id": key, "ticket_id": ticket_id, "event": "ticket.classified", "channel": "email", "dedupe_key": key}
        session.add(Notification(**row, recipient=recipient, subject="[Aura #1] VPN drops", body="Hello"))
    message = OutboundMessage(
        key, ticket_id, recipient, "[Aura #1] VPN drops", "Hello", reply_token=token(ticket_id, recipient)
    )
    return compose(message, "Aura <aura@localhost>")


def set_ticket(**values: Any) -> None:
    with transaction() as session:
        session.execute(update(Ticket).values(**values))


# -- a new ticket -----------------------------------------------------------------------------------------------------


def test_a_mail_becomes_a_ticket_with_its_first_job():
    raw = mail("plain")

    assert ingest_mail(raw) == IngestResult(1, "ticket", 1)

    found = ticket()
    assert (found.source, found.requester, found.title) == ("email", "ada@example.com", "VPN drops every ten minutes")
    assert found.description.startswith("Since this morning")
    assert (one_job().actor, one_job().key, one_job().next_steps) == ("intake", "1", ["classify", "notify"])
    [row] = all_mails()
    assert (row.raw, row.outcome, row.ticket_id, row.sender) == (raw, "ticket", 1, "ada@example.com")


def test_a_failed_transaction_stores_nothing_and_the_mail_can_be_ingested_again(monkeypatch: pytest.MonkeyPatch):
    class Crash(Exception):
        pass

    def crash(*_: Any) -> None:
        raise Crash

    with monkeypatch.context() as patch:
        patch.setattr(inbound_mails, "save_outcome", crash)
        with pytest.raises(Crash):
            ingest_mail(mail("plain"))
    assert (count(InboundMail), count(Ticket), len(all_jobs())) == (0, 0, 0)

    assert ingest_mail(mail("plain")).outcome == "ticket"


@pytest.mark.parametrize("path", sorted(MAILS.glob("*.eml")), ids=lambda path: path.stem)
def test_every_mail_of_the_corpus_becomes_a_ticket_or_is_ignored(path: Path):
    result = ingest_mail(path.read_bytes())

    [row] = all_mails()
    assert row.raw == path.read_bytes()
    assert row.outcome == result.outcome
    assert result.outcome == "ticket" or result.outcome.startswith("ignored: ")
    assert (count(Ticket), len(all_jobs())) == ((1, 1) if result.outcome == "ticket" else (0, 0))


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=40)
@given(st.binary(max_size=200))
def test_the_source_of_every_mail_is_stored(raw: bytes):
    result = ingest_mail(raw)

    with reading() as session:
        row = session.get(InboundMail, result.id)
    assert row is not None
    assert row.outcome == result.outcome
    assert result.duplicate or row.raw == raw


# -- once -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["plain", "no_from", "empty", "no_headers"])
def test_a_duplicate_mail_creates_no_second_ticket(name: str):
    first, second = ingest_mail(mail(name)), ingest_mail(mail(name))

    assert second == IngestResult(first.id, "ticket", first.ticket_id, duplicate=True)
    assert (count(InboundMail), count(Ticket), len(all_jobs())) == (1, 1, 1)


def test_without_the_check_a_duplicate_mail_creates_a_second_ticket(monkeypatch: pytest.MonkeyPatch):
    """Negative control: the tests above fail without the check."""
    monkeypatch.setattr("aura.mail.parse._identity", lambda *_: uuid.uuid4().hex)

    ingest_mail(mail("plain")), ingest_mail(mail("plain"))

    assert count(Ticket) == 2


def test_a_mail_ingested_four_times_at_once_creates_one_ticket():
    for number in range(5):
        raw, barrier, result = write(sender=f"p{number}@example.com"), threading.Barrier(4), []

        def run(raw: bytes = raw, barrier: Any = barrier, result: Any = result) -> None:
            barrier.wait(10)
            result.append(ingest_mail(raw))

        threads = [threading.Thread(target=run) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert len({each.ticket_id for each in result}) == 1
        assert sorted(each.duplicate for each in result) == [False, True, True, True]

    assert (count(Ticket), len(all_jobs())) == (5, 5)


def test_a_forged_message_id_does_not_suppress_the_mail_of_another_sender():
    ingest_mail(write("mallory@example.com", Message_ID="<guessed@example.com>"))

    assert ingest_mail(write("ada@example.com", Message_ID="<guessed@example.com>")).outcome == "ticket"
    assert ingest_mail(write("ada@example.com", Message_ID="<guessed@example.com>")).duplicate
    assert count(Ticket) == 2


# -- replies (who may comment is in test_conversations.py) ------------------------------------------------------------


def test_a_reply_to_a_notification_is_a_comment():
    ingest_mail(write())
    notice = notify(1, "ada@example.com")

    result = ingest_mail(write("ada@example.com", "AW: something", "Yes.\n\n> Hello", In_Reply_To=notice["Message-ID"]))

    assert (result.outcome, result.ticket_id) == ("comment", 1)
    [comment] = comments()
    assert (comment.author, comment.text, comment.source) == ("ada@example.com", "Yes.", "mail")
    assert (comment.internal, comment.sender_verified) == (False, None)
    assert ticket().changed_at is not None
    assert count(Ticket) == 1


def test_a_number_of_another_system_or_of_no_ticket_is_ignored():
    ingest_mail(write())

    for subject in ("[JIRA #1] x", "[Aura #999]", "#1", "[Aura #0]", f"[Aura #{9**18}]"):
        assert ingest_mail(write("ada@example.com", subject)).note == ""
    elsewhere = ingest_mail(write("ada@example.com", References="<ticket-1@elsewhere.example>"))
    assert (elsewhere.outcome, elsewhere.note) == ("ticket", "")


@pytest.mark.parametrize(("status", "after"), [("pending", "open"), ("open", "open"), ("in_progress", "in_progress")])
def test_a_reply_opens_a_pending_ticket(status: str, after: str):
    ingest_mail(write())
    set_ticket(status=status)

    ingest_mail(write(**answering()))

    assert ticket().status == after


@pytest.mark.parametrize("status", ["resolved", "closed"])
def test_a_reply_reopens_a_done_ticket_within_reopen_days(status: str):
    ingest_mail(write())
    set_ticket(status=status, resolved_at=from_now(-13 * 86_400))

    assert ingest_mail(write(**answering())).outcome == "comment"
    assert (ticket().status, ticket().resolved_at) == ("open", None)


def test_a_reply_after_reopen_days_is_a_new_ticket_that_names_the_old_one():
    ingest_mail(write())
    set_ticket(status="resolved", resolved_at=from_now(-15 * 86_400))

    late = ingest_mail(write(text="Again.", **answering()))
    assert late == IngestResult(2, "ticket", 2, note="it is done")

    assert ticket(2).description == "(This follows ticket #1, which is done.)\n\nAgain."
    assert (ticket(1).status, comments()) == ("resolved", [])


def test_the_timeline_shows_mails_and_comments():
    ingest_mail(mail("attachments"))
    ingest_mail(write("carol@example.com", "Re: VPN", "One more thing.", **answering(1, "carol@example.com")))

    with reading() as session:
        found = timeline(session, 1)
    assert found is not None
    entries = [(each["kind"], each.get("text"), len(each.get("attachments", ()))) for each in found["timeline"]]
    assert sorted(entries, key=str) == sorted(
        [("received", None, 0), ("mail", None, 3), ("mail", None, 0), ("comment", "One more thing.", 0)], key=str
    )


# -- ignored mail -----------------------------------------------------------------------------------------------------


def test_automatic_mail_is_ignored_with_the_reason():
    ingest_mail(write())
    notice = notify(1, "ada@example.com")

    bounce = ingest_mail(write("MAILER-DAEMON@mx.example.com", In_Reply_To=notice["Message-ID"]))

    assert bounce.outcome == "ignored: report of a mail server"
    assert bounce.ticket_id == 1  # whose timeline shows it
    assert (comments(), count(Ticket), ticket().changed_at) == ([], 1, None)


def test_own_mail_that_comes_back_creates_no_ticket():
    ingest_mail(write())
    notice = notify(1, "aura@localhost")
    assert ingest_mail(bytes(notice)).outcome.startswith("ignored: own mail")

    # also when servers removed every header but the Message-ID
    other = notify(1, "aura@localhost")
    assert "own mail" in ingest_mail(write("x@example.com", Message_ID=other["Message-ID"])).outcome
    assert count(Ticket) == 1


def test_without_the_loop_check_own_mail_creates_a_ticket(monkeypatch: pytest.MonkeyPatch):
    """Negative control: the tests above fail without the check."""
    ingest_mail(write())
    notice = notify(1, "aura@localhost")
    monkeypatch.setattr(ingest, "is_own_mail", lambda *_: False)

    assert ingest_mail(write("x@example.com", Message_ID=notice["Message-ID"])).outcome == "ticket"


def test_mails_above_the_limit_of_a_sender_are_ignored(configure: Callable[..., Any]):
    configure(AURA_MAIL_SENDER_LIMIT="3")

    outcomes = [ingest_mail(write()).outcome for _ in range(5)]

    assert outcomes[:3] == ["ticket"] * 3
    assert all(
        "more than 3 mails of its sender within an hour (AURA_MAIL_SENDER_LIMIT)" in each for each in outcomes[3:]
    )
    with reading() as session:
        assert inbound_mails.over_sender_limit(session) == 2
    assert ingest_mail(write("bob@example.com")).outcome == "ticket"
    move(InboundMail, created_at=-3700)
    assert ingest_mail(write()).outcome == "ticket"


def test_an_ignored_mail_can_be_made_a_ticket():
    ignored = ingest_mail(write(subject="Report", Auto_Submitted="auto-generated"))

    assert create_from_ignored(ignored.id) == IngestResult(ignored.id, "ticket", 1)

    assert (ticket().title, len(all_jobs())) == ("Report", 1)
    assert ticket().no_auto_reply == "automatic mail: Auto-Submitted: auto-generated"
    with pytest.raises(NotPossible, match="is not ignored: ticket"):
        create_from_ignored(ignored.id)
    with pytest.raises(UnknownMail, match="no mail 99"):
        create_from_ignored(99)


def test_an_ignored_mail_without_its_source_cannot_be_made_a_ticket():
    ignored = ingest_mail(mail("out_of_office"))
    with transaction() as session:
        session.execute(update(InboundMail).values(raw=b""))

    with pytest.raises(NotPossible, match="AURA_MAIL_RETENTION_DAYS"):
        create_from_ignored(ignored.id)


# -- refused mail -----------------------------------------------------------------------------------------------------


def test_a_too_large_mail_is_refused_and_ingested_after_the_limit_was_raised(configure: Callable[..., Any]):
    configure(AURA_MAIL_LIMIT="10000")
    raw = write(text="x" * 20_000)

    result = ingest_mail(raw)

    assert result.outcome == f"refused: {len(raw):,} bytes, more than AURA_MAIL_LIMIT (10,000)"
    assert (count(Ticket), count(InboundMail)) == (0, 1)
    configure(AURA_MAIL_LIMIT="30000")
    assert ingest_mail(raw) == IngestResult(result.id, "ticket", 1)
    assert all_mails()[0].raw == raw


def test_a_mail_that_the_database_rejects_is_refused(monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: Any, **__: Any) -> Any:
        raise DataError("INSERT", {}, ValueError())

    with monkeypatch.context() as patch:
        patch.setattr("db.tickets.create_each", refuse)
        assert ingest_mail(mail("plain")).outcome == "refused: rejected by the database: DataError"

    assert all_mails()[0].raw == mail("plain")
    assert ingest_mail(mail("plain")).outcome == "ticket"


def test_a_display_name_is_no_part_of_the_sender():
    assert parse_mail(write("Ada Lovelace <ADA@example.com>")).sender == "ada@example.com"


# -- identity ---------------------------------------------------------------------------------------------------------


def test_a_used_message_id_with_other_content_is_another_ticket():
    scans = [
        write(
            "scan@example.com",
            subject,
            text,
            Message_ID="<scan@printer.example>",
            Date=f"Mon, 30 Nov 2026 0{n}:00:00 +0000",
        )
        for n, (subject, text) in enumerate(
            [("Toner low", "Toner"), ("Fire alarm", "Smoke"), ("Fire alarm", "More smoke")]
        )
    ]

    results = [ingest_mail(raw) for raw in scans]

    assert [(each.outcome, each.ticket_id, each.duplicate) for each in results] == [
        ("ticket", number, False) for number in (1, 2, 3)
    ]
    assert [ingest_mail(raw) for raw in scans] == [dataclasses.replace(each, duplicate=True) for each in results]
    assert [(each.raw, each.shared_id) for each in all_mails()] == [
        (scans[0], None),
        (scans[1], "scan@printer.example"),
        (scans[2], "scan@printer.example"),
    ]


def test_the_same_mail_that_came_two_ways_is_one():
    raw = write(Message_ID="<one@example.com>", Date="Mon, 30 Nov 2026 08:00:00 +0000", text="Übel\r\n" * 3)
    other_way = b"Received: from relay.example\nX-Spam-Score: 1\n" + raw.replace(b"\r\n", b"\n")

    assert ingest_mail(raw).ticket_id == 1
    assert ingest_mail(other_way) == IngestResult(1, "ticket", 1, duplicate=True)
    assert count(InboundMail) == 1


def test_a_mail_of_a_version_without_digests_is_compared_by_its_source():
    raw = write(Message_ID="<old@example.com>")
    ingest_mail(raw)
    with transaction() as session:
        session.execute(update(InboundMail).values(content_digest=""))

    assert ingest_mail(raw).duplicate
    assert ingest_mail(write(Message_ID="<old@example.com>", text="Other.")).ticket_id == 2


def test_a_refused_mail_does_not_hide_another_one_under_its_message_id(configure: Callable[..., Any]):
    configure(AURA_MAIL_LIMIT="10000")
    large = write(Message_ID="<scan@example.com>", subject="Scan 1", text="x" * 20_000)
    small = write(Message_ID="<scan@example.com>", subject="Scan 2")

    assert ingest_mail(large).outcome.startswith("refused")
    assert ingest_mail(small).outcome == "ticket"
    assert ingest_mail(large).outcome.startswith("refused")
    assert (count(InboundMail), count(Ticket)) == (2, 1)
    configure(AURA_MAIL_LIMIT="30000")
    assert ingest_mail(large) == IngestResult(1, "ticket", 2)
    assert ingest_mail(large).duplicate


def test_a_reply_to_a_shared_message_id_names_the_ticket_of_its_subject_and_sender():
    for number, sender in enumerate(("scan@example.com", "scan@example.com", "mallory@example.com"), 1):
        ingest_mail(write(sender, f"Alarm {number}", Message_ID="<scan@example.com>"))

    def named(sender: str, subject: str) -> int | None:
        result = ingest_mail(write(sender, subject, In_Reply_To="<scan@example.com>"))
        return next(each.refers_to for each in all_mails() if each.id == result.id)

    assert named("guard@example.com", "Re: Alarm 2") == 2
    # the first one: later ones may have copied the Message-ID
    assert named("carl@example.com", "Re: something") == 1
    assert named("mallory@example.com", "Re: Alarm 1") == 3


# -- the requester ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "requester", "name"),
    [
        ({"From": "Ada <ADA@Example.com>"}, "ada@example.com", "Ada"),
        ({"From": '"Eve" <>', "Reply-To": "Eve A. <eve@example.com>"}, "eve@example.com", "Eve A."),
        ({"From": "noreply@www.example.org", "Reply-To": "Dana <dana@example.com>"}, "dana@example.com", "Dana"),
        ({"From": "Form <noreply@www.example.org>"}, "noreply@www.example.org", "Form"),
        (
            {"From": "Mallory <mallory@evil.example>", "Reply-To": "boss@corp.example"},
            "mallory@evil.example",
            "Mallory",
        ),
        ({"From": '"boss@corp.example" <mallory@evil.example>'}, "mallory@evil.example", ""),
    ],
    ids=str,
)
def test_reply_to_is_the_requester_of_forms_and_of_mail_without_a_sender(
    headers: dict[str, str], requester: str, name: str, configure: Callable[..., Any]
):
    configure(AURA_MAIL_FORMS="noreply@www.example.org")

    ingest_mail("".join(f"{key}: {value}\n" for key, value in headers.items()).encode() + b"Subject: Lock\n\nText")

    assert (ticket().requester, ticket().requester_name) == (requester, name)


def test_automatic_mail_of_a_form_is_a_ticket(configure: Callable[..., Any]):
    configure(AURA_MAIL_FORMS="noreply@www.example.org")

    form = write("noreply@www.example.org", Reply_To="dana@example.com", Auto_Submitted="auto-generated")

    assert ingest_mail(form).outcome == "ticket"
    assert (ticket().requester, ticket().no_auto_reply) == ("dana@example.com", "")


def test_the_reply_to_of_a_form_is_no_participant_of_a_ticket(configure: Callable[..., Any]):
    configure(AURA_MAIL_FORMS="noreply@www.example.org")
    ingest_mail(write("boss@example.com"))

    forged = write("noreply@www.example.org", "[Aura #1] VPN", Reply_To="boss@example.com")

    assert ingest_mail(forged).ticket_id == 2
    assert comments() == []


FORWARDED = """Please take this one.

{title}
{sender} Carl Jones <CARL@customer.example>
{date} Monday, March 16, 2026 4:05 PM
{to} grace@example.com
{subject} The gate is stuck

It does not open.
"""
LABELS = {
    "Fwd: The gate": ("---------- Forwarded message ---------", "From:", "Date:", "To:", "Subject:"),
    "WG: Das Tor": ("", "Von:", "Gesendet:", "An:", "Betreff:"),
    "TR: La porte": ("-----Message d'origine-----", "De :", "Envoyé :", "À :", "Objet :"),
    "RV: La puerta": ("", "De:", "Enviado:", "Para:", "Asunto:"),
    "Doorst: De poort": ("", "Van:", "Verzonden:", "Aan:", "Onderwerp:"),
    "PD: Brama": ("", "Od:", "Wysłane:", "Do:", "Temat:"),
    "VB: Porten": ("", "Från:", "Skickat:", "Till:", "Ämne:"),
}


def forwarded(subject: str, sender: str) -> bytes:
    title, *labels = LABELS[subject]
    fields = dict(zip(("sender", "date", "to", "subject"), labels, strict=True))
    return write(sender, subject, FORWARDED.format(title=title, **fields), Content_Type="text/plain; charset=utf-8")


def add_agent() -> None:
    with transaction() as session:
        session.add(Agent(name="Grace", email="Grace@example.com"))


@pytest.mark.parametrize("subject", LABELS)
def test_a_mail_that_an_agent_forwards_is_attributed_to_its_original_sender(subject: str):
    add_agent()

    ingest_mail(forwarded(subject, "Grace Chen <grace@example.com>"))

    found = ticket()
    assert (found.requester, found.requester_name) == ("carl@customer.example", "Carl Jones")
    assert found.forwarded_by == "grace@example.com"
    note = write("grace@example.com", "My note", **answering(1, "grace@example.com"))
    assert ingest_mail(note).outcome == "comment"
    assert found.description.startswith("Please take this one.")
    assert "It does not open." in found.description


@pytest.mark.parametrize("subject", ["Fwd: The gate", "WG: Das Tor"])
def test_only_agents_forward_in_the_name_of_others(subject: str):
    add_agent()

    ingest_mail(forwarded(subject, "mallory@evil.example"))

    assert (ticket().requester, ticket().forwarded_by) == ("mallory@evil.example", "")


def test_an_agent_quoting_a_mail_without_forwarding_it_is_the_requester():
    add_agent()

    ingest_mail(forwarded("Fwd: The gate", "grace@example.com").replace(b"Fwd: The gate", b"My question"))

    assert (ticket().requester, ticket().forwarded_by) == ("grace@example.com", "")


def test_a_mail_that_an_agent_attaches_is_attributed_to_its_sender():
    add_agent()
    inner = "From: Carl <carl@customer.example>\nSubject: The gate\n\nIt is stuck.\n"
    body = f"--b\nContent-Type: text/plain\n\n\n--b\nContent-Type: message/rfc822\n\n{inner}\n--b--\n"

    ingest_mail(write("grace@example.com", "FW: The gate", body, Content_Type="multipart/mixed; boundary=b"))

    assert (ticket().requester, ticket().forwarded_by) == ("carl@customer.example", "grace@example.com")


# -- automatic mail ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["open", "resolved"])
def test_an_automatic_reply_neither_comments_nor_reopens_and_is_linked_to_its_ticket(status: str):
    ingest_mail(write())
    set_ticket(status=status, resolved_at=from_now(-60))

    result = ingest_mail(write(subject="Automatic reply: [Aura #1] VPN drops", X_Autoreply="yes"))
    by_subject = ingest_mail(write(subject="Automatische Antwort: [Aura #1] VPN drops"))

    assert (result.outcome, result.ticket_id) == ("ignored: automatic reply: X-Autoreply", 1)
    assert (by_subject.outcome[:31], by_subject.ticket_id) == ("ignored: automatic reply: subje", 1)
    assert (ticket().status, comments()) == (status, [])


def test_mail_of_a_list_becomes_a_ticket_with_the_reason_for_no_automatic_answer():
    assert ingest_mail(write(Precedence="list")).outcome == "ticket"
    assert ingest_mail(write()).outcome == "ticket"

    assert (ticket(1).no_auto_reply, ticket(2).no_auto_reply) == ("Precedence: list", "")


def test_automatic_mail_of_a_partner_is_a_ticket_and_its_automatic_replies_are_no_comments(
    configure: Callable[..., Any],
):
    configure(AURA_MAIL_PARTNERS="servicenow.example")
    robot = "it@servicenow.example"

    assert ingest_mail(write(robot, "Incident INC1", Auto_Submitted="auto-generated")).ticket_id == 1
    answer = answering(1, robot)
    assert ingest_mail(write(robot, "Re: Incident", Auto_Submitted="auto-generated", **answer)).outcome == "comment"
    assert ingest_mail(write(robot, "Re: Incident", Auto_Submitted="auto-replied", **answer)).outcome.startswith(
        "ignored"
    )
    assert ticket().no_auto_reply == ""


def test_a_header_of_ours_without_the_id_of_a_notification_does_not_suppress_a_ticket():
    ingest_mail(write())
    notice = notify(1, "ada@example.com")

    assert ingest_mail(write(X_Aura=notice["X-Aura"])).outcome == "ignored: own mail of Aura"
    assert ingest_mail(write(X_Aura=f"notification {'0' * 32}")).ticket_id == 2
    assert ingest_mail(write(X_Aura="notification")).ticket_id == 3


# -- batches ----------------------------------------------------------------------------------------------------------


def test_a_batch_is_one_transaction_and_keeps_the_order():
    first = write(Message_ID="<first@example.com>")
    reply = write(subject="Re: VPN", text="More.", **answering(1))

    assert [each.outcome for each in ingest_batch([first, reply, first])] == ["ticket", "comment", "ticket"]
    assert (count(Ticket), len(comments()), count(InboundMail)) == (1, 1, 2)


def test_a_failed_batch_stores_nothing(monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: Any, **__: Any) -> Any:
        raise DataError("INSERT", {}, ValueError())

    monkeypatch.setattr("db.inbound_mails.recent", refuse)
    with pytest.raises(DataError):
        ingest_batch([mail("out_of_office"), mail("plain")])

    assert count(InboundMail) == 0
