"""Stores each mail once: the same mail that came two ways is one, other content under a used Message-ID is another mail."""

from __future__ import annotations

import hashlib

from sqlalchemy.orm import Session

from aura.mail.parse import ParsedMail, parse_mail
from db import inbound_mails
from db.inbound_mails import REFUSED, UNDECIDED, NewMail, StoredMail

#: Prefix of the digest of a mail of which only the headers were read.
_HEAD = "head:"


def store_mail(session: Session, mail: ParsedMail, complete: bool = True) -> tuple[StoredMail, bool]:
    """Store a mail. Returns its row, and whether this transaction decides its outcome.

    A mail under a used Message-ID with other content is stored under a digest of both, so that neither is lost.
    """
    digest = (mail.content_digest or hashlib.sha256(mail.raw).hexdigest()) if complete else _head_digest(mail)
    new = NewMail(mail.identity, mail.sender, mail.raw, mail.attachments, digest)
    stored, is_new = _insert(session, new)
    if not is_new and not _is_same(session, stored, mail, digest):
        identity = f"sha256:{hashlib.sha256(f'{mail.identity} {digest}'.encode()).hexdigest()}"
        stored, is_new = _insert(session, new._replace(message_id=identity, shared_id=mail.identity))
    if not is_new and stored.outcome.startswith(REFUSED):  # offered again, as after the limit was raised
        inbound_mails.replace_mail(session, stored.id, new)
        is_new = True
    return stored, is_new


def _insert(session: Session, mail: NewMail) -> tuple[StoredMail, bool]:
    number = inbound_mails.insert_mail(session, mail)
    if number is None:
        return inbound_mails.find_mail(session, mail.message_id), False
    return StoredMail(number, mail.message_id, UNDECIDED, None, mail.sender, mail.content_digest), True


def _is_same(session: Session, stored: StoredMail, mail: ParsedMail, digest: str) -> bool:
    """Return whether the mail, or as much of it as was read, is the stored one."""
    if stored.content_digest == digest:
        return True
    if stored.content_digest and stored.content_digest.startswith(_HEAD) == digest.startswith(_HEAD):
        return False
    # one of them has a digest of its headers, or was stored by a version without digests
    if stored.content_digest.startswith(_HEAD):
        return stored.content_digest == _head_digest(mail)
    earlier = inbound_mails.source_of(session, stored.id)
    if not earlier:  # deleted by retention
        return stored.sender == mail.sender and digest.startswith(_HEAD)
    parsed = parse_mail(earlier)
    return digest in (parsed.content_digest, _head_digest(parsed))


def _head_digest(mail: ParsedMail) -> str:
    seen = "\0".join((mail.sender, mail.header("date") or "", mail.subject))
    return f"{_HEAD}{hashlib.sha256(seen.encode('utf-8', 'replace')).hexdigest()}"
