"""Attachments of mails: stored with the ticket or the comment, within the limits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import update

from aura.attachments.content import read_content
from aura.mail import ingest_mail
from aura.mail import ticket_attachments as mail_attachments
from db import attachments, reading, transaction
from db.attachments import StoredAttachment
from db.models import Attachment, AttachmentChunk, InboundMail, Job, Ticket
from tests.embedded import all_jobs, count
from tests.files import HTML, LOG, mail_with, pdf, png
from tests.unit.mail.helpers import answering

pytestmark = pytest.mark.usefixtures("database")


def listed(ticket_id: int = 1) -> list[StoredAttachment]:
    with reading() as session:
        return attachments.listing(session, ticket_id)


def content(attachment: StoredAttachment) -> bytes:
    return b"".join(read_content(attachment))


def test_the_files_of_a_mail_are_stored_with_its_ticket_byte_for_byte():
    files = (("screenshot.png", png()), ("trace.log", LOG), ("manual.pdf", pdf("x")), ("empty.txt", b""))

    result = ingest_mail(mail_with(*files))

    found = listed()
    assert [each.name for each in found] == [name for name, _ in files]
    assert [content(each) for each in found] == [content for _, content in files]
    assert [each.content_type for each in found][:3] == ["image/png", "text/plain", "application/pdf"]
    assert {(each.ticket_id, each.mail_id, each.inline, each.storage) for each in found} == {
        (result.ticket_id, result.id, False, "database")
    }
    assert [job.actor for job in all_jobs()] == ["intake"]  # the database is the place: nothing moves


def test_the_files_of_a_reply_are_stored_with_the_ticket_of_its_comment():
    ingest_mail(mail_with(Message_ID="<first@example.com>"))
    result = ingest_mail(mail_with(("trace.log", LOG), Message_ID="<b@example.com>", **answering()))

    assert (result.outcome, [each.mail_id for each in listed()]) == ("comment", [result.id])


def test_a_mail_without_files_reads_nothing_again(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(mail_attachments, "read_attachments", lambda raw: pytest.fail("parsed twice"))

    ingest_mail(mail_with())

    assert listed() == []


def test_a_repeated_mail_adds_nothing():
    mail = mail_with(("trace.log", LOG))

    assert ingest_mail(mail).ticket_id == ingest_mail(mail).ticket_id
    assert len(listed()) == 1


def test_a_transaction_that_is_rolled_back_leaves_no_file(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(mail_attachments.desk, "enqueue_moves", lambda numbers: 1 / 0)

    with pytest.raises(ZeroDivisionError):
        ingest_mail(mail_with(("trace.log", LOG)))

    assert [count(model) for model in (Attachment, AttachmentChunk, InboundMail, Ticket, Job)] == [0] * 5


def test_a_name_without_a_path_and_a_type_by_content_are_stored():
    ingest_mail(mail_with(("../../etc/passwd", LOG), ("invoice\u202efdp.png", HTML)))

    assert [(each.name, each.content_type) for each in listed()] == [
        ("passwd", "text/plain"),
        ("invoicefdp.png", "text/html"),
    ]


def test_a_picture_in_the_text_is_listed_as_inline_and_once_in_a_ticket():
    logo = (("logo.png", png()),)
    ingest_mail(mail_with(inline=logo, Message_ID="<first@example.com>"))
    reply = answering()
    ingest_mail(mail_with(inline=logo, Message_ID="<b@example.com>", **reply))
    ingest_mail(mail_with(inline=(("other.png", png(5, 5)),), Message_ID="<c@example.com>", **reply))
    # an attached file is never left out
    ingest_mail(mail_with(("logo.png", png()), Message_ID="<d@example.com>", **reply))

    assert [(each.name, each.inline) for each in listed()] == [
        ("logo.png", True),
        ("other.png", True),
        ("logo.png", False),
    ]


def test_a_file_beyond_the_limit_is_listed_with_the_reason(configure: Callable[..., Any], sqlite: str):
    configure(DATABASE_URL=sqlite, AURA_ATTACHMENT_LIMIT=str(len(LOG)))

    ingest_mail(mail_with(("fits.log", LOG), ("large.log", LOG + b"x")))

    fits, large = listed()
    assert (fits.storage, fits.reason) == ("database", "")
    assert (large.name, large.size, large.storage, large.sha256) == ("large.log", len(LOG) + 1, "", "")
    assert large.reason == f"larger than {len(LOG):,} bytes"
    assert count(AttachmentChunk) == 1


def test_files_beyond_the_number_are_listed_with_the_reason(configure: Callable[..., Any], sqlite: str):
    configure(DATABASE_URL=sqlite, AURA_ATTACHMENTS_PER_MAIL="2")

    ingest_mail(mail_with(*((f"{number}.log", LOG) for number in range(4))))

    assert [each.storage for each in listed()] == ["database", "database", "", ""]
    assert listed()[3].reason == "beyond the first 2 attachments of its mail"


def test_as_many_files_are_stored_as_the_setting_says(configure: Callable[..., Any], sqlite: str):
    configure(AURA_ATTACHMENTS_PER_MAIL="300")
    files = [(f"{number}.log", b"%d" % number) for number in range(301)]

    ingest_mail(mail_with(*files))

    assert [each.name for each in listed()] == [name for name, _ in files]
    assert [bool(each.storage) for each in listed()] == [True] * 300 + [False]
    assert listed()[300].reason == "beyond the first 300 attachments of its mail"


def test_ten_thousand_files_become_one_ticket_with_a_bounded_list():
    part = b'--x\r\nContent-Disposition: attachment; filename="a.txt"\r\n\r\nhello\r\n'
    head = b"From: ada@example.com\r\nSubject: many\r\nMessage-ID: <many@x>\r\n"
    raw = head + b"Content-Type: multipart/mixed; boundary=x\r\n\r\n" + part * 10_000 + b"--x--\r\n"

    result = ingest_mail(raw)

    assert result.outcome == "ticket"
    found = listed()
    assert len(found) == 1_000
    assert found[-1].reason.startswith("not read: too many parts"), "the others are not forgotten silently"
    assert sum(bool(each.storage) for each in found) == 50
    assert all(each.storage or each.reason for each in found)


def test_a_ticket_has_a_bounded_number_of_attachments(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(mail_attachments, "MAX_PER_TICKET", 3)
    ingest_mail(mail_with(("1.log", LOG), ("2.log", LOG), Message_ID="<first@example.com>"))

    ingest_mail(mail_with(("3.log", LOG), ("4.log", LOG), Message_ID="<b@x>", **answering()))

    assert [each.name for each in listed()] == ["1.log", "2.log", "3.log"]


def test_files_that_cannot_be_read_again_are_listed_and_the_mail_is_a_ticket(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(mail_attachments, "read_attachments", lambda raw: [])

    assert ingest_mail(mail_with(("trace.log", LOG))).outcome == "ticket"

    assert [(each.name, each.storage, each.reason[:8]) for each in listed()] == [("trace.log", "", "not read")]


def test_an_ignored_mail_gets_its_files_when_it_becomes_a_ticket():
    from aura.mail import create_from_ignored

    mail_id = ingest_mail(mail_with(("trace.log", LOG), Auto_Submitted="auto-replied")).id
    assert count(Attachment) == 0

    create_from_ignored(mail_id)

    assert [each.name for each in listed()] == ["trace.log"]


def test_the_files_of_a_deleted_ticket_cannot_be_found():
    ingest_mail(mail_with(("trace.log", LOG)))
    with transaction() as session:
        session.execute(update(Attachment).values(ticket_id=None))

    assert listed() == []


# -- mails of an earlier version --------------------------------------------------------------------------------------


def test_the_files_of_earlier_mails_are_stored_once(monkeypatch: pytest.MonkeyPatch):
    with monkeypatch.context() as earlier:
        earlier.setattr("aura.mail.ingest.store_attachments", lambda *_: None)
        ingest_mail(mail_with(("trace.log", LOG), Message_ID="<a@x>"))
        ingest_mail(mail_with(Message_ID="<b@x>"))
        ingest_mail(mail_with(("shot.png", png()), Message_ID="<c@x>"))
        ingest_mail(mail_with(("ignored.log", LOG), Message_ID="<d@x>", Auto_Submitted="auto-replied"))
        ingest_mail(mail_with(("deleted.log", LOG), Message_ID="<e@x>"))
    with transaction() as session:
        session.execute(update(InboundMail).where(InboundMail.id == 5).values(raw=b""))
    ingest_mail(mail_with(("new.log", LOG), Message_ID="<f@x>"))

    assert list(mail_attachments.store_earlier()) == [(1, 1), (3, 1)]
    assert list(mail_attachments.store_earlier()) == []

    with reading() as session:
        found = [(each.mail_id, each.name) for each in attachments.by_ids(session, range(1, 9))]
    assert sorted(found) == [(1, "trace.log"), (3, "shot.png"), (6, "new.log")]


def test_a_mail_that_another_process_stores_meanwhile_is_left_alone(monkeypatch: pytest.MonkeyPatch):
    ingest_mail(mail_with(("trace.log", LOG)))
    seen = iter([[(1, 1, True)], []])
    with monkeypatch.context() as stale:
        real = attachments.mails_without
        stale.setattr(attachments, "mails_without", lambda *what: real(*what) if len(what) == 3 else next(seen))
        assert list(mail_attachments.store_earlier()) == [(1, 0)]

    assert count(Attachment) == 1
