"""Decodes encoded words (RFC 2047) and raw bytes in headers.

Own code: `email.header.decode_header` returns no word when one is broken, and knows no language tags (RFC 2231 section 5).
"""

from __future__ import annotations

import binascii
import re

from aura.ai.text.charsets import decode

_WORD = re.compile(r"=\?([^?\s]{1,80})\?([bq])\?([^?]*(?:\?(?!=)[^?]*){0,20})\?=", re.IGNORECASE)
_BASE64 = re.compile(rb"[A-Za-z0-9+/=\s]*")
_NO_BASE64 = re.compile(rb"[^A-Za-z0-9+/]+")
_TWO_CHUNKS = re.compile(rb"=+(?=[A-Za-z0-9+/])")


def decode_words(text: str) -> str:
    """Return the text with its encoded words decoded; a word that cannot be decoded stays as it is.

    Adjacent words with one charset are decoded together, because some programs split characters.
    """
    if "=?" not in text:
        return text
    parts: list[str] = []
    charset, content, at = "", b"", 0
    for word in _WORD.finditer(text):
        between, decoded = text[at : word.start()], _decoded(word[2].lower(), word[3])
        at = word.end()
        if decoded is None:
            parts += [decode(content, charset), between, word[0]]
            charset, content = "", b""
        elif content and not between.strip() and word[1].lower() == charset:
            content += decoded
        else:
            parts.append(decode(content, charset))
            # blanks between encoded words are not shown
            parts.append(between if between.strip() or not content else "")
            charset, content = word[1].lower(), decoded
    return "".join((*parts, decode(content, charset), text[at:]))


def _decoded(encoding: str, text: str) -> bytes | None:
    raw = text.encode("utf-8", "surrogateescape")
    if encoding == "q":
        return binascii.a2b_qp(raw.replace(b" ", b"_"), header=True)
    if not _BASE64.fullmatch(raw):
        return None
    return b"".join(map(_base64, _TWO_CHUNKS.split(raw)))


def _base64(chunk: bytes) -> bytes:
    chunk = _NO_BASE64.sub(b"", chunk)
    if len(chunk) % 4 == 1:
        chunk = chunk[:-1]  # one character is six bits, no byte
    return binascii.a2b_base64(chunk + b"=" * (-len(chunk) % 4))


def decode_raw(content: bytes, charset: str) -> str:
    """Return the text of a raw header: UTF-8, else the charset that the body names."""
    return content.decode("ascii") if content.isascii() and b"\x1b" not in content else decode(content, charset)
