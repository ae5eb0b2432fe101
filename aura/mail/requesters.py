"""Decides who the requester of a mail is: its sender, or the person that a form, an agent or an empty From stands for.

Reply-To counts only without a valid From, and for the addresses of AURA_MAIL_FORMS: otherwise everybody could write in the
name of another person. Only an agent's forwarded mail is attributed to its original sender, for the same reason.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from aura.mail.parse import ParsedMail, parse_mail, read_attachments
from aura.mail.quoted_headers import HeaderBlock, header_block
from aura.mail.replies import is_forward, plain_subject
from aura.notifications.sanitize import is_email

#: Lines of a forwarded mail that are searched for the headers of the original.
MAX_LINES = 400
NAME_LIMIT = 200


@dataclass(frozen=True, slots=True)
class Requester:
    """The address and the display name of the requester; `forwarded_by` is the agent who forwarded the mail."""

    address: str = ""
    name: str = ""
    forwarded_by: str = ""


def requester_of(mail: ParsedMail, forms: Collection[str] = ()) -> Requester:
    """Return the requester of a mail that nobody forwarded."""
    if mail.sender and mail.sender not in forms:
        return _requester(mail.sender_name, mail.sender)
    for name, address in mail.reply_to:
        if is_email(address) and address not in forms:
            return _requester(name, address)
    return _requester(mail.sender_name, mail.sender)


def original_requester(mail: ParsedMail, own_address: str) -> Requester | None:
    """Return the original sender of a mail that an agent forwarded; None when it is not forwarded or names no address."""
    original = _attached(mail) or (_quoted(mail) if is_forward(mail.subject) else None)
    if original is None or original.address in (mail.sender, own_address):
        return None
    return Requester(original.address, original.name, mail.sender)


def _requester(name: str, address: str) -> Requester:
    """Return the requester; a display name with an address in it would show another person's address, and is left out."""
    return Requester(address, "" if "@" in name else name[:NAME_LIMIT])


def _quoted(mail: ParsedMail) -> Requester | None:
    lines = mail.text.split("\n")[:MAX_LINES]
    for at in range(len(lines)):
        block: HeaderBlock | None = header_block(lines, at)
        if block is not None:
            return _requester(block.sender_name, block.sender_address) if is_email(block.sender_address) else None
    return None


def _attached(mail: ParsedMail) -> Requester | None:
    """Return the sender of the one attached mail, if the mail is forwarded or says nothing else than its subject."""
    if [each["type"] for each in mail.attachments].count("message/rfc822") != 1:
        return None
    [raw] = [each.content for each in read_attachments(mail.raw) if each.content_type == "message/rfc822"] or [b""]
    inner = parse_mail(raw)
    forwarded = is_forward(mail.subject) or plain_subject(mail.subject) in ("", plain_subject(inner.subject))
    return _requester(inner.sender_name, inner.sender) if forwarded and inner.sender else None
