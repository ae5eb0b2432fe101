"""Attachments: rows, chunks, and the ticket that they belong to."""

from __future__ import annotations

import pytest
from sqlalchemy import delete

from db import attachments, reading, retention, transaction
from db.attachments import NewAttachment, UnknownAttachment
from db.models import Attachment, AttachmentChunk, Ticket
from db.new_tickets import NewTicket
from tests.embedded import count, move
from tests.unit.db.helpers import create

pytestmark = pytest.mark.usefixtures("database")


def add(ticket_id: int, name: str = "trace.log", chunks: tuple[bytes, ...] = (b"one", b"two"), reason: str = "") -> int:
    new = NewAttachment(name, "text/plain", sum(map(len, chunks)), "0" * 64, reason=reason)
    with transaction() as session:
        return attachments.add(session, ticket_id, [(new, chunks)])[0]


def test_a_content_is_read_in_chunks():
    (ticket,) = create(NewTicket(title="x"))
    number = add(ticket)

    with reading() as session:
        assert [attachments.read_chunk(session, number, at) for at in range(3)] == [b"one", b"two", None]


def test_several_contents_are_stored_in_order_each_with_its_own_attachment():
    (ticket,) = create(NewTicket(title="x"))
    size = attachments.CHUNK // 3
    contents = [tuple(bytes([file, part]) * (size // 2) for part in range(file)) for file in range(6)]
    files = [
        (NewAttachment(str(at), "x/y", 0, reason="" if at != 3 else "no"), each) for at, each in enumerate(contents)
    ]

    with transaction() as session:
        ids = attachments.add(session, ticket, files)
        assert attachments.add(session, ticket, []) == []

    assert count(AttachmentChunk) == sum(range(6)) - 3
    with reading() as session:
        assert [each.name for each in attachments.listing(session, ticket)] == [str(at) for at in range(6)]
        assert [each.name for each in (attachments.find(session, ticket, number) for number in ids)] == [
            str(at) for at in range(6)
        ]
        for number, expected in zip(ids, contents, strict=True):
            stored = [attachments.read_chunk(session, number, at) for at in range(len(expected))]
            assert stored == list(expected) or (number == ids[3] and set(stored) == {None})


def test_an_attachment_is_found_by_its_own_ticket_alone():
    first, second = create(NewTicket(title="x"), NewTicket(title="y"))
    number = add(first)

    with reading() as session:
        assert attachments.find(session, first, number).name == "trace.log"
        for ticket, wrong in ((second, number), (first, number + 1), (0, number), (2**70, number), (first, 2**70)):
            with pytest.raises(UnknownAttachment):
                attachments.find(session, ticket, wrong)


def test_an_attachment_with_a_reason_has_no_content():
    (ticket,) = create(NewTicket(title="x"))
    add(ticket, reason="too large")

    assert count(AttachmentChunk) == 0
    with reading() as session:
        (found,) = attachments.listing(session, ticket)
    assert (found.storage, found.reason, found.size) == ("", "too large", 6)


def test_a_moved_content_leaves_the_database():
    (ticket,) = create(NewTicket(title="x"))
    number, other = add(ticket), add(ticket, "other.log")

    with transaction() as session:
        attachments.mark_moved(session, number, "folder")

    with reading() as session:
        assert [each.storage for each in attachments.listing(session, ticket)] == ["folder", "database"]
        assert attachments.read_chunk(session, number, 0) is None
        assert attachments.read_chunk(session, other, 0) == b"one"


def test_the_rows_of_a_deleted_ticket_expire_at_once_with_their_content():
    first, second = create(NewTicket(title="x"), NewTicket(title="y"))
    gone, stays = add(first), add(second)
    with transaction() as session:
        session.execute(delete(Ticket).where(Ticket.id == first))

    with transaction() as session:
        assert [each.id for each in attachments.expired(session, 30, 10)] == [gone]
        rule = retention.rules(30, 30, 30, 30, 30, 30)["attachments"]
        assert retention.delete_batch(session, rule) == 1

    with reading() as session:
        assert [each.id for each in attachments.by_ids(session, [gone, stays])] == [stays]
    assert count(AttachmentChunk) == 2


def test_old_rows_expire():
    (ticket,) = create(NewTicket(title="x"))
    number = add(ticket)
    with reading() as session:
        assert attachments.expired(session, 30, 10) == []
    move(Attachment, created_at=-31 * 86_400)

    with reading() as session:
        assert [each.id for each in attachments.expired(session, 30, 10)] == [number]


def test_stored_attachments_of_a_type_are_found_by_their_tickets():
    first, second = create(NewTicket(title="x"), NewTicket(title="y"))
    number = add(first)
    add(first, reason="too large")
    add(second)

    with reading() as session:
        assert [each.id for each in attachments.of_tickets(session, [first], ["text/plain"])] == [number]
        assert attachments.of_tickets(session, [first], ["image/png"]) == []
