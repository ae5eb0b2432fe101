"""Parses a mail: any bytes become a ParsedMail, in bounded time.

headers.py        splits headers from the body, with the errors of real mails
structure.py      the parts of a mail; transfer.py decodes base64 and others
encoded_words.py  texts in headers; charsets are decoded by aura.ai.text.charsets
bodies.py         the text among the parts; calendars.py reads invitations, flowed.py format=flowed
attachments.py    names and content of attachments

Structure comes before decoding: addresses are parsed in the raw header, by aura.notifications.addresses, and only their display
names are decoded. So no encoded name can pretend to be another address.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple

import structlog

from aura.ai.text.charsets import decode
from aura.ai.text.clean import clean, clean_line
from aura.mail.attachments import MailAttachment
from aura.mail.bodies import MAX_TEXT, Content, charset_of, read_content
from aura.mail.encoded_words import decode_raw, decode_words
from aura.mail.headers import MAX_HEADER, Header, split_headers
from aura.mail.structure import Part, parse_structure
from aura.notifications.addresses import names_one_author, parse_mailboxes
from db.new_tickets import DESCRIPTION_LIMIT

logger = structlog.get_logger("aura.mail")

TITLE_LIMIT, NAME_LIMIT = 300, 200
#: Characters of a Message-ID that is stored as it is; a longer one is stored as a digest.
MAX_ID = 200
#: Message-IDs of a conversation that are looked up, the newest, and headers of one name with addresses that are read.
MAX_REFERENCES, MAX_ADDRESS_HEADERS = 50, 3

_ID = re.compile(r"<([^<>\s]{1,998})>")
_BARE_ID = re.compile(r"[^<>\s,;@]{1,500}@[^<>\s,;@]{1,500}")
#: The headers that name the author, in the order in which they count: an answer goes to Reply-To, and Sender transmits.
_AUTHOR = ("from", "reply-to", "sender")
Addresses = tuple[tuple[str, str], ...]
#: Authentication-Results headers that are read; each server on the way writes one or a few.
MAX_AUTHENTICATION = 20


class AuthenticationHeader(NamedTuple):
    """An Authentication-Results header, and whether it stands above the first Received."""

    value: str
    above_received: bool


@dataclass(frozen=True, slots=True)
class ParsedMail:
    """The content of a mail, valid for the database; `identity` is unique for each mail."""

    identity: str
    raw: bytes
    #: The address in From, in lower case; that in Reply-To or Sender when From has none, else empty.
    sender: str = ""
    subject: str = ""
    text: str = ""
    #: Message-IDs of the mails that it answers or follows, the nearest first, without angle brackets.
    references: tuple[str, ...] = ()
    #: Display names in To and Cc, with their addresses.
    recipients: Addresses = ()
    attachments: tuple[dict[str, Any], ...] = ()
    #: All headers by name in lower case, decoded. For people: an address in a decoded header may be part of a name.
    headers: dict[str, list[str]] = field(default_factory=dict)
    content_type: str = "text/plain"
    #: The display name beside the sender's address, decoded.
    sender_name: str = ""
    #: Display names and addresses in Reply-To, and in Cc.
    reply_to: Addresses = ()
    cc: Addresses = ()
    #: Whether From is there once and names this sender alone, so that no reader of mail finds another one.
    author_certain: bool = True
    #: The topmost Authentication-Results headers, in their order.
    authentication: tuple[AuthenticationHeader, ...] = ()
    #: The HTML of the body when the text was made from HTML, at most MAX_TEXT bytes; else empty.
    html: str = ""
    #: SHA-256 of what a person sees: sender, date, subject, text, attachments. Transport headers, line ends and transfer
    #: encodings do not change it.
    content_digest: str = ""

    def header(self, name: str) -> str | None:
        """Return the first header of this name (in lower case), or None."""
        return next(iter(self.headers.get(name, ())), None)

    @property
    def message_id(self) -> str:
        """The Message-ID without angle brackets, valid or not; empty when there is none."""
        return _message_id(self.headers)


def parse_mail(raw: bytes) -> ParsedMail:
    """Parse a mail. Never raises: bytes that cannot be parsed become a mail with them as its text."""
    try:
        mail = parse_structure(raw)
        return _parsed(raw, mail, read_content(mail))
    except Exception as error:  # one mail must not stop the following ones
        logger.warning("mail not parsed, read as plain text", error=type(error).__name__)
    headers, body = split_headers(raw)
    content = Content(decode(body[:MAX_TEXT], cut=len(body) > MAX_TEXT))
    try:
        return _parsed(raw, Part(headers, body), content)
    except Exception as error:
        logger.warning("mail headers not parsed, ignored", error=type(error).__name__)
    text = clean(content.text, DESCRIPTION_LIMIT)
    return ParsedMail(_identity({}, raw), raw, text=text, content_digest=_digest("", "", "", content))


def read_attachments(raw: bytes) -> list[MailAttachment]:
    """Return the attachments of a mail with their content, in the order of `ParsedMail.attachments`. Never raises."""
    try:
        return read_content(parse_structure(raw)).attachments
    except Exception as error:
        logger.warning("attachments not parsed", error=type(error).__name__)
        return []


def _parsed(raw: bytes, mail: Part, content: Content) -> ParsedMail:
    charset = charset_of(mail)
    headers: dict[str, list[str]] = {}
    for header in mail.headers:
        headers.setdefault(header.name, []).append(decode_words(decode_raw(header.value, charset)))
    authors = [author for name in _AUTHOR for author in _addresses(mail.headers, charset, name)]
    sender_name, sender = authors[0] if authors else ("", "")
    named = [decode_raw(each.value, charset) for each in mail.headers if each.name == "from"]
    subject = _first(headers, "subject")
    cc = _addresses(mail.headers, charset, "cc")
    return ParsedMail(
        identity=_identity(headers, raw),
        raw=raw,
        sender=sender,
        subject=clean_line(subject, TITLE_LIMIT),
        text=clean(content.text, DESCRIPTION_LIMIT),
        references=_references(headers),
        recipients=(*_addresses(mail.headers, charset, "to"), *cc),
        attachments=tuple(
            {"name": each.name, "type": each.content_type, "size": len(each.content)} for each in content.attachments
        ),
        headers=headers,
        content_type=mail.kind,
        sender_name=sender_name,
        reply_to=_addresses(mail.headers, charset, "reply-to"),
        cc=cc,
        author_certain=names_one_author(named) and len(named[0]) < MAX_HEADER,
        authentication=_authentication(mail.headers),
        html=content.html,
        content_digest=_digest(sender, _first(headers, "date"), subject, content),
    )


# -- addresses and ids ------------------------------------------------------------------------------------------------


def _addresses(headers: list[Header], charset: str, name: str) -> Addresses:
    values = [decode_raw(each.value, charset) for each in headers if each.name == name][:MAX_ADDRESS_HEADERS]
    return tuple(
        (clean_line(decode_words(box.name), NAME_LIMIT), box.address)
        for each in values
        for box in parse_mailboxes(each)
    )


def _authentication(headers: list[Header]) -> tuple[AuthenticationHeader, ...]:
    first_received = next((place for place, each in enumerate(headers) if each.name == "received"), 0)
    found = [(place, each.value) for place, each in enumerate(headers) if each.name == "authentication-results"]
    return tuple(
        AuthenticationHeader(value.decode("utf-8", "replace"), place < first_received)
        for place, value in found[:MAX_AUTHENTICATION]
    )


def _first(headers: dict[str, list[str]], name: str) -> str:
    return next(iter(headers.get(name, ())), "")


def _message_id(headers: dict[str, list[str]]) -> str:
    value = _first(headers, "message-id").strip()
    found = _ID.search(value)
    return found[1] if found else " ".join(value.strip("<>").split())


def _identity(headers: dict[str, list[str]], raw: bytes) -> str:
    message_id = _message_id(headers)
    if message_id:
        plain = message_id.isascii() and message_id.isprintable() and len(message_id) <= MAX_ID
        return message_id if plain else f"id-sha256:{hashlib.sha256(message_id.encode('utf-8', 'replace')).hexdigest()}"
    # without the parts that servers on the way change: Received, line ends
    body = raw.replace(b"\r\n", b"\n").partition(b"\n\n")[2].rstrip()
    head = "\n".join(_first(headers, name) for name in ("from", "date", "subject")).encode("utf-8", "replace")
    if not head.strip() and not body:
        body = raw
    return f"sha256:{hashlib.sha256(head + b'//' + body).hexdigest()}"


def _references(headers: dict[str, list[str]]) -> tuple[str, ...]:
    nearest, earlier = (_ids(_first(headers, name)) for name in ("in-reply-to", "references"))
    return tuple(dict.fromkeys([*nearest, *reversed(earlier)]))[:MAX_REFERENCES]


def _ids(value: str) -> list[str]:
    return _ID.findall(value) or _BARE_ID.findall(value)


def _digest(sender: str, date: str, subject: str, content: Content) -> str:
    digest = hashlib.sha256()
    for text in (sender, _instant(date), subject, content.text):
        digest.update(" ".join(text.split()).encode("utf-8", "replace") + b"\0")
    for each in content.attachments:
        # servers on the way change the line ends of texts
        is_text = each.content_type.startswith(("text/", "message/"))
        inner = each.content.replace(b"\r\n", b"\n").rstrip() if is_text else each.content
        digest.update(each.name.encode("utf-8", "replace") + b"\0" + hashlib.sha256(inner).digest())
    return digest.hexdigest()


def _instant(date: str) -> str:
    """Return a Date in one spelling, or as it is when it is no date."""
    try:
        instant = parsedate_to_datetime(date[:200])
        return (instant.astimezone(UTC) if instant.tzinfo else instant).isoformat()
    except (ValueError, TypeError, OverflowError, IndexError):
        return date
