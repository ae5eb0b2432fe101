"""Reading a mail: whatever bytes come in, a Letter comes out, in bounded time.

Headers are decoded here and not by Python's newer policy, which raises on some and takes quadratic time over others. A
mail is not trusted to be one: parts, depth and text have limits, and what no parser understands is taken as plain text.
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

logger = structlog.get_logger("aura.intake")

#: Parts that are looked at, how deep they may stand in each other, and how many attachments are listed.
MOST_PARTS, DEEPEST, MOST_ATTACHMENTS = 1_000, 30, 100
#: Boundaries of a mail, and its lines times these, which is how long parsing takes: 5 million are a few seconds.
MOST_BOUNDARIES, MOST_COMPARED = 100, 5_000_000
#: Bytes of text that are decoded, and of the headers.
MOST_TEXT, MOST_HEADERS = 1_000_000, 256_000
#: Characters of one header, a long list of references among them.
LONGEST_HEADER = 20_000
TITLE_LIMIT = 300
#: The longest Message-ID that is kept as it is; a longer one is known by its digest.
LONGEST_ID = 200
#: Message-IDs of a conversation that are looked up, the newest.
MOST_REFERENCES = 50

#: Codecs that are no charsets of mails, and slow.
_NO_CHARSETS = {"punycode", "idna"}
_BOUNDARY = re.compile(rb"boundary\s{0,10}=", re.IGNORECASE)
_ID = re.compile(r"<([^<>\s]{1,998})>")


class _Bounded(Compat32):
    """Cuts each header, for Python takes quadratic time over the parameters of one."""

    def header_source_parse(self, sourcelines: list[str]) -> tuple[str, str]:
        name, value = super().header_source_parse(sourcelines)
        return name, str(value)[:LONGEST_HEADER]


_policy = _Bounded()


@dataclass(frozen=True, slots=True)
class ParsedMail:
    """What a mail says, fit to be stored; `identity` tells it from every other mail."""

    identity: str
    raw: bytes
    #: The address in From, in lower case; empty when there is none.
    sender: str = ""
    subject: str = ""
    text: str = ""
    #: The Message-IDs that it answers or follows, the nearest first, without angle brackets.
    references: tuple[str, ...] = ()
    #: Display names in To and Cc, with their addresses.
    recipients: tuple[tuple[str, str], ...] = ()
    attachments: tuple[dict[str, Any], ...] = ()
    #: All headers by name in lower case, decoded.
    headers: dict[str, list[str]] = field(default_factory=dict)
    content_type: str = "text/plain"

    def header(self, name: str) -> str | None:
        """Return the first header of this name (in lower case), or None."""
        return next(iter(self.headers.get(name, ())), None)

    @property
    def message_id(self) -> str:
        """The Message-ID without angle brackets, however odd; empty when there is none."""
        return _message_id(self.headers)


def read(raw: bytes) -> ParsedMail:
    """Return what the bytes say as a mail. It never raises: what cannot be parsed is a mail whose text is the bytes."""
    try:
        return _read(raw, _parse(raw))
    except Exception as error:  # what a parser stumbles over must not stop the mails behind it
        logger.warning("a mail that cannot be parsed is taken as plain text", error=type(error).__name__)
    try:
        return _read(raw, None)
    except Exception as error:
        logger.warning("a mail whose headers cannot be parsed is taken without them", error=type(error).__name__)
    return ParsedMail(_identity({}, raw), raw, text=clean(_plain(raw), DESCRIPTION_LIMIT))


def _parse(raw: bytes) -> Message | None:
    """Return the parsed mail; None when that would take too long, as with a bomb of parts within parts."""
    boundaries = len(_BOUNDARY.findall(raw))
    if boundaries > MOST_BOUNDARIES or (boundaries + 1) * raw.count(b"\n") > MOST_COMPARED:
        return None
    return BytesParser(policy=_policy).parsebytes(raw)


def _read(raw: bytes, message: Message | None) -> ParsedMail:
    headers = _headers(BytesHeaderParser(policy=_policy).parsebytes(raw[:MOST_HEADERS]))
    text, attachments = _content(message) if message is not None else (_plain(raw), ())
    return ParsedMail(
        identity=_identity(headers, raw),
        raw=raw,
        sender=_sender(headers),
        subject=clean_line(_first(headers, "subject"), TITLE_LIMIT),
        text=clean(text, DESCRIPTION_LIMIT),
        references=_references(headers),
        recipients=tuple(_addresses(headers, "to") + _addresses(headers, "cc")),
        attachments=attachments,
        headers=headers,
        content_type=message.get_content_type() if message is not None else "text/plain",
    )


def _plain(raw: bytes) -> str:
    # after the headers, if there are any
    _, _, body = raw[: MOST_TEXT + MOST_HEADERS].replace(b"\r\n", b"\n").partition(b"\n\n")
    return _decoded((body or raw)[:MOST_TEXT], "utf-8")


# -- headers ----------------------------------------------------------------------------------------------------------


def _headers(message: Message) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in message.raw_items():
        found.setdefault(name.lower(), []).append(_header(str(value)))
    return found


def _header(value: str) -> str:
    """Return a header's value in words. Bytes beyond ASCII stand in it as surrogates, encoded words as they came."""
    value = _decoded(_as_bytes(value), "utf-8").replace("\r", "").replace("\n", "")
    if "=?" not in value:
        return value
    try:
        parts = decode_header(value)
    except Exception:  # HeaderParseError, binascii.Error and more: it is shown as it came
        return value
    return "".join(part if isinstance(part, str) else _decoded(part, charset or "utf-8") for part, charset in parts)


