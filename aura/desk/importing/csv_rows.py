"""Rows of a CSV file: finds delimiter and header, and reads on after damaged rows.

The standard library's csv module splits the rows. It reads to the end of the file after a quote that is never closed; here the
lines of each row are remembered, so that only the line with the quote is in doubt and the following rows are read.
"""

from __future__ import annotations

import csv
import re
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from aura.desk.importing.lines import INNER_CR, LINE_LIMIT, Line
from aura.desk.importing.report import InvalidImportFile, Log

DELIMITERS = ",;\t|"
#: Characters and lines of the longest row.
ROW_LIMIT, ROW_LINES = LINE_LIMIT, 20_000
#: Characters that are read again after damaged rows, so that a hostile file takes linear time.
REREAD_LIMIT = 20 * ROW_LIMIT
#: Lines above the header that may hold a title of the report.
LINES_ABOVE_HEADER = 10

_SEP = re.compile(r'"?sep=(\\t|.)"?\s*', re.IGNORECASE)


class CsvRow(NamedTuple):
    """The cells of a row and the line of its beginning."""

    line: int
    cells: list[str]


class _TooLong(Exception):
    """The row exceeds ROW_LIMIT or ROW_LINES."""


class _Source:
    """Lines as the csv module reads them, which can be returned to be read again."""

    def __init__(self, lines: Iterable[Line]) -> None:
        self._lines, self._returned = iter(lines), deque[Line]()
        #: The lines of the present row.
        self.row: list[Line] = []
        self._size = 0
        self._reread = 0

    def begin_row(self) -> None:
        self.row, self._size = [], 0

    def return_lines(self, lines: Sequence[Line]) -> bool:
        """Return lines to be read again. Returns False, without effect, when too many were."""
        self._reread += sum(len(line.text) for line in lines)
        if self._reread > REREAD_LIMIT:
            return False
        self._returned.extendleft(reversed(lines))
        return True

    def __iter__(self) -> _Source:
        return self

    def __next__(self) -> str:
        line = self._returned.popleft() if self._returned else next(self._lines)
        self.row.append(line)
        self._size += len(line.text)
        if self._size > ROW_LIMIT or len(self.row) > ROW_LINES:
            raise _TooLong
        return line.text + "\n"


@dataclass(frozen=True, slots=True)
class CsvTable:
    """A CSV file after its header."""

    delimiter: str
    header: list[str]
    rows: Iterator[CsvRow]


def read_table(
    lines: Iterable[Line],
    *,
    delimiter: str | None,
    count_known: Callable[[Sequence[str]], int],
    reject: Log,
    warn: Log,
) -> CsvTable:
    """Read the header of a CSV file. Raises InvalidImportFile for a file that has none.

    `count_known` returns how many of some names are those of usual columns: it decides between delimiters, and between
    the header and a title above it. `reject` and `warn` get damaged rows.
    """
    csv.field_size_limit(ROW_LIMIT)
    source = _Source(lines)
    first: list[Line] = []
    for line in source._lines:
        if not first and (sep := _SEP.fullmatch(line.text)):
            delimiter = delimiter or ("\t" if sep[1] == "\\t" else sep[1])
        elif first or line.text.strip():
            first.append(line)
        if len(first) >= LINES_ABOVE_HEADER:
            break
    if not first:
        return CsvTable(delimiter or ",", [], iter(()))
    delimiter, above = _find_header(first, delimiter, count_known)
    source.return_lines(first[above:])
    rows = _rows(source, delimiter, warn, reject)
    header_row = next(rows, None)
    if header_row is None:
        raise InvalidImportFile("the first row names no columns")
    header = _unique([name.strip() for name in header_row.cells])
    return CsvTable(delimiter, header, _fitting(rows, header, reject))


def _find_header(
    first: Sequence[Line], delimiter: str | None, count_known: Callable[[Sequence[str]], int]
) -> tuple[str, int]:
    """Return the delimiter, and the number of lines above the header."""
    best = (0, 0, 0)
    result = (delimiter or max(DELIMITERS, key=first[0].text.count), 0)
    for above, line in enumerate(first):
        for candidate in delimiter or DELIMITERS:
            names = line.text.split(candidate) if '"' not in line.text else _cells(line.text, candidate)
            known = count_known([name.strip(' "') for name in names])
            # a header above the rows has two usual columns; the first line is the header without any
            score = (known, -above, len(names)) if known >= (2 if above else 1) else best
            if score > best:
                best, result = score, (candidate, above)
    return result


