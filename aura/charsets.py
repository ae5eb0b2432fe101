"""Character encodings of bytes without a reliable label: names by the WHATWG table, detection, and tolerant decoding.

Labels are looked up by `webencodings` (the table of the Encoding Standard, https://encoding.spec.whatwg.org/#names-and-labels)
and decoded with the supersets that senders mean by them (gb18030, cp932, cp949). UTF-8 and UTF-16 are recognised by their own
structure, windows-1252 by its letters among ASCII letters, everything else by `charset-normalizer`. That takes short texts in
windows-1252 for cp1250; `chardet` knows those, and takes French for MacCyrillic.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass, field

import webencodings
from charset_normalizer import from_bytes

#: Python's names of codecs that decode a superset of what the WHATWG label, or Python's own name, stands for.
SUPERSETS = {
    "gbk": "gb18030",
    "gb2312": "gb18030",
    "shift_jis": "cp932",
    "euc_kr": "cp949",
    "iso2022_jp": "iso2022_jp_ext",
    "iso8859-1": "cp1252",
    "ascii": "utf-8",
    "tis-620": "cp874",
    "iso8859-9": "cp1254",
}
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

_NON_ASCII = re.compile(rb"[^\n\r]{0,80}[\x80-\xff][^\n\r]{0,80}")
_SEQUENCE = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
#: Letters and punctuation of Western European languages in windows-1252, and in the code page of DOS, 850.
_WESTERN = frozenset("äöüÄÖÜßéèêëàâáãåæçñóòôõøœúùûíìîïÉÈÊÀÂÁÃÅÆÇÑÓÔÕØŒÚÙÍÎÿ€„“”‚‘’…–—•°§´«»¿¡£©®²³µ·½¼ºª×\xa0")
_DOS_LETTERS = frozenset("äöüÄÖÜßéèàâçñ")
_LETTER = re.compile(r"[^\W\d_]")
#: The encodings that the detector chooses from: those of the Encoding Standard that files of spreadsheets are written in.
CANDIDATES = (
    *("cp1250", "cp1251", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "cp1258", "cp874"),
    *("koi8_r", "cp866", "cp852", "cp932", "euc_jp", "big5", "mac_roman"),
)
#: Pairs of bytes of EUC-KR and GB2312; the syllables of the former use the first rows alone.
_PAIR = re.compile(rb"([\xa1-\xfe])[\xa1-\xfe]")


def codec_of(label: str) -> str | None:
    """Return the name of Python's codec for a label such as latin1, x-sjis or windows-1252; None for an unknown one."""
    name = label.strip().strip("\"'").lower()
    known = webencodings.lookup(name)
    try:
        codec = known.codec_info.name if known is not None else codecs.lookup(name).name
        "".encode(codec)
    except (LookupError, TypeError, ValueError, UnicodeError):
        return None
    return SUPERSETS.get(codec, codec)


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


_ASCII = bytes(range(128))


def detect(content: bytes) -> tuple[str, int]:
    """Return the codec of a text, and the number of bytes of its byte order mark."""
    detector = Detector()
    detector.feed(content)
    return detector.result()


def decode(content: bytes, label: str | None = None) -> str:
    """Return the text of the bytes; an invalid byte becomes one U+FFFD. An unknown label is ignored."""
    codec, mark = (codec_of(label) if label else None), 0
    if codec is None:
        codec, mark = detect(content)
    return content[mark:].decode(codec, "replace").removeprefix("\ufeff")


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
    if _plausible(sample, "cp1252", _WESTERN):
        return "cp1252"
    if _plausible(sample, "cp850", _DOS_LETTERS):
        return "cp850"
    if east_asian := _euc(sample):
        return east_asian
    best = from_bytes(sample, steps=4, preemptive_behaviour=False, cp_isolation=list(CANDIDATES)).best()
    codec = codec_of(best.encoding) if best is not None else None
    return codec if codec and codec != DEFAULT else "cp1252"


def _euc(sample: bytes) -> str | None:
    """Return cp949 or gb18030 for text in pairs of bytes, whose common characters have their first byte in known rows."""
    high = len(sample.translate(None, _ASCII))
    leads = [pair[0] for pair in _PAIR.findall(sample)]
    letters = [lead for lead in leads if 0xB0 <= lead <= 0xF7]
    if len(leads) < 4 or 2 * len(leads) < 0.9 * high or len(letters) < 0.7 * len(leads):
        return None
    for codec, last in (("cp949", 0xC8), ("gb18030", 0xD7)):
        if sum(lead <= last for lead in letters) >= 0.95 * len(letters) and _decodes(sample, codec):
            return codec
    return None


def _decodes(sample: bytes, codec: str) -> bool:
    """Return whether almost all of the sample is valid; a piece of it may begin or end inside a character."""
    return sample.decode(codec, "replace").count("\ufffd") <= 2 + len(sample) // 500


def _plausible(sample: bytes, codec: str, letters: frozenset[str]) -> bool:
    """Return whether the sample reads as Western text: its special characters are usual ones, among many plain letters."""
    try:
        text = sample.decode(codec)
    except UnicodeDecodeError:
        return False
    special = [char for char in text if char > "\x7f"]
    plain = sum(1 for char in _LETTER.findall(text) if char <= "\x7f")
    return sum(char in letters for char in special) >= 0.9 * len(special) and plain >= 2 * len(special)
