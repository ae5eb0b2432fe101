"""Import files: format, compression, encoding, bounded expansion."""

from __future__ import annotations

import gzip
import io
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aura.desk.importing import files
from aura.desk.importing.files import open_import_file
from aura.desk.importing.report import InvalidImportFile

TEXT = "id,title\n1,Tür\n".encode()


def read(path: Path, format: Any = None, encoding: str = "") -> tuple[str, bytes]:
    with open_import_file(path, format, encoding) as file, file.open() as (content, _):
        data = b""
        while chunk := content.read(100_000):
            data += chunk
        return file.format, data


def archive(*members: tuple[str, bytes]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in members:
            file.writestr(name, data)
    return content.getvalue()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("tickets.csv", TEXT),
        ("TICKETS.TSV", TEXT),
        ("tickets.csv.GZ", gzip.compress(TEXT)),
        ("tickets.csv.gz", gzip.compress(TEXT[:5]) + gzip.compress(TEXT[5:])),
        ("tickets.csv", gzip.compress(TEXT)),
        ("tickets.zip", archive(("export.CSV", TEXT))),
        ("tickets.csv", archive(("folder/", b""), ("folder/export.csv", TEXT), ("__MACOSX/._export.csv", b"x"))),
        ("tickets.csv", b"\xef\xbb\xbf" + TEXT),
    ],
    ids=["csv", "tsv", "gz", "gz with two members", "gz without its ending", "zip", "zip without its ending", "mark"],
)
def test_the_content_is_uncompressed_and_begins_after_the_mark(tmp_path: Path, name: str, content: bytes):
    path = tmp_path / name
    path.write_bytes(content)

    assert read(path) == ("csv", TEXT)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("a.json", "json"), ("a.JSONL.gz", "jsonl"), ("a.ndjson", "jsonl"), ("a.txt", "csv"), ("a.csv", "csv")],
)
def test_the_name_decides_the_format(tmp_path: Path, name: str, expected: str):
    path = tmp_path / name
    path.write_bytes(gzip.compress(TEXT) if name.endswith("gz") else TEXT)

    assert read(path)[0] == expected
    assert read(path, "csv")[0] == "csv"


@pytest.mark.parametrize(
    ("content", "expected"),
    [(TEXT, "csv"), (b' [{"a": 1}]', "json"), (b'{"a": 1}\n{"a": 2}', "jsonl"), (b'{\n"a": [', "json")],
)
def test_the_content_of_standard_input_decides_its_format(
    monkeypatch: pytest.MonkeyPatch, content: bytes, expected: str
):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))

    assert read(Path("-")) == (expected, content)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.zip", archive(("a.csv", TEXT), ("b.csv", TEXT)), "must hold one file, not 2"),
        ("a.zip", archive(), "a.zip: only .csv"),
        ("a.csv", archive(("[Content_Types].xml", b""), ("xl/workbook.xml", b"")), "save the table as CSV"),
        ("a.zip", b"PK\x03\x04 and no more", "a.zip: "),
        ("a.pdf", TEXT, "only .csv, .tsv"),
        ("a.gz", gzip.compress(TEXT), "only .csv, .tsv"),
    ],
    ids=["two members", "no member", "workbook", "no zip", "other ending", "no inner ending"],
)
def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path, name: str, content: bytes, message: str):
    path = tmp_path / name
    path.write_bytes(content)

    with pytest.raises(InvalidImportFile, match=message.replace("[", r"\[")):
        read(path)


def test_a_file_with_a_password_is_refused(tmp_path: Path):
    content = bytearray(archive(("a.csv", TEXT)))
    for signature, flags_at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(signature) + flags_at] |= 1
    path = tmp_path / "a.zip"
    path.write_bytes(content)

    with pytest.raises(InvalidImportFile, match="encrypted"):
        read(path)


@pytest.mark.parametrize("pack", [gzip.compress, lambda data: archive(("a.csv", data))], ids=["gz", "zip"])
def test_a_file_that_expands_without_end_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pack: Callable[[bytes], bytes]
):
    monkeypatch.setattr(files, "FREE_EXPANSION", 1_000_000)
    path = tmp_path / "a.csv.gz"
    path.write_bytes(pack(b"0" * 20_000_000))

    with pytest.raises(InvalidImportFile, match=r"it expands to more than [\d,]+ bytes, 200 times its size"):
        read(path)


def test_an_encoding_can_be_given(tmp_path: Path):
    path = tmp_path / "a.csv"
    path.write_bytes("Größe".encode("cp850"))
    with open_import_file(path, None, "ibm850") as file:
        assert (file.codec, file.mark) == ("cp850", 0)
    with pytest.raises(InvalidImportFile, match="klingon: not an encoding"), open_import_file(path, None, "klingon"):
        pass