def _cells(text: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([text], delimiter=delimiter, skipinitialspace=True), [])
    except csv.Error:
        return [text]


def _unique(names: list[str]) -> list[str]:
    """Number repeated names, so that each column keeps its value: Labels, Labels (2)."""
    seen: Counter[str] = Counter()
    unique = []
    for name in names:
        seen[name] += 1
        unique.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return unique


def _fitting(rows: Iterator[CsvRow], header: list[str], reject: Log) -> Iterator[CsvRow]:
    """Yield the rows with at most as many cells as the header; rows of empty cells are left out."""
    for row in rows:
        if not any(cell.strip() for cell in row.cells):
            continue
        if any(cell.strip() for cell in row.cells[len(header) :]):
            reject(
                row.line,
                f"{len(row.cells)} cells for {len(header)} columns: put a cell that holds the delimiter in quotes",
            )
            continue
        yield row


def _rows(source: _Source, delimiter: str, warn: Log, reject: Log) -> Iterator[CsvRow]:
    """Yield all rows. A damaged one is read as a single line, with a warning."""
    width = 0
    reader = _reader(source, delimiter)
    while True:
        source.begin_row()
        try:
            cells = next(reader)
        except StopIteration:
            return
        except (csv.Error, _TooLong) as error:
            reader = _reader(source, delimiter)
            row = _repair(source, delimiter, width, error, warn, reject)
            if row is None:
                continue
        else:
            row = CsvRow(source.row[0].number, cells)
            if source.row[0].cut:
                reject(row.line, _too_long())
                continue
        if any(INNER_CR in line.text for line in source.row):
            row = CsvRow(row.line, [cell.replace(INNER_CR, "\n") for cell in row.cells])
        width = width or len(row.cells)
        if row.cells:
            yield row


def _repair(source: _Source, delimiter: str, width: int, error: Exception, warn: Log, reject: Log) -> CsvRow | None:
    """Return the row that the first line of a damaged row holds, and return the other lines to the source."""
    first, *others = source.row
    text = "\n".join(line.text for line in source.row) + "\n"
    if '\\"' in text and not isinstance(error, _TooLong):
        # MySQL and some scripts write \" for a quote inside quotes
        escaped = _parse(text, delimiter, escapechar="\\", doublequote=True)
        if escaped is not None and len(escaped) == width:
            return CsvRow(first.number, escaped)
    if not source.return_lines(others):
        reject(first.number, f"a quote is not closed; lines {first.number} to {source.row[-1].number} are left out")
        return None
    if first.cut or (isinstance(error, _TooLong) and not others):
        reject(first.number, _too_long())
        return None
    closed = _parse(f'{first.text}"\n', delimiter)
    literal = _literal(first.text, delimiter)
    for cells in (closed, literal):
        if cells is not None and width and len(cells) == width:
            if first.text.count('"') % 2:
                warn(first.number, "a quote is not closed: the row is read as one line")
            return CsvRow(first.number, cells)
    reject(first.number, f"a quote is not closed, or a quote inside quotes is not doubled ({_cause(error)})")
    return None


def _reader(lines: Iterable[str], delimiter: str, **options: Any) -> Iterator[list[str]]:
    return csv.reader(lines, delimiter=delimiter, strict=True, skipinitialspace=True, **options)


def _literal(text: str, delimiter: str) -> list[str]:
    """Split a line at each delimiter, and remove the quotes around cells."""
    return [_unquoted(cell) for cell in text.split(delimiter)]


def _unquoted(cell: str) -> str:
    """Remove the quotes around a cell, or one without its pair; those of the address "Ada" <ada@example.com> stay."""
    around = len(cell) > 1 and cell[0] == cell[-1] == '"'
    if not around and cell.count('"') % 2 == 0:
        return cell
    return cell.removeprefix('"').removesuffix('"').replace('""', '"')


def _parse(text: str, delimiter: str, **options: Any) -> list[str] | None:
    """Return the cells of a text that is exactly one row, else None."""
    try:
        rows = list(_reader([f"{line}\n" for line in text.split("\n")[:-1]], delimiter, **options))
    except csv.Error:
        return None
    return rows[0] if len(rows) == 1 else None


def _too_long() -> str:
    return f"the row is longer than {ROW_LIMIT:,} characters"


def _cause(error: Exception) -> str:
    return str(error) if isinstance(error, csv.Error) else "the row has too many lines"
