"""Attachments of tickets: rows without their content, and the content in chunks while the database stores it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import delete, exists, insert, or_, select, update
from sqlalchemy.orm import Session

from aura.errors import NotFound
from db.ids import is_id
from db.models import Attachment, AttachmentChunk, InboundMail
from db.statements import table
from db.time import from_now

#: The values of the column `storage`; empty when the content is not stored.
DATABASE, FOLDER, S3 = "database", "folder", "s3"
#: Bytes of a chunk, which a process has in memory at once.
CHUNK = 512 * 1024
#: The most attachments of a ticket.
MAX_PER_TICKET = 1_000

_a, _k, _m = table(Attachment).c, table(AttachmentChunk).c, table(InboundMail).c


class UnknownAttachment(NotFound):
    """The ticket has no attachment of this number."""

    def __init__(self, ticket_id: int, attachment_id: int) -> None:
        super().__init__(f"ticket {ticket_id} has no attachment {attachment_id}")


class NewAttachment(NamedTuple):
    """An attachment that is added to a ticket; with a `reason` its content is not stored."""

    name: str
    content_type: str
    size: int
    sha256: str = ""
    width: int | None = None
    height: int | None = None
    inline: bool = False
    reason: str = ""


class StoredAttachment(NamedTuple):
    """An attachment of a ticket, without its content."""

    id: int
    ticket_id: int | None
    mail_id: int | None
    name: str
    content_type: str
    size: int
    width: int | None
    height: int | None
    sha256: str
    storage: str
    reason: str
    inline: bool
    created_at: datetime


_SELECT = select(*[_a[name] for name in StoredAttachment._fields])


def add(
    session: Session,
    ticket_id: int,
    files: Sequence[tuple[NewAttachment, Iterable[bytes]]],
    mail_id: int | None = None,
) -> list[int]:
    """Add attachments to a ticket, each with its content in the database unless it has a `reason`. Returns their ids."""
    if not files:
        return []
    ticket = {"ticket_id": ticket_id, "mail_id": mail_id}
    rows = [{**new._asdict(), **ticket, "storage": "" if new.reason else DATABASE} for new, _ in files]
    insert_rows = insert(Attachment).returning(_a.id, sort_by_parameter_order=True)
    ids = list(session.execute(insert_rows, rows).scalars())
    chunks = (
        {"attachment_id": attachment_id, "number": number, "content": content}
        for attachment_id, (new, contents) in zip(ids, files, strict=True)
        if not new.reason
        for number, content in enumerate(contents)
    )
    _insert_chunks(session, chunks)
    return ids


def _insert_chunks(session: Session, chunks: Iterable[dict[str, Any]]) -> None:
    """Insert chunks, so many in a statement that it has about the size of one."""
    waiting: list[dict[str, Any]] = []
    size = 0
    for chunk in chunks:
        if waiting and size + len(chunk["content"]) > CHUNK:
            session.execute(insert(table(AttachmentChunk)), waiting)
            waiting, size = [], 0
        waiting.append(chunk)
        size += len(chunk["content"])
    if waiting:
        session.execute(insert(table(AttachmentChunk)), waiting)


def listing(session: Session, ticket_id: int) -> list[StoredAttachment]:
    """Return the attachments of a ticket, at most MAX_PER_TICKET, the oldest first."""
    if not is_id(ticket_id):
        return []
    oldest = _SELECT.where(_a.ticket_id == ticket_id).order_by(_a.id).limit(MAX_PER_TICKET)
    return [StoredAttachment._make(row) for row in session.execute(oldest)]


def of_tickets(session: Session, ticket_ids: Sequence[int], content_types: Collection[str]) -> list[StoredAttachment]:
    """Return the stored attachments of tickets that have one of these types, the oldest first."""
    chosen = _SELECT.where(_a.ticket_id.in_(ticket_ids), _a.content_type.in_(content_types), _a.storage != "")
    return [StoredAttachment._make(row) for row in session.execute(chosen.order_by(_a.id))]


def find(session: Session, ticket_id: int, attachment_id: int) -> StoredAttachment:
    """Return an attachment of a ticket. Raises UnknownAttachment, also for an attachment of another ticket."""
    known = is_id(ticket_id) and is_id(attachment_id)
    statement = _SELECT.where(_a.id == attachment_id, _a.ticket_id == ticket_id)
    row = session.execute(statement).first() if known else None
    if row is None:
        raise UnknownAttachment(ticket_id, attachment_id)
    return StoredAttachment._make(row)


def by_ids(session: Session, ids: Sequence[int]) -> list[StoredAttachment]:
    """Return the attachments with these ids that exist."""
    return [StoredAttachment._make(row) for row in session.execute(_SELECT.where(_a.id.in_(ids)))]


def find_equal(session: Session, ticket_id: int, name: str, sha256: str) -> int | None:
    """Return the id of the ticket's stored attachment with this name and content, or None."""
    equal = (_a.ticket_id == ticket_id, _a.name == name, _a.sha256 == sha256, _a.storage != "")
    return session.scalar(select(_a.id).where(*equal).limit(1))


def known(session: Session, ticket_id: int) -> tuple[int, set[str]]:
    """Return the number of attachments of a ticket, and the SHA-256 of those that are stored and inline."""
    rows = session.execute(select(_a.sha256, _a.inline, _a.storage).where(_a.ticket_id == ticket_id)).all()
    return len(rows), {row.sha256 for row in rows if row.inline and row.storage}


def mails_without(session: Session, after: int, limit: int = 100) -> list[tuple[int, int, bool]]:
    """Return mails of tickets after a number that have a source and no attachment: number, ticket, whether it lists files."""
    of_ticket = (_m.id > after, _m.ticket_id.is_not(None), _m.outcome.in_(("ticket", "comment")), _m.raw != b"")
    without = ~exists().where(_a.mail_id == _m.id)
    rows = session.execute(
        select(_m.id, _m.ticket_id, _m.attachments).where(*of_ticket, without).order_by(_m.id).limit(limit)
    )
    return [(row.id, row.ticket_id, bool(row.attachments)) for row in rows]


def read_chunk(session: Session, attachment_id: int, number: int) -> bytes | None:
    """Return a chunk of the content in the database; None after the last, or when another storage has the content."""
    chunk = select(_k.content).where(_k.attachment_id == attachment_id, _k.number == number)
    return session.scalar(chunk)


def mark_moved(session: Session, attachment_id: int, storage: str) -> None:
    """Record that another storage has the content, and delete it from the database."""
    moved = update(table(Attachment)).where(_a.id == attachment_id, _a.storage == DATABASE).values(storage=storage)
    session.execute(moved)
    session.execute(delete(AttachmentChunk).where(_k.attachment_id == attachment_id))


def expired(session: Session, days: float, limit: int) -> list[StoredAttachment]:
    """Return attachments that are older than so many days, or whose ticket is deleted."""
    due = or_(_a.created_at < from_now(-days * 86_400), _a.ticket_id.is_(None))
    return [StoredAttachment._make(row) for row in session.execute(_SELECT.where(due).limit(limit))]
