"""Parses a mail: any bytes become a ParsedMail, in bounded time.

Headers are decoded here and not by Python's newer policy, which raises on some of them and takes quadratic time for others.
Parts, depth and text are limited, and bytes that cannot be parsed are read as plain text.
"""

from __future__ import annotations

import codecs
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.header import decode_header
from email.message import Message
from email.parser import BytesHeaderParser, BytesParser
from email.policy import Compat32
from email.utils import getaddresses
from typing import Any

import structlog

from aura.ai.text.clean import clean, clean_line, has_text, html_to_text
from aura.notifications.sanitize import is_email
from db.new_tickets import DESCRIPTION_LIMIT

logger = structlog.get_logger("aura.mail")

#: Maximum number of parts, of their nesting, and of listed attachments.
MAX_PARTS, MAX_DEPTH, MAX_ATTACHMENTS = 1_000, 30, 100
#: Maximum number of boundaries, and of boundaries times lines, which is how long parsing takes: 5 million are seconds.
MAX_BOUNDARIES, MAX_COMPARISONS = 100, 5_000_000
#: Bytes of text, and of headers, that are decoded.
MAX_TEXT, MAX_HEADERS = 1_000_000, 256_000
#: Characters of one header; a long list of references fits.
MAX_HEADER = 20_000
TITLE_LIMIT = 300
#: Characters of a Message-ID that is stored as it is; a longer one is stored as a digest.
MAX_ID = 200
#: Message-IDs of a conversation that are looked up, the newest.
MAX_REFERENCES = 50

#: Codecs that are no charsets of mails, and slow.
_NOT_CHARSETS = {"punycode", "idna"}
_BOUNDARY = re.compile(rb"boundary\s{0,10}=", re.IGNORECASE)
_ID = re.compile(r"<([^<>\s]{1,998})>")


class _Bounded(Compat32):
    """Cuts each header, because Python parses the parameters of a header in quadratic time."""

    def header_source_parse(self, sourcelines: list[str]) -> tuple[str, str]:
        name, value = super().header_source_parse(sourcelines)
        return name, str(value)[:MAX_HEADER]


_policy = _Bounded()


@dataclass(frozen=True, slots=True)
class MailAttachment:
    """An attachment with its decoded content."""

    name: str
    content_type: str
    content: bytes
    #: Shown within the text, such as a picture that the HTML refers to by its Content-ID.
    inline: bool = False
    #: Content-ID without angle brackets; empty when there is none.
    content_id: str = ""


@dataclass(frozen=True, slots=True)
class ParsedMail:
    """The content of a mail, valid for the database; `identity` is unique for each mail."""

    identity: str
    raw: bytes
    #: The address in From, in lower case; empty when there is none.
    sender: str = ""
    subject: str = ""
    text: str = ""
    #: Message-IDs of the mails that it answers or follows, the nearest first, without angle brackets.
    references: tuple[str, ...] = ()
    #: Display names in To and Cc, with their addresses.
    recipients: tuple[tuple[str, str], ...] = ()
    attachments: tuple[dict[str, Any], ...] = ()
    #: All headers by name in lower case, decoded.
    headers: dict[str, list[str]] = field(default_factory=dict)
    content_type: str = "text/plain"
    #: The display name in From, decoded.
    sender_name: str = ""
    #: Display names and addresses in Reply-To, and in Cc.
    reply_to: tuple[tuple[str, str], ...] = ()
    cc: tuple[tuple[str, str], ...] = ()
    #: The HTML of the body when the text was made from HTML, at most MAX_TEXT characters; else empty.
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
        return _parsed(raw, _message(raw))
    except Exception as error:  # one mail must not stop the following ones
        logger.warning("mail not parsed, read as plain text", error=type(error).__name__)
    try:
        return _parsed(raw, None)
    except Exception as error:
        logger.warning("mail headers not parsed, ignored", error=type(error).__name__)
    return ParsedMail(_identity({}, raw), raw, text=clean(_plain(raw), DESCRIPTION_LIMIT))


def read_attachments(raw: bytes) -> list[MailAttachment]:
    """Return the attachments of a mail with their content, in the order of `ParsedMail.attachments`. Never raises."""
    try:
        message = _message(raw)
        return [] if message is None else _content(message).attachments
    except Exception as error:
        logger.warning("attachments not parsed", error=type(error).__name__)
        return []


