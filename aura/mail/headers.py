"""Splits a mail, or a part of it, into its headers and its body, whatever is wrong with the headers.

Own code: Python's parser ends the headers at the first line that is no header, so one odd line loses the sender, the title and
the encoding. Here such a line is skipped when headers follow it. The time is linear.
"""

from __future__ import annotations

import re
from typing import NamedTuple

#: Bytes and lines of all headers that are read, and bytes of one header; a long list of recipients or references fits.
MAX_HEADERS, MAX_LINES, MAX_HEADER = 256_000, 5_000, 20_000

#: Bytes before the first header: blank lines, and a byte order mark.
_BEGINNING = b" \t\r\n\0\xef\xbb\xbf"
_LINE = re.compile(rb"[^\n]*\n|[^\n]+")
_EMPTY_LINE = re.compile(rb"\n\r*\n")
#: The lines that are read; the others are cut off before each gets an object.
_LINES = re.compile(rb"(?:[^\n]*+\n){%d}" % MAX_LINES)
_NAME = re.compile(rb"([\x21-\x39\x3b-\x7e]{1,200})[ \t]*:")
#: Headers that no text begins a line with, so odd lines before them are no text.
_KNOWN = re.compile(
    rb"(?:from|to|cc|subject|date|message-id|mime-version|received|return-path|reply-to|sender|references|in-reply-to|"
    rb"content-[a-z-]+|x-[a-z0-9_-]+|dkim-signature|arc-[a-z-]+|list-[a-z-]+|auto-submitted|precedence|delivered-to|importance|"
    rb"thread-[a-z]+|authentication-results|user-agent)[ \t]*:",
    re.IGNORECASE,
)
#: Lines that are no headers and no text either: names with blanks, pieces of wrapped headers, separators of mailbox files.
_ODD = re.compile(rb"[^:]{1,60}:|\S+=\S*\s*$|>?From ")


class Header(NamedTuple):
    """A header as it came: its name in lower case, and its value without line breaks."""

    name: str
    value: bytes


def split_headers(raw: bytes) -> tuple[list[Header], bytes]:
    """Return the headers and the body.

    Byte order marks and blank lines before the headers, lines without a colon, names with blanks or bytes beyond ASCII, blanks
    before the colon, and separators of mailbox files are tolerated. Without any header all bytes are the body.
    """
    if b"\r" in raw[:MAX_HEADERS] and b"\n" not in raw[:MAX_HEADERS]:
        raw = raw.replace(b"\r", b"\n")
    start = len(raw[:MAX_HEADERS]) - len(raw[:MAX_HEADERS].lstrip(_BEGINNING))
    end = _EMPTY_LINE.search(raw, start)
    limit = min(start + MAX_HEADERS, end.start() + 1 if end else len(raw))
    block = raw[start:limit]
    if cut := _LINES.match(block):
        block = cut[0]
    body = raw[end.end() :] if end else b""
    headers, rest = _read(block, text_follows=not body.isspace() and bool(body))
    if not headers:
        return [], raw
    if rest:  # the blank line between headers and text is missing
        body = raw[start + len(block) - len(rest) :]
    return headers, body


def _read(block: bytes, text_follows: bool) -> tuple[list[Header], bytes]:
    """Return the headers of a block, and the text at its end."""
    lines = _LINE.findall(block)
    last_known = max((number for number, line in enumerate(lines) if _KNOWN.match(line)), default=-1)
    headers: list[Header] = []
    value: list[bytes] | None = None
    for number, line in enumerate(lines):
        if line[:1] in (b" ", b"\t") and headers:
            if not line.strip() and number > last_known:
                return _joined(headers, value), b"".join(lines[number + 1 :])
            if value is not None:
                value.append(line)
        elif name := _NAME.match(line.lstrip()):
            _joined(headers, value)
            headers.append(Header(name[1].decode("ascii").lower(), b""))
            value = [line.lstrip()[name.end() :]]
        elif headers and number > last_known and not (text_follows and _ODD.match(line)):
            return _joined(headers, value), b"".join(lines[number:])
        else:
            _joined(headers, value)
            value = None  # lines that continue it are skipped too
    return _joined(headers, value), b""


def _joined(headers: list[Header], value: list[bytes] | None) -> list[Header]:
    """Give the last header its value."""
    if value is not None:
        joined = b"".join(line.strip(b"\r\n") for line in value).strip()
        headers[-1] = headers[-1]._replace(value=joined[:MAX_HEADER])
    return headers
