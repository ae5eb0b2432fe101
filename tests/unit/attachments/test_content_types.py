"""Content types: decided by the content, never by the name or the sender."""

from __future__ import annotations

import io
import struct
from time import process_time

import pytest

from aura.attachments import content_types
from aura.attachments.content_types import HARMLESS, MAX_PIXELS, PICTURES, Inspected, inspect, label
from tests.files import HTML, LOG, SVG, pdf, png

GIF = b"GIF89a" + struct.pack("<HH", 3, 2) + b"\x80\0\0" + b"\0" * 6 + b";"
JPEG = b"\xff\xd8\xff\xc0\0\x11\x08\0\x05\0\x07\x03\x01\x22\0\x02\x11\x01\x03\x11\x01\xff\xd9"
WEBP = b"RIFF\x1e\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\x04\0\0\x03\0\0"
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 100


def found(content: bytes, name: str = "", declared: str = "") -> Inspected:
    return inspect(io.BytesIO(content), len(content), name, declared)


@pytest.mark.parametrize(
    ("content", "content_type", "width", "height"),
    [
        (png(4, 3), "image/png", 4, 3),
        (GIF, "image/gif", 3, 2),
        (JPEG, "image/jpeg", 7, 5),
        (WEBP, "image/webp", 5, 4),
    ],
)
def test_a_picture_has_its_type_and_dimensions_whatever_its_name(
    content: bytes, content_type: str, width: int, height: int
):
    for name, declared in (("", ""), ("page.html", "text/html"), ("x.svg", "image/svg+xml")):
        assert found(content, name, declared) == Inspected(content_type, width, height)


@pytest.mark.parametrize("content", [HTML, SVG, b"  \n<svg onload=alert(1)>", b"\xef\xbb\xbf<script>alert(1)</script>"])
@pytest.mark.parametrize("name", ["photo.png", "notes.txt", ""])
def test_a_page_or_drawing_is_no_picture_and_not_harmless_under_any_name(content: bytes, name: str):
    kind = found(content, name, "image/png")

    assert kind.content_type not in PICTURES
    assert kind.content_type not in HARMLESS
    assert kind.width is None


def test_a_polyglot_is_a_picture_alone():
    """The beginning decides: a browser that gets `image/gif` and `nosniff` decodes a picture, and runs nothing."""
    assert found(b"GIF89a/*<svg onload=alert(1)>*/=1;", "x.js").content_type == "image/gif"
    assert found(png() + HTML, "x.html").content_type == "image/png"
    assert found(HTML + png(), "x.png").content_type == "text/html"
    assert found(b"%PDF-1.4\n" + HTML, "x.pdf").content_type == "application/pdf"


@pytest.mark.parametrize(
    ("content", "name", "content_type"),
    [
        (LOG, "trace.log", "text/plain"),
        (LOG, "trace.png", "text/plain"),
        (b"a;b\r\n1;2\r\n", "export.CSV", "text/csv"),
        ("Größe\n".encode("cp1252"), "size.txt", "text/plain"),
        (b"\x1b[31mred\x1b[0m\n", "terminal.log", "text/plain"),
        (pdf("x"), "manual", "application/pdf"),
        (b"PK\x03\x04" + b"\0" * 30, "files.zip", "application/zip"),
        (b"PK\x03\x04" + b"\0" * 30, "files.exe", "application/zip"),
        (OLE, "old.xls", "application/vnd.ms-excel"),
        (OLE, "old", "application/octet-stream"),
        (b"", "empty.png", "application/octet-stream"),
        (b"MZ" + b"\0" * 100, "setup.pdf", "application/octet-stream"),
        (bytes(range(256)), "noise.txt", "application/octet-stream"),
        (b"\x89PNG", "cut.png", "text/plain"),
    ],
)
def test_other_types_are_recognised_by_their_content(content: bytes, name: str, content_type: str):
    assert found(content, name) == Inspected(content_type)


def test_an_office_file_has_its_own_type_by_its_ending():
    assert "wordprocessing" in found(b"PK\x03\x04" + b"\0" * 30, "letter.docx").content_type


def test_an_attached_mail_is_a_mail():
    assert found(b"From: a@example.com\r\n\r\nHello", "", "message/rfc822").content_type == "message/rfc822"


def test_a_decompression_bomb_is_not_shown_as_a_picture():
    side = int(MAX_PIXELS**0.5) + 1

    assert found(png(claimed=(side, side))) == Inspected("image/png")
    assert found(png(claimed=(0, 5))) == Inspected("image/png")
    assert found(png(claimed=(100, 100))) == Inspected("image/png", 100, 100)


def test_a_large_or_damaged_picture_is_not_shown(monkeypatch: pytest.MonkeyPatch):
    assert found(b"\x89PNG\r\n\x1a\n") == Inspected("image/png")
    assert found(b"\xff\xd8\xff\xe0\0") == Inspected("image/jpeg")
    monkeypatch.setattr(content_types, "MAX_PICTURE", 10)
    assert found(png()) == Inspected("image/png")


def test_a_jpeg_of_a_million_segments_takes_no_longer_than_a_short_one():
    def seconds(segments: int) -> float:
        content = b"\xff\xd8\xff\xe0\0\x02" + b"\xff\xfe\0\2" * segments
        begun = process_time()
        found(content)
        return process_time() - begun

    seconds(10)  # imports the library
    assert seconds(1_000_000) < 4 * max(seconds(64_000), 0.01)


@pytest.mark.parametrize(
    ("content_type", "text"),
    [("image/png", "PNG image"), ("text/plain", "Text file"), ("audio/x-odd", "Audio"), ("x/y", "File"), ("", "File")],
)
def test_a_type_has_a_name_for_people(content_type: str, text: str):
    assert label(content_type) == text
