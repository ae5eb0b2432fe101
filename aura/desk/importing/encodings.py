"""Encoding of an import file, found chunk by chunk: files have no label, and may be too large to be decoded at once.

UTF-8 and UTF-16 are recognised by their own structure, windows-1252 and the code page of DOS by their letters among ASCII
letters, everything else by the detector that decodes mails, `aura.ai.text.charsets`, on the lines with other characters.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass, field

from aura.ai.text.charsets import codec_of, detect_charset

#: Byte order marks, the longest first, with the codec of the bytes that follow.
MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
#: The encoding of text that gives no evidence for another one.
DEFAULT = "utf-8"
#: Bytes that the structure of the encoding is judged by, and the most bytes around non-ASCII ones that the detector reads.
HEAD, EVIDENCE = 4_096, 32_768
#: Bytes that are judged at once, and those of the longest character.
BLOCK, LONGEST = 65_536, 4

_ASCII = bytes(range(128))
_NON_ASCII = re.compile(rb"[^\n\r]{0,80}[\x80-\xff][^\n\r]{0,80}")
_SEQUENCE = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
#: Letters and punctuation of Western European languages in windows-1252, and in the code page of DOS, 850.
_WESTERN = frozenset("¤äöüÄÖÜßéèêëàâáãåæçñóòôõøœúùûíìîïÉÈÊÀÂÁÃÅÆÇÑÓÔÕØŒÚÙÍÎÿ€„“”‚‘’…–—•°§´«»¿¡£©®²³µ·½¼ºª×\xa0")
_DOS_LETTERS = frozenset("äöüÄÖÜßéèêëàâáãçñóòôúùûíîïœŒÉÈÀÇÑ’‘“”«»–—…€°¿¡\xa0")
#: What the wrong one of two Western code pages makes of a letter: a capital or a quotation mark within a word.
_MISPLACED = re.compile(r"[a-zß-ÿ][À-ÖØ-Þ]|[A-Z][À-ÖØ-Þ][a-z]|[A-Za-z][„“”‚‘…–—•§°£©®£][a-z]")
_WINDOWS = re.compile(rb"[\x80-\x9f]")
_LETTER = re.compile(r"[^\W\d_]")


@dataclass(slots=True)
class Detector:
    """Finds the encoding of a text that is fed in chunks; memory is bounded."""

    head: bytes = b""
    #: UTF-8 sequences of several bytes, and bytes above 127 that belong to none.
    sequences: int = 0
    strays: int = 0
    _evidence: list[bytes] = field(default_factory=list)
    _size: int = 0
    _waiting: bytes = b""

    def feed(self, chunk: bytes) -> None:
        """Add the next bytes of the text."""
        if len(self.head) < HEAD:
            self.head += chunk[: HEAD - len(self.head)]
        if not self._waiting and chunk.isascii():
            return
        self._waiting += chunk
        if len(self._waiting) >= BLOCK:
            # a character may continue in the next chunk
            self._count(self._waiting[:-LONGEST])
            self._waiting = self._waiting[-LONGEST:]

    def result(self) -> tuple[str, int]:
        """Return the codec, and the number of bytes of the byte order mark before the text."""
        self._count(self._waiting)
        self._waiting = b""
        for mark, codec in MARKS:
            if self.head.startswith(mark):
                return codec, len(mark)
        if wide := _utf_16(self.head):
            return wide, 0
        if self.sequences >= self.strays:
            return DEFAULT, 0
        return _legacy(b"\n".join(self._evidence)), 0

    def _count(self, data: bytes) -> None:
        if data.isascii():
            return
        valid = _SEQUENCE.findall(data)
        self.sequences += len(valid)
        # without all ASCII characters, the bytes above 127 are left
        self.strays += len(data.translate(None, _ASCII)) - sum(map(len, valid))
        if self._size < EVIDENCE:
            for found in _NON_ASCII.finditer(data):
                self._evidence.append(found[0])
                self._size += len(found[0])
                if self._size >= EVIDENCE:
                    break


def detect(content: bytes) -> tuple[str, int]:
    """Return the codec of a text, and the number of bytes of its byte order mark."""
    detector = Detector()
    detector.feed(content)
    return detector.result()


def codec_named(name: str) -> str | None:
    """Return the codec for a name such as latin1, x-sjis or windows-1252; None for an unknown one."""
    codec = codec_of(name) or ("utf-8" if name.strip().lower() in ("ascii", "us-ascii") else "")
    try:
        codecs.getincrementaldecoder(codec)
    except LookupError:
        return None
    return codec


def _utf_16(head: bytes) -> str | None:
    """Return the byte order of UTF-16 without a mark: every second byte of Western text is zero."""
    even, odd = head[0::2], head[1::2]
    if len(odd) < 4:
        return None
    if odd.count(0) > 0.4 * len(odd) and even.count(0) < 0.1 * len(even):
        return "utf-16-le"
    return "utf-16-be" if even.count(0) > 0.4 * len(even) and odd.count(0) < 0.1 * len(odd) else None


def _legacy(sample: bytes) -> str:
    """Return the codec of text in an older encoding of one or two bytes a character."""
    for codec, letters in (("cp1252", _WESTERN), ("cp850", _DOS_LETTERS), ("mac-roman", _DOS_LETTERS)):
        if _plausible(sample, codec, letters):
            # nobody writes the currency sign of windows-1252, which is the euro of ISO 8859-15
            return "iso8859-15" if codec == "cp1252" and b"\xa4" in sample and not _WINDOWS.search(sample) else codec
    return detect_charset(sample)


def _plausible(sample: bytes, codec: str, letters: frozenset[str]) -> bool:
    """Return whether the sample reads as Western text: its special characters are usual ones, among many plain letters."""
    try:
        text = sample.decode(codec)
    except UnicodeDecodeError:
        return False
    special = [char for char in text if char > "\x7f"]
    if sum(1 for _ in _MISPLACED.finditer(text)) > 0.2 * len(special):
        return False
    plain = sum(1 for char in _LETTER.findall(text) if char <= "\x7f")
    return sum(char in letters for char in special) >= 0.9 * len(special) and plain >= 2 * len(special)