def _message(raw: bytes) -> Message | None:
    """Return the parsed message; None when parsing would take too long, as with very many nested parts."""
    boundaries = len(_BOUNDARY.findall(raw))
    if boundaries > MAX_BOUNDARIES or (boundaries + 1) * raw.count(b"\n") > MAX_COMPARISONS:
        return None
    return BytesParser(policy=_policy).parsebytes(raw)


def _parsed(raw: bytes, message: Message | None) -> ParsedMail:
    headers = _headers(BytesHeaderParser(policy=_policy).parsebytes(raw[:MAX_HEADERS]))
    content = _content(message) if message is not None else _Content(_plain(raw))
    sender_name, sender = _sender(headers)
    subject = _first(headers, "subject")
    cc = _addresses(headers, "cc")
    return ParsedMail(
        identity=_identity(headers, raw),
        raw=raw,
        sender=sender,
        subject=clean_line(subject, TITLE_LIMIT),
        text=clean(content.text, DESCRIPTION_LIMIT),
        references=_references(headers),
        recipients=(*_addresses(headers, "to"), *cc),
        attachments=tuple(
            {"name": each.name, "type": each.content_type, "size": len(each.content)} for each in content.attachments
        ),
        headers=headers,
        content_type=message.get_content_type() if message is not None else "text/plain",
        sender_name=sender_name,
        reply_to=tuple(_addresses(headers, "reply-to")),
        cc=tuple(cc),
        html=content.html,
        content_digest=_digest(sender, _first(headers, "date"), subject, content),
    )


def _plain(raw: bytes) -> str:
    # without the headers, if there are any
    _, _, body = raw[: MAX_TEXT + MAX_HEADERS].replace(b"\r\n", b"\n").partition(b"\n\n")
    return _decoded((body or raw)[:MAX_TEXT], "utf-8")


def _digest(sender: str, date: str, subject: str, content: _Content) -> str:
    seen = [sender, date, subject, content.text]
    digest = hashlib.sha256()
    for text in seen:
        digest.update(" ".join(text.split()).encode("utf-8", "replace") + b"\0")
    for each in content.attachments:
        # servers on the way change the line ends of texts
        is_text = each.content_type.startswith(("text/", "message/"))
        inner = each.content.replace(b"\r\n", b"\n").rstrip() if is_text else each.content
        digest.update(each.name.encode("utf-8", "replace") + b"\0" + hashlib.sha256(inner).digest())
    return digest.hexdigest()


# -- headers ----------------------------------------------------------------------------------------------------------


def _headers(message: Message) -> dict[str, list[str]]:
    headers: dict[str, list[str]] = {}
    for name, value in message.raw_items():
        headers.setdefault(name.lower(), []).append(_decode_header(str(value)))
    return headers


def _decode_header(value: str) -> str:
    """Decode a header: raw bytes, which the parser stores as surrogates, and encoded words (RFC 2047)."""
    value = _decoded(_as_bytes(value), "utf-8").replace("\r", "").replace("\n", "")
    if "=?" not in value:
        return value
    try:
        parts = decode_header(value)
    except Exception:  # HeaderParseError, binascii.Error and more: the value stays encoded
        return value
    return "".join(part if isinstance(part, str) else _decoded(part, charset or "utf-8") for part, charset in parts)


