"""Adds attachments to tickets: the files of mails and uploads, inspected, named and bounded."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import BinaryIO

from sqlalchemy.orm import Session

from actors.attachments import enqueue_moves
from aura.attachments.content_types import inspect
from aura.attachments.names import safe_name
from aura.errors import Conflict, InvalidInput
from aura.settings import get_settings
from db import attachments, ticket_actions, tickets
from db.attachments import CHUNK, MAX_PER_TICKET, NewAttachment

#: Endings of names that are made from a type.
_ENDINGS = {"image/png": "png", "image/jpeg": "jpg", "image/gif": "gif", "image/webp": "webp", "message/rfc822": "eml"}
_ENDINGS |= {"application/pdf": "pdf", "text/plain": "txt", "text/calendar": "ics", "text/csv": "csv"}


class TooManyAttachments(Conflict):
    """The ticket has MAX_PER_TICKET attachments."""


def upload(session: Session, ticket_id: int, file: BinaryIO, name: str, declared: str = "") -> tuple[int, bool]:
    """Add a file to a ticket, in the open transaction. Returns the attachment's id and whether it is new.

    The same file under the same name is added once, so that a client may repeat the request. Raises UnknownTicket,
    InvalidInput for a file of more than AURA_ATTACHMENT_LIMIT bytes, TooManyAttachments.
    """
    tickets.ensure_exists(session, ticket_id)
    new = describe(file, name, declared)
    if new.reason:
        raise InvalidInput(f"the file is {new.reason}")
    # a repeated request may overlap the first one, and the ticket may be deleted meanwhile
    ticket_actions.lock_ticket(session, ticket_id)
    known = attachments.find_equal(session, ticket_id, new.name, new.sha256)
    if known is not None:
        return known, False
    if attachments.known(session, ticket_id)[0] >= MAX_PER_TICKET:
        raise TooManyAttachments(f"ticket {ticket_id} has {MAX_PER_TICKET} attachments, which is the limit")
    return add(session, ticket_id, [(new, file)])[0], True


def add(
    session: Session, ticket_id: int, files: Sequence[tuple[NewAttachment, BinaryIO]], mail_id: int | None = None
) -> list[int]:
    """Add described files to a ticket, in the open transaction, and enqueue their moves. Returns their ids."""
    ids = attachments.add(session, ticket_id, [(new, _chunks(file)) for new, file in files], mail_id)
    enqueue_moves([number for number, (new, _) in zip(ids, files, strict=True) if not new.reason])
    return ids


def describe(file: BinaryIO, name: str, declared: str = "", *, inline: bool = False) -> NewAttachment:
    """Return the row of a seekable file: safe name, type, size, SHA-256; with the reason when it is too large."""
    size = file.seek(0, 2)
    kind = inspect(file, size, name, declared)
    ending = _ENDINGS.get(kind.content_type, "")
    new = NewAttachment(
        name=safe_name(name, f"attachment.{ending}" if ending else "attachment"),
        content_type=kind.content_type[:100],
        size=size,
        width=kind.width,
        height=kind.height,
        inline=inline,
    )
    limit = get_settings().attachment_limit
    if size > limit:
        return new._replace(reason=f"larger than {limit:,} bytes")
    return new._replace(sha256=_digest(file))


def _digest(file: BinaryIO) -> str:
    digest = hashlib.sha256()
    for chunk in _chunks(file):
        digest.update(chunk)
    return digest.hexdigest()


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    file.seek(0)
    while chunk := file.read(CHUNK):
        yield chunk
