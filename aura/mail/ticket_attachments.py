"""Stores the attachments of a mail with its ticket, in the transaction that creates the ticket or the comment."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

import structlog
from sqlalchemy.orm import Session

from aura.attachments.content_types import BINARY
from aura.attachments.names import safe_name
from aura.desk import attachments as desk
from aura.mail.attachments import MailAttachment
from aura.mail.parse import ParsedMail, parse_mail, read_attachments
from aura.settings import get_settings
from db import attachments, inbound_mails, reading, transaction
from db.attachments import MAX_PER_TICKET, NewAttachment

logger = structlog.get_logger("aura.mail")

#: The name that the parser gives to a part without one.
NO_NAME = "(no name)"


def store_attachments(session: Session, ticket_id: int, mail_id: int, mail: ParsedMail) -> None:
    """Store the attachments of a mail: list all, store the contents within the limits. Raises SQLAlchemyError alone.

    A picture in the text that the ticket has already, such as the logo of a signature, is not listed again.
    """
    if not mail.attachments:
        return
    files = read_attachments(mail.raw) or [_unreadable(each) for each in mail.attachments]
    number, known = attachments.known(session, ticket_id)
    room = max(MAX_PER_TICKET - number, 0)
    found: list[tuple[NewAttachment, BinaryIO]] = []
    stored = 0
    for file in files[:room]:
        new = _describe(file, stored)
        if new.inline and new.sha256 and new.sha256 in known:
            continue
        found.append((new, io.BytesIO(file.content)))
        known.add(new.sha256)
        stored += not new.reason
    desk.add(session, ticket_id, found, mail_id)
    if len(files) > room:
        logger.warning("attachments not listed: the ticket has too many", ticket=ticket_id, mail=mail_id)


def store_earlier() -> Iterator[tuple[int, int]]:
    """Store the attachments of mails that were ingested by a version without attachments, and whose source is not deleted.

    Yields the number of each mail, and how many attachments it has. Each mail is one transaction; a repetition adds nothing.
    """
    after = 0
    while True:
        with reading() as session:
            mails = attachments.mails_without(session, after)
        if not mails:
            return
        for mail_id, ticket_id, lists_files in mails:
            if lists_files:
                yield mail_id, _store_earlier(mail_id, ticket_id)
        after = mails[-1][0]


def _store_earlier(mail_id: int, ticket_id: int) -> int:
    with transaction() as session:
        mail = inbound_mails.lock_mail(session, mail_id)
        # another process may have stored them meanwhile
        if mail is None or mail_id not in [each for each, _, _ in attachments.mails_without(session, mail_id - 1, 1)]:
            return 0
        before = len(attachments.listing(session, ticket_id))
        store_attachments(session, ticket_id, mail_id, parse_mail(mail.raw))
        return len(attachments.listing(session, ticket_id)) - before


def _unreadable(listed: Mapping[str, Any]) -> MailAttachment:
    return MailAttachment(str(listed["name"]), "", b"")


def _describe(file: MailAttachment, stored: int) -> NewAttachment:
    most = get_settings().attachments_per_mail
    if not file.content_type:  # stands for the parts that the parser leaves out
        return NewAttachment(safe_name(file.name), BINARY, 0, reason="not read: too many parts, or a damaged mail")
    name = "" if file.name == NO_NAME else file.name
    new = desk.describe(io.BytesIO(file.content), name, file.content_type, inline=file.inline)
    if not new.reason and stored >= most:
        return new._replace(reason=f"beyond the first {most} attachments of its mail", sha256="")
    return new
