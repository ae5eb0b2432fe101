"""Decodes ISO-2022-JP with the extensions of code page 50221: NEC and IBM characters, half-width kana.

Own code: no codec of Python reads circled digits and half-width kana in it. Each character of two bytes is moved to its place in
code page 932 (Shift_JIS), which Python knows. Sources: RFC 1468, WHATWG Encoding Standard.
"""

from __future__ import annotations

import re

_ESCAPE = re.compile(rb"\x1b(\$[@B]|\$\([BD]|\([BJIH])")
_KANJI = re.compile(rb"\x1b(?:\$[@B]|\(I|\$\([BD])")


def is_iso_2022_jp(content: bytes) -> bool:
    """Return whether bytes contain the escape sequences of Japanese characters."""
    return b"\x1b" in content and _KANJI.search(content) is not None


def decode_iso_2022_jp(content: bytes) -> str:
    """Return the text of ISO-2022-JP; bytes that are no character become replacement characters."""
    parts = _ESCAPE.split(content)
    # before the first escape sequence, and at other places, bytes beyond ASCII are Shift_JIS
    text = [parts[0].decode("cp932", "replace")]
    for escape, part in zip(parts[1::2], parts[2::2], strict=True):
        if escape in (b"$@", b"$B", b"$(B"):
            text.append(_kanji(part))
        elif escape == b"$(D":
            text.append(_supplement(part))
        elif escape == b"(I":
            text.append(part.translate(_TO_KANA).decode("cp932", "replace"))
        else:
            text.append(part.decode("cp932", "replace"))
    return "".join(text)


_TO_KANA = bytes(byte + 0x80 if 0x21 <= byte <= 0x5F else byte for byte in range(256))
_TO_EUC = bytes(byte + 0x80 if 0x21 <= byte <= 0x7E else byte for byte in range(256))
_PAIR = re.compile(rb"[\x21-\x7e]{2}")


def _kanji(content: bytes) -> str:
    return _PAIR.sub(lambda pair: _shift_jis(pair[0]), content).decode("cp932", "replace")


def _shift_jis(pair: bytes) -> bytes:
    """Return the bytes of a JIS X 0208 character in Shift_JIS."""
    row, cell = pair
    lead = (row - 0x21) // 2 + 0x81
    if lead > 0x9F:
        lead += 0x40
    trail = cell + 0x7E if row % 2 == 0 else cell + (0x20 if cell >= 0x60 else 0x1F)
    return bytes((lead, trail))


def _supplement(content: bytes) -> str:
    return _PAIR.sub(lambda pair: b"\x8f" + pair[0].translate(_TO_EUC), content).decode("euc_jp", "replace")
