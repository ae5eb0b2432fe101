"""Decodes transfer encodings (base64, quoted-printable, uuencode) with the errors that senders and servers make.

Own code above `binascii`: `Message.get_payload` knows no blanks, comments or quotation marks around the name of an encoding and
decodes the plain footer that a mailing list appends to base64 as if it were base64; the module `uu` has left Python.
"""

from __future__ import annotations

import binascii
import re
from typing import NamedTuple

_ENCODING = re.compile(r"[a-z0-9-]+")
_COMMENT = re.compile(r"\([^()]*\)")
_WHITE = b" \t\r\n"
_BASE64_LINE = re.compile(rb"[ \t]*(?:[A-Za-z0-9+/]{2,}={0,2}|={1,2})[ \t\r]*")
_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/]+")
_SOFT_BREAK = re.compile(rb"=[ \t]+(?=\r?\n)")
_UU_BEGIN = re.compile(rb"^begin(?:-base64)? [0-7]{3,4} ([^\r\n]{1,255})\r?\n", re.MULTILINE)
_UU_END = re.compile(rb"^(?:end|====)[ \t\r]*$\n?", re.MULTILINE)
#: Shortest line of base64 that is more than a word of a footer.
_FULL_LINE = 40


class UuFile(NamedTuple):
    """A file that was written into a text by uuencode."""

    name: bytes
    content: bytes


def encoding_name(value: str) -> str:
    """Return the transfer encoding that a header names: base64, quoted-printable, uuencode, or "" for none."""
    found = _ENCODING.search(_COMMENT.sub("", value[:200]).lower().replace("_", "-"))
    name = (found[0] if found else "").removeprefix("x-")
    return {
        "uue": "uuencode",
        "uu": "uuencode",
        "quotedprintable": "quoted-printable",
        "quoted": "quoted-printable",
        "b": "base64",
    }.get(name, name)


def decode_transfer(body: bytes, encoding: str) -> tuple[bytes, bytes]:
    """Return the decoded body, and plain text behind it that was not encoded. Never raises; `encoding` is a plain name."""
    if encoding == "base64":
        return _base64(body)
    if encoding == "quoted-printable":
        return binascii.a2b_qp(_SOFT_BREAK.sub(b"=", body)), b""
    if encoding == "uuencode":
        text, files = split_uuencoded(body)
        return (files[0].content, b"") if files else (text, b"")
    return body, b""


def _base64(body: bytes) -> tuple[bytes, bytes]:
    try:
        return binascii.a2b_base64(body.translate(None, _WHITE), strict_mode=True), b""
    except binascii.Error:
        pass
    lines = body.split(b"\n")
    end = _end_of_base64(lines)
    if end == 0:
        return body, b""  # it is not encoded at all
    chunks = re.split(rb"=+", b"".join(lines[:end]))
    return b"".join(map(_chunk, chunks)), b"\n".join(lines[end:])


def _end_of_base64(lines: list[bytes]) -> int:
    """Return the number of lines that are base64: to the last full line, and the shorter one that ends the data."""
    kinds = [bool(_BASE64_LINE.fullmatch(line)) for line in lines]
    first = next((number for number, line in enumerate(lines) if line.strip()), 0)
    if not any(kinds[first : first + 2]):
        return 0 if not _starts_as_base64(lines[first]) else first + 1
    full = [n for n, line in enumerate(lines) if kinds[n] and len(line.strip()) >= _FULL_LINE]
    end = (full[-1] if full else first) + 1
    if full and lines[end - 1].rstrip().endswith(b"="):
        return end
    # a word of a footer may look like base64; the last line of the data has whole bytes, or nothing follows it
    if full and end < len(lines) and kinds[end]:
        end += len(lines[end].strip()) % 4 == 0 or not any(map(bytes.strip, lines[end + 1 :]))
    return end


def _starts_as_base64(line: bytes) -> bool:
    return re.match(rb"[A-Za-z0-9+/]{20,}", line.strip()) is not None


def _chunk(chunk: bytes) -> bytes:
    chunk = _NOT_BASE64.sub(b"", chunk)
    if len(chunk) % 4 == 1:
        chunk = chunk[:-1]
    return binascii.a2b_base64(chunk + b"=" * (-len(chunk) % 4))


def split_uuencoded(body: bytes) -> tuple[bytes, list[UuFile]]:
    """Return the text without the files that uuencode wrote into it, and the files."""
    files: list[UuFile] = []
    texts: list[bytes] = []
    at = 0
    while begin := _UU_BEGIN.search(body, at):
        end = _UU_END.search(body, begin.end())
        if end is None:
            break
        content = _uu_lines(body[begin.end() : end.start()], base64=begin[0].startswith(b"begin-base64"))
        if content is None:
            texts.append(body[at : begin.end()])
            at = begin.end()
            continue
        texts.append(body[at : begin.start()])
        files.append(UuFile(begin[1].strip(), content))
        at = end.end()
    texts.append(body[at:])
    return b"".join(texts), files


def _uu_lines(block: bytes, base64: bool) -> bytes | None:
    """Return the content of the lines of a file; None when they are text."""
    if base64:
        return _base64(block)[0]
    parts = []
    for line in block.split(b"\n"):
        line = line.rstrip(b"\r")
        if not line.strip() or line == b"`":
            continue
        size = (line[0] - 32) & 63
        if not 0x20 <= line[0] <= 0x60 or len(line) > 1 + (size + 2) // 3 * 4 + 2:
            return None
        try:
            # blanks at the end of a line get lost on the way
            parts.append(binascii.a2b_uu(line[: 1 + (size + 2) // 3 * 4]))
        except binascii.Error:
            return None
    return b"".join(parts) if parts else None
