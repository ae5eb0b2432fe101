"""Content types of attachments, recognised by the content: what a sender declares, and the ending of a name, may be wrong.

The library is puremagic: of 27 kinds of files it recognises 22 (HTML, SVG and old Office files among them), `filetype` 13.
Four kinds of pictures are recognised by their own signatures, because pages show them: only a file that browsers decode as
a raster picture, and nothing else, is one. `imagesize` reads their dimensions without decoding them, so that a
decompression bomb costs nothing here; a picture of more than MAX_PIXELS is a download like any other file.
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from typing import BinaryIO

#: Bytes that are read to recognise a type, and to find the dimensions of a picture, which follow its metadata.
HEAD, DIMENSIONS = 4_096, 256_000
#: Pixels and bytes of the largest picture that pages show.
MAX_PIXELS, MAX_PICTURE = 50_000_000, 20_000_000
BINARY, TEXT, MAIL = "application/octet-stream", "text/plain", "message/rfc822"
#: The pictures that pages show.
PICTURES = ("image/png", "image/jpeg", "image/gif", "image/webp")
#: Types that a download may have: browsers run nothing in them, even without the headers that forbid it.
HARMLESS = frozenset({*PICTURES, "application/pdf", "application/zip", "text/csv", TEXT})

_OFFICE = "application/vnd.openxmlformats-officedocument"
#: Types by the ending of the name: of text, and of the two containers, which all begin in the same way.
_TEXTS = {
    "csv": "text/csv",
    "eml": MAIL,
    "htm": "text/html",
    "html": "text/html",
    "ics": "text/calendar",
    "json": "application/json",
    "md": "text/markdown",
    "svg": "image/svg+xml",
    "tsv": "text/tab-separated-values",
    "vcf": "text/vcard",
    "xml": "application/xml",
}
_ZIPS = {
    "docx": f"{_OFFICE}.wordprocessingml.document",
    "jar": "application/java-archive",
    "ods": "application/vnd.oasis.opendocument.spreadsheet",
    "odt": "application/vnd.oasis.opendocument.text",
    "pptx": f"{_OFFICE}.presentationml.presentation",
    "xlsx": f"{_OFFICE}.spreadsheetml.sheet",
}
_OLE = {
    "doc": "application/msword",
    "msg": "application/vnd.ms-outlook",
    "ppt": "application/vnd.ms-powerpoint",
    "xls": "application/vnd.ms-excel",
}
_ZIP_SIGNATURE, _OLE_SIGNATURE = b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
#: Beginnings of text that a browser takes for a page (WHATWG MIME Sniffing, 7.1).
_MARKUP = re.compile(
    r"<(!doctype html|html|head|script|iframe|h1|div|font|table|a|style|title|b|body|br|p|svg)[ \t\n\f\r>/]|<(!--|\?xml)"
)

_LABELS = {
    "image/png": "PNG image",
    "image/jpeg": "JPEG image",
    "image/gif": "GIF image",
    "image/webp": "WebP image",
    "image/svg+xml": "SVG drawing",
    "application/pdf": "PDF document",
    "application/zip": "ZIP archive",
    "application/json": "JSON file",
    "application/xml": "XML file",
    "application/msword": "Word document",
    "application/vnd.ms-excel": "Excel spreadsheet",
    "application/vnd.ms-powerpoint": "PowerPoint presentation",
    "application/vnd.ms-outlook": "Outlook message",
    "application/vnd.oasis.opendocument.text": "OpenDocument text",
    "application/vnd.oasis.opendocument.spreadsheet": "OpenDocument spreadsheet",
    f"{_OFFICE}.wordprocessingml.document": "Word document",
    f"{_OFFICE}.spreadsheetml.sheet": "Excel spreadsheet",
    f"{_OFFICE}.presentationml.presentation": "PowerPoint presentation",
    MAIL: "Mail",
    "text/calendar": "Calendar entry",
    "text/csv": "CSV file",
    "text/html": "HTML page",
    "text/vcard": "Contact",
    TEXT: "Text file",
}
_FAMILIES = {"image": "Image", "audio": "Audio", "video": "Video", "text": "Text file", "font": "Font"}


@dataclass(frozen=True, slots=True)
class Inspected:
    """The type of a file, with the dimensions of a picture that pages can show."""

    content_type: str
    width: int | None = None
    height: int | None = None


def inspect(file: BinaryIO, size: int, name: str = "", declared: str = "") -> Inspected:
    """Return the type of a seekable file of so many bytes. Never raises for its content."""
    file.seek(0)
    head = file.read(HEAD)
    picture = _picture(head)
    if not picture:
        return Inspected(_type_of(head, name.rpartition(".")[2].lower(), declared))
    width, height = _dimensions(file)
    shown = width > 0 and height > 0 and width * height <= MAX_PIXELS and size <= MAX_PICTURE
    return Inspected(picture, width, height) if shown else Inspected(picture)


def label(content_type: str) -> str:
    """Return a type for people, such as PNG image; File for an unknown one."""
    return _LABELS.get(content_type) or _FAMILIES.get(content_type.partition("/")[0], "File")


def _picture(head: bytes) -> str:
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if head.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    return "image/webp" if head[:4] == b"RIFF" and head[8:12] == b"WEBP" else ""


def _dimensions(file: BinaryIO) -> tuple[int, int]:
    import imagesize

    file.seek(0)
    try:
        width, height = imagesize.get(io.BytesIO(file.read(DIMENSIONS)))
    except Exception:  # struct.error, ValueError and more, for a damaged file
        return -1, -1
    return int(width), int(height)


def _type_of(head: bytes, ending: str, declared: str) -> str:
    if head.startswith(_ZIP_SIGNATURE):
        return _ZIPS.get(ending, "application/zip")
    if head.startswith(_OLE_SIGNATURE):
        return _OLE.get(ending, BINARY)
    if _is_text(head):
        return _markup(head) or (MAIL if declared == MAIL else _TEXTS.get(ending, TEXT))
    return _known_binary(head)


def _markup(head: bytes) -> str:
    """Return the type of a text that a browser could run; empty for any other text."""
    text = head.decode("utf-8", "replace").lstrip("\ufeff \t\n\f\r").lower()
    found = _MARKUP.match(text)
    if found is None:
        return ""
    if found[1] == "svg" or (found[2] == "?xml" and "<svg" in text):
        return "image/svg+xml"
    return "application/xml" if found[2] == "?xml" else "text/html"


def _known_binary(head: bytes) -> str:
    import puremagic

    try:
        found = str(puremagic.from_string(head, mime=True))
    except (puremagic.PureError, ValueError):
        return BINARY
    # pictures that pages show have their own signatures above
    return found if found and found not in PICTURES else BINARY


def _is_text(head: bytes) -> bool:
    """Return whether the bytes are text in UTF-8 or an 8-bit charset: no NUL, few control characters."""
    if not head or b"\0" in head or head.startswith((b"%PDF", b"{\\rtf")):
        return False
    controls = sum(byte < 32 and byte not in b"\t\n\r\f\x1b" for byte in head)
    return controls * 100 <= len(head)