def _as_bytes(text: str) -> bytes:
    """Return the bytes that the parser took for this text; it keeps those beyond ASCII as lone surrogates."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace")


def _decoded(content: bytes, charset: str) -> str:
    """Return the text of some bytes, in what they say they are, else in what they can be."""
    try:
        name = codecs.lookup(charset).name
        if name not in _NO_CHARSETS:
            return content.decode("cp1252" if name == "iso8859-1" else name, "strict")
    except (LookupError, ValueError):
        pass  # an unknown charset, or bytes that are none of it: guess
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
    named = _message_id(headers)
    if named:
        plain = named.isascii() and named.isprintable() and len(named) <= LONGEST_ID
        return named if plain else f"id-sha256:{hashlib.sha256(named.encode('utf-8', 'replace')).hexdigest()}"
    # what each server on the way adds or changes (Received, line ends) makes no other mail
    body = raw.replace(b"\r\n", b"\n").partition(b"\n\n")[2].rstrip()
    said = "\n".join(_first(headers, name) for name in ("from", "date", "subject")).encode("utf-8", "replace")
    if not said.strip() and not body:
        body = raw
    return f"sha256:{hashlib.sha256(said + b'//' + body).hexdigest()}"


def _addresses(headers: dict[str, list[str]], name: str) -> list[tuple[str, str]]:
    try:
        found = getaddresses(headers.get(name, ())[:3])
    except RecursionError:  # comments within comments
        return []
    return [(clean_line(shown, 200), address.strip().lower()) for shown, address in found[:100]]


def _sender(headers: dict[str, list[str]]) -> str:
    for name in ("from", "sender"):
        for _, address in _addresses(headers, name):
            if is_email(address):
                return address
    return ""


def _references(headers: dict[str, list[str]]) -> tuple[str, ...]:
    nearest = _ID.findall(_first(headers, "in-reply-to"))
    earlier = _ID.findall(_first(headers, "references"))
    return tuple(dict.fromkeys([*nearest, *reversed(earlier)]))[:MOST_REFERENCES]


# -- the text and what is attached ------------------------------------------------------------------------------------


def _content(message: Message) -> tuple[str, tuple[dict[str, Any], ...]]:
    """Return the text, of alternatives the plain one, and what is attached."""
    texts: dict[int, dict[str, str]] = {}
    attachments: list[dict[str, Any]] = []
    room = MOST_TEXT
    for part, place in _leaves(message):
        # a multipart without a boundary is text
        kind = "text/plain" if part.get_content_maintype() == "multipart" else part.get_content_type()
        name = _filename(part)
        if kind in ("text/plain", "text/html") and not name and part.get_content_disposition() != "attachment":
            said = _text(part, room)
            room -= len(said)
            chosen = texts.setdefault(place, {})
            chosen[kind] = f"{chosen[kind]}\n{said}" if kind in chosen else said
        elif len(attachments) < MOST_ATTACHMENTS:
            attachments.append({"name": name or "(no name)", "type": clean_line(kind, 100), "size": _size(part)})
        else:
            attachments[-1] = {"name": "(and more)", "type": "", "size": 0}
    return "\n\n".join(filter(None, map(_best, texts.values()))), tuple(attachments)


def _leaves(message: Message) -> Iterator[tuple[Message, int]]:
    """Return the parts that hold something, in order, each with a number that it shares with its alternatives."""
    waiting, seen = [(message, 0, 0)], 0
    while waiting and seen < MOST_PARTS:
        part, depth, place = waiting.pop()
        seen += 1
        inner = part.get_payload()
        if part.get_content_maintype() == "multipart" and isinstance(inner, list):
            if depth < DEEPEST:
                place = place or (seen if part.get_content_subtype() == "alternative" else 0)
                waiting += [(each, depth + 1, place) for each in reversed(inner) if isinstance(each, Message)]
        else:
            yield part, place or -seen


def _best(kinds: dict[str, str]) -> str:
    plain = kinds.get("text/plain", "")
    return plain.strip() if has_text(plain) or "text/html" not in kinds else html_to_text(kinds["text/html"]).strip()


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
    return clean_line(_header(name), 200)


def _size(part: Message) -> int:
    inner = part.get_payload()
    if isinstance(inner, list):  # a mail in the mail
        return sum(len(each.as_bytes()) for each in inner if isinstance(each, Message))
    content = part.get_payload(decode=True)
    return len(content) if isinstance(content, bytes) else 0
