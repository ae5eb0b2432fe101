"""Import files: finds the format and the compression of a file, and reads its bytes with bounded memory and expansion.

The content decides about gzip and zip, because exports are renamed; the ending of the name decides between CSV and JSON.
"""

from __future__ import annotations

import gzip
import io
import lzma
import shutil
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal, cast

from aura.desk.importing.encodings import Detector, codec_named
from aura.desk.importing.report import InvalidImportFile

Format = Literal["csv", "json", "jsonl"]
FORMATS: tuple[Format, ...] = ("csv", "json", "jsonl")
#: Endings of names, in lower case.
ENDINGS: dict[str, Format] = {
    **dict.fromkeys((".csv", ".tsv", ".tab", ".txt", ".psv"), "csv"),
    ".json": "json",
    **dict.fromkeys((".jsonl", ".ndjson"), "jsonl"),
}
#: A compressed file may grow to this size whatever its ratio, and beyond it by at most this factor.
FREE_EXPANSION, EXPANSION = 256 * 1024 * 1024, 200
CHUNK = 256 * 1024
#: The name that stands for standard input.
STDIN = "-"

#: Errors of a damaged or unreadable file.
READ_ERRORS = (OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, NotImplementedError, RuntimeError)


@dataclass(frozen=True, slots=True)
class ImportFile:
    """A file to import: its name for messages, the path of its bytes, format and encoding."""

    name: str
    path: Path
    format: Format
    codec: str
    #: Bytes of the byte order mark.
    mark: int

    @contextmanager
    def open(self) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
        """Open the file. Yields the uncompressed content after the byte order mark, and the raw file for its position."""
        with readable(self.name):
            raw = self.path.open("rb")
        with raw:
            with readable(self.name):
                content = _expanded(self.name, raw)
            content.read(self.mark)
            yield content, raw

    @property
    def size(self) -> int:
        """The size in bytes on disk."""
        return self.path.stat().st_size


@contextmanager
def open_import_file(path: Path, format: Format | None, encoding: str | None) -> Iterator[ImportFile]:
    """Find format and encoding of a file, or of standard input for `-`. Raises InvalidImportFile.

    Standard input is copied to a temporary file, because the file is read several times.
    """
    if str(path) != STDIN:
        yield _inspect(str(path), path, format, encoding)
        return
    with tempfile.NamedTemporaryFile(prefix="aura-import-") as copy:
        shutil.copyfileobj(sys.stdin.buffer, copy, CHUNK)
        copy.flush()
        yield _inspect("standard input", Path(copy.name), format, encoding)


@contextmanager
def readable(name: str) -> Iterator[None]:
    """Turn errors of reading into InvalidImportFile."""
    try:
        yield
    except READ_ERRORS as error:
        raise InvalidImportFile(f"{name}: {getattr(error, 'strerror', None) or error}") from None


def _inspect(name: str, path: Path, format: Format | None, encoding: str | None) -> ImportFile:
    codec = codec_named(encoding) if encoding else None
    if encoding and codec is None:
        raise InvalidImportFile(f"{encoding}: not an encoding; use a name such as utf-8, windows-1252 or utf-16")
    detector = Detector()
    with readable(name), path.open("rb") as raw:
        # a zip with a password is a RuntimeError
        wanted = format or _format_of_name(name, _inner_name(name, raw))
        content = _expanded(name, raw)
        while chunk := content.read(CHUNK):
            detector.feed(chunk)
    detected, mark = detector.result()
    if codec is not None and not (mark and codec in ("utf-8", "utf-16", detected)):
        detected, mark = codec, 0
    wanted = wanted or _format_of_content(detector.head[mark:].decode(detected, "replace"))
    return ImportFile(name, path, wanted, detected, mark)


def _format_of_name(name: str, inner: str) -> Format | None:
    """Return the format by the ending of the name; None for standard input. Raises InvalidImportFile."""
    known = ENDINGS.get(Path(inner).suffix.lower())
    if known is None and name != "standard input":
        raise InvalidImportFile(
            f"{name}: only {', '.join(ENDINGS)} files (or these with .gz or .zip) can be imported: save the table as CSV, "
            "or name the format (--input-format)"
        )
    return known


def _format_of_content(head: str) -> Format:
    text = head.lstrip()
    if text.startswith("["):
        return "json"
    if not text.startswith("{"):
        return "csv"
    first = text.partition("\n")[0].rstrip()
    return "jsonl" if first.endswith("}") else "json"


def _inner_name(name: str, raw: IO[bytes]) -> str:
    """Return the name of the uncompressed file, and leave the position at the beginning."""
    lower = name.lower()
    head = raw.read(4)
    raw.seek(0)
    if head.startswith(b"PK\x03\x04"):
        return _only_member(name, zipfile.ZipFile(raw)).filename
    return name[:-3] if lower.endswith(".gz") else name[:-4] if lower.endswith(".zip") else name


def _only_member(name: str, archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    members = [each for each in archive.infolist() if not each.is_dir() and not each.filename.startswith("__MACOSX/")]
    if any(each.filename in ("[Content_Types].xml", "mimetype") for each in members):
        raise InvalidImportFile(f"{name}: this is a workbook or a document: save the table as CSV")
    if len(members) != 1:
        raise InvalidImportFile(f"{name}: a .zip must hold one file, not {len(members)}: unpack it")
    return members[0]


def _expanded(name: str, raw: IO[bytes]) -> IO[bytes]:
    """Return the uncompressed content of a file."""
    size = raw.seek(0, io.SEEK_END)
    raw.seek(0)
    head = raw.read(4)
    raw.seek(0)
    content, most = raw, max(FREE_EXPANSION, EXPANSION * size)
    if head.startswith(b"PK\x03\x04"):
        archive = zipfile.ZipFile(raw)
        content = archive.open(_only_member(name, archive))
    elif head.startswith(b"\x1f\x8b") or name.lower().endswith(".gz"):
        content = cast("IO[bytes]", gzip.GzipFile(fileobj=raw))
    return cast("IO[bytes]", _Content(name, content, None if content is raw else most))


class _Content(io.RawIOBase):
    """Uncompressed content. A damaged file, and one that grows far beyond its size, raises InvalidImportFile."""

    def __init__(self, name: str, content: IO[bytes], most: int | None) -> None:
        self._name, self._content, self._most, self._read = name, content, most, 0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        with readable(self._name):
            chunk = self._content.read(min(size, CHUNK) if size >= 0 else CHUNK)
        self._read += len(chunk)
        if self._most is not None and self._read > self._most:
            raise InvalidImportFile(
                f"{self._name}: it expands to more than {self._most:,} bytes, {EXPANSION} times its size: unpack it"
            )
        return chunk