def _as_bytes(text: str) -> bytes:
    """Return the bytes of a text of the parser, which stores bytes beyond ASCII as lone surrogates."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace")


def _decoded(content: bytes, charset: str) -> str:
    """Decode bytes with their declared charset, else as UTF-8, else as Windows-1252."""
    try:
        name = codecs.lookup(charset).name
        if name not in _NOT_CHARSETS:
            return content.decode("cp1252" if name == "iso8859-1" else name, "strict")
    except (LookupError, ValueError):
        pass  # unknown charset, or bytes that are invalid in it
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("cp1252", "replace")


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


def _addresses(headers: dict[str, list[str]], name: str) -> list[tuple[str, str]]:
    try:
        pairs = getaddresses(headers.get(name, ())[:3])
    except RecursionError:  # deeply nested comments
        return []
    return [(clean_line(display_name, 200), address.strip().lower()) for display_name, address in pairs[:100]]


def _sender(headers: dict[str, list[str]]) -> tuple[str, str]:
    for name in ("from", "sender"):
        for display_name, address in _addresses(headers, name):
            if is_email(address):
                return display_name, address
    return "", ""


def _references(headers: dict[str, list[str]]) -> tuple[str, ...]:
    nearest = _ID.findall(_first(headers, "in-reply-to"))
    earlier = _ID.findall(_first(headers, "references"))
    return tuple(dict.fromkeys([*nearest, *reversed(earlier)]))[:MAX_REFERENCES]


# -- text and attachments ---------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Content:
    text: str = ""
    html: str = ""
    attachments: list[MailAttachment] = field(default_factory=list)


def _content(message: Message) -> _Content:
    """Return the text (of alternatives the plain one) and the attachments."""
    texts: dict[int, dict[str, str]] = {}
    attachments: list[MailAttachment] = []
    room = MAX_TEXT
    for part, group in _leaves(message):
        # a multipart without a boundary is text
        kind = "text/plain" if part.get_content_maintype() == "multipart" else part.get_content_type()
        name = _filename(part)
        if kind in ("text/plain", "text/html") and not name and part.get_content_disposition() != "attachment":
            text = _text(part, room)
            room -= len(text)
            alternatives = texts.setdefault(group, {})
            alternatives[kind] = f"{alternatives[kind]}\n{text}" if kind in alternatives else text
        elif len(attachments) < MAX_ATTACHMENTS:
            attachments.append(_attachment(part, name, kind))
        else:
            attachments[-1] = MailAttachment("(and more)", "", b"")
    html = "\n".join(each["text/html"] for each in texts.values() if _is_html(each))
    return _Content("\n\n".join(filter(None, map(_best, texts.values()))), html, attachments)


def _attachment(part: Message, name: str, kind: str) -> MailAttachment:
    content_id = clean_line(_decode_header(str(part.get("content-id", ""))), MAX_ID).strip("<>")
    inline = part.get_content_disposition() == "inline"
    return MailAttachment(name or "(no name)", clean_line(kind, 100), _bytes(part), inline, content_id)


def _leaves(message: Message) -> Iterator[tuple[Message, int]]:
    """Yield the parts with content, in order, each with a number that it shares with its alternatives."""
    stack, count = [(message, 0, 0)], 0
    while stack and count < MAX_PARTS:
        part, depth, group = stack.pop()
        count += 1
        inner = part.get_payload()
        if part.get_content_maintype() == "multipart" and isinstance(inner, list):
            if depth < MAX_DEPTH:
                group = group or (count if part.get_content_subtype() == "alternative" else 0)
                stack += [(each, depth + 1, group) for each in reversed(inner) if isinstance(each, Message)]
        else:
            yield part, group or -count


def _is_html(alternatives: dict[str, str]) -> bool:
    return "text/html" in alternatives and not has_text(alternatives.get("text/plain", ""))


def _best(alternatives: dict[str, str]) -> str:
    if _is_html(alternatives):
        return html_to_text(alternatives["text/html"]).strip()
    return alternatives.get("text/plain", "").strip()


def _text(part: Message, room: int) -> str:
    try:
        content = part.get_payload(decode=True)
    except (ValueError, LookupError):
        content = None
    if not isinstance(content, bytes):
        content = _as_bytes(str(part.get_payload()))
    try:
        charset = part.get_content_charset() or "utf-8"
    except (ValueError, LookupError):
        charset = "utf-8"
    return _decoded(content[: max(room, 0)], charset)


def _filename(part: Message) -> str:
    try:
        name = part.get_filename() or ""
    except (ValueError, LookupError, TypeError):
        name = "(unreadable name)"
    return clean_line(_decode_header(name), 200)


def _bytes(part: Message) -> bytes:
    inner = part.get_payload()
    if isinstance(inner, list):  # an attached mail
        return b"".join(each.as_bytes() for each in inner if isinstance(each, Message))
    content = part.get_payload(decode=True)
    return content if isinstance(content, bytes) else b""
