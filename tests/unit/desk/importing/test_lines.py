"""Lines of a file: line ends, bounded length, warnings."""

from __future__ import annotations

import io
import tracemalloc

import pytest

from aura.desk.importing import lines as module
from aura.desk.importing.lines import INNER_CR, Line, read_lines


def read(content: bytes, codec: str = "utf-8", limit: int = 1_000) -> tuple[list[Line], list[tuple[int, str]]]:
    warnings: list[tuple[int, str]] = []
    lines = list(read_lines(io.BytesIO(content), codec, lambda line, text: warnings.append((line, text)), limit))
    return lines, warnings


@pytest.mark.parametrize("chunk", [1, 2, 3, 5, 1_000])
@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"a\nb\n", ["a", "b"]),
        (b"a\r\nb\r\n\r\nc", ["a", "b", "", "c"]),
        (b"a\rb\rc", ["a", "b", "c"]),
        (b"\xef\xbb\xbfa\nb", ["a", "b"]),
        (b"", []),
        (b"\n", [""]),
    ],
)
def test_lines_end_with_any_of_the_usual_ends(
    monkeypatch: pytest.MonkeyPatch, chunk: int, content: bytes, expected: list[str]
):
    monkeypatch.setattr(module, "CHUNK", chunk)
    lines, _ = read(content)

    assert lines == [Line(number, text) for number, text in enumerate(expected, start=1)]


def test_a_lone_cr_in_a_file_with_lf_is_part_of_the_line():
    lines, _ = read(b"a\rb\r\nc\n")

    assert [line.text for line in lines] == [f"a{INNER_CR}b", "c"]


@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be", "utf-32-le"])
def test_wide_encodings_are_split_by_characters(codec: str):
    lines, warnings = read("Ċx\nਊy\r\n".encode(codec), codec)

    assert [line.text for line in lines] == ["Ċx", "ਊy"]
    assert not warnings


def test_a_line_with_invalid_bytes_has_one_warning():
    lines, warnings = read(b"a\ncaf\xe9 \xff\nb\n")

    assert [line.text for line in lines] == ["a", "caf\ufffd \ufffd", "b"]
    assert warnings == [(2, "2 characters cannot be read as utf-8 and became \ufffd")]


@pytest.mark.parametrize("end", [b"\n", b""])
@pytest.mark.parametrize("chunk", [7, 64, 100_000])
def test_a_line_that_is_too_long_is_cut_and_the_next_line_is_whole(
    monkeypatch: pytest.MonkeyPatch, chunk: int, end: bytes
):
    monkeypatch.setattr(module, "CHUNK", chunk)
    lines, _ = read(b"a\n" + b"x" * 5_000 + b"\nb" + end, limit=100)

    assert lines == [Line(1, "a"), Line(2, "x" * 100, cut=True), Line(3, "b")]


def test_an_endless_line_takes_bounded_memory():
    class Endless(io.RawIOBase):
        left = 200

        def read(self, size: int = -1) -> bytes:
            self.left -= 1
            return b"x" * size if self.left > 0 else b""

    tracemalloc.start()
    try:
        (line,) = read_lines(Endless(), "utf-8", lambda *_: None)  # type: ignore[arg-type]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert line.cut
    assert peak < 12_000_000
