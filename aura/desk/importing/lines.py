"""Lines of an import file: decoded, numbered from 1, with a bounded length.

Lines end with LF, CRLF or CR; in a file with LF a lone CR belongs to the text. An invalid byte becomes one U+FFFD and a warning.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from typing import IO, NamedTuple

from aura.desk.importing.files import CHUNK
from aura.desk.importing.report import Log

#: Characters of the longest line; a longer one is cut here, and its rest is not read into memory.
LINE_LIMIT = 2_000_000
#: Stands for a CR inside a line, which the csv module would take for the end of a row.
INNER_CR = "\u2028"

_ANY_END = re.compile(r"\r\n|\n|\r")
_REPLACED = "\N{REPLACEMENT CHARACTER}"


class Line(NamedTuple):
    """A line without its end; `cut` says that it was longer than the limit."""

    number: int
    text: str
    cut: bool = False


def read_lines(content: IO[bytes], codec: str, warn: Log, limit: int = LINE_LIMIT) -> Iterator[Line]:
    """Yield the lines of a content. Calls `warn` for each line with a byte that is invalid in the encoding."""
    for line in _split(content, codec, limit):
        if _REPLACED in line.text:
            count = line.text.count(_REPLACED)
            characters = "a character" if count == 1 else f"{count} characters"
            warn(line.number, f"{characters} cannot be read as {codec} and became {_REPLACED}")
        yield line


def _split(content: IO[bytes], codec: str, limit: int) -> Iterator[Line]:
    decoder = codecs.getincrementaldecoder(codec)("replace")
    ends: str | re.Pattern[str] | None = None
    number, rest = 1, ""
    #: The beginning of a line that is too long, until its end is found.
    beginning: str | None = None
    while True:
        chunk = content.read(CHUNK)
        text = rest + decoder.decode(chunk, final=not chunk)
        if ends is None and text:
            text = text.removeprefix("\ufeff")
            ends = "\n" if "\n" in text else _ANY_END
        # a CR at the end may be the first half of CRLF
        hold = "\r" if chunk and text.endswith("\r") else ""
        *parts, rest = _parts(text[: len(text) - len(hold)], ends or "\n")
        for part in parts:
            yield _line(number, part, beginning, limit)
            number, beginning = number + 1, None
        if beginning is not None or len(rest) > limit:
            beginning, rest = (rest[:limit] if beginning is None else beginning), ""
        rest += hold
        if not chunk:
            if rest or beginning is not None:
                yield _line(number, rest, beginning, limit)
            return


def _line(number: int, text: str, beginning: str | None, limit: int) -> Line:
    if beginning is None and len(text) <= limit:
        return Line(number, _inner(text))
    return Line(number, _inner((text if beginning is None else beginning)[:limit]), cut=True)


def _parts(text: str, ends: str | re.Pattern[str]) -> list[str]:
    return text.split(ends) if isinstance(ends, str) else ends.split(text)


def _inner(line: str) -> str:
    line = line.removesuffix("\r")
    return line.replace("\r", INNER_CR) if "\r" in line else line
