"""Tickets of which it is known what they are: what models learn from and are measured by, read from a CSV file.

Comma, semicolon or tab, with or without a byte order mark, plain or gzipped. A bad row is reported with its line and
left out; a file that cannot be used at all is an UnusableFile.
"""

from __future__ import annotations

import csv
import gzip
import re
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import IO

from aura.ai.text.clean import clean, clean_line, html_to_text
from aura.errors import InvalidInput
from aura.settings import PRIORITIES

#: The longest cell that is read, in characters.
CELL = 1_000_000
#: Bad rows whose reasons are kept; the others are only counted.
REASONS_KEPT = 100
FIELDS = ("title", "description", "category", "priority")
LABELS = ("category", "priority")
#: Characters of a title and a description that are read, as intake does.
TITLE, DESCRIPTION = 300, 50_000
#: The longest name of a category.
CATEGORY = 80
_PRIORITIES = " or ".join((", ".join(PRIORITIES[:-1]), PRIORITIES[-1]))
#: Other names of the seven categories, English and German, as service desks write them.
CATEGORY_NAMES = {
    "Hardware": ("hw", "device", "devices", "geräte"),
    "Software": ("sw", "application", "applications", "app", "anwendung", "programme"),
    "Network": ("networking", "netzwerk", "netz", "connectivity"),
    "Email": ("e-mail", "mail", "e-mails", "emails"),
    "Access": ("account", "accounts", "accessmanagement", "zugriff", "zugang", "berechtigung", "berechtigungen"),
    "Security": ("sicherheit", "it-sicherheit", "informationsecurity"),
    "Other": ("general", "miscellaneous", "misc", "sonstiges", "sonstige", "andere", "anderes"),
}


class UnusableFile(InvalidInput):
    """The file cannot be used at all; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Example:
    """A ticket with its labels, None where one is not known; examples of one `group` say the same, -1 is no group."""

    title: str
    description: str
    category: str | None
    priority: str | None
    group: int = 0
    weight: float = 1.0


@dataclass(slots=True)
class Dataset:
    """The usable rows of a file; `bad` holds (line number, reason) of others, `rejected` counts those left out."""

    examples: list[Example] = field(default_factory=list)
    #: Which labels the file has a column for.
    labels: tuple[str, ...] = ()
    bad: list[tuple[int, str]] = field(default_factory=list)
    rejected: int = 0

    def reject(self, line: int, reason: str) -> None:
        """Count a row that is left out."""
        self.rejected += 1
        self.complain(line, reason)

    def complain(self, line: int, reason: str) -> None:
        """Keep what is wrong with a row, of the first ones."""
        if len(self.bad) < REASONS_KEPT:
            self.bad.append((line, reason))


def read_dataset(
    path: Path,
    columns: Mapping[str, str],
    priority_of: Callable[[object], str | None],
    *,
    limit: int | None = None,
    progress: Callable[[int], None] = lambda _bytes: None,
) -> Dataset:
    """Read the labelled tickets of a file. Raises UnusableFile.

    `columns` maps title, description, category and priority to columns that are called otherwise; `priority_of` tells
    which of the four priorities is meant, None when nobody can tell; `progress` is told how many bytes were read.
    """
    found = Dataset()
    try:
        with path.open("rb") as raw:
            for line, row in _rows(path, raw, columns, found):
                if limit is not None and len(found.examples) >= limit:
                    break
                _take(found, line, row, priority_of)
                if len(found.examples) % 1000 == 0:
                    progress(raw.tell())
    except (OSError, EOFError, zlib.error) as error:
        raise UnusableFile(f"{path}: {getattr(error, 'strerror', None) or error}") from None
    if not found.examples:
        why = f"; line {found.bad[0][0]}: {found.bad[0][1]}" if found.bad else ""
        raise UnusableFile(f"{path}: no ticket with a text and a label{why}")
    return found


def _rows(
    path: Path, raw: IO[bytes], columns: Mapping[str, str], found: Dataset
) -> Iterator[tuple[int, dict[str, str]]]:
    stream: Iterable[bytes] = gzip.GzipFile(fileobj=raw) if path.name.endswith(".gz") else raw
    lines = (line.decode("utf-8-sig" if at == 0 else "utf-8", "replace") for at, line in enumerate(stream))
    csv.field_size_limit(CELL)
    first = next((line for line in lines if line.strip()), None)
    if first is None:
        raise UnusableFile(f"{path}: the file is empty")
    # spreadsheets write semicolons where the comma is the decimal point
    reader = csv.reader(chain([first], lines), delimiter=max(",;\t", key=first.count))
    try:
        header = [name.strip() for name in next(reader)]
    except csv.Error as error:
        raise UnusableFile(f"{path}: line 1: {error}") from None
    mapping = _mapping(path, header, columns)
    found.labels = tuple(label for label in LABELS if label in mapping)
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            found.reject(line, str(error))
            continue
        if any(cells[len(header) :]):
            found.reject(line, f"{len(cells)} cells for {len(header)} columns: put a cell that holds a comma in quotes")
        elif any(cells):
            yield line, {name: cells[at].strip() if at < len(cells) else "" for name, at in mapping.items()}


def _mapping(path: Path, header: list[str], columns: Mapping[str, str]) -> dict[str, int]:
    """Return at which place of a row each field is: as told, else by its own name."""
    lower = [name.lower() for name in header]
    there = ", ".join(header)[:200] or "none"
    found: dict[str, int] = {}
    for name in FIELDS:
        column = columns.get(name, name)
        if lower.count(column.lower()) > 1:
            raise UnusableFile(f"{path}: there are two columns {column!r}; rename one")
        if column.lower() in lower:
            found[name] = lower.index(column.lower())
        elif name in columns:
            raise UnusableFile(f"{path}: no column {column!r}; there are: {there}")
    if not found.keys() & {"title", "description"}:
        raise UnusableFile(f"{path}: no column title or description; name the one with the text. There are: {there}")
    if not found.keys() & set(LABELS):
        raise UnusableFile(f"{path}: no column category or priority; name the one with the label. There are: {there}")
    return found


def _take(found: Dataset, line: int, row: Mapping[str, str], priority_of: Callable[[object], str | None]) -> None:
    # the same text that a worker sees
    title = clean_line(html_to_text(row.get("title", "")), TITLE)
    description = clean(html_to_text(row.get("description", "")), DESCRIPTION)
    said, category = row.get("priority", ""), clean_line(row.get("category", ""), CATEGORY) or None
    priority = priority_of(said)
    if not title and not description:
        found.reject(line, "no text")
    elif category is None and priority is None:
        found.reject(line, f"no priority that anybody knows: use {_PRIORITIES}" if said else "no label")
    else:
        if said and priority is None:
            found.complain(line, f"only its category counts, for nobody knows its priority: use {_PRIORITIES}")
        found.examples.append(Example(title, description, category, priority, len(found.examples)))


def name_of(label: str, names: Collection[str]) -> str:
    """Return which of the names a label means, in whatever case or other usual words; the label itself if none."""
    bare = _bare(label)
    same = [name for name in names if _bare(name) == bare]
    return next(iter(same + [name for name in names if bare in CATEGORY_NAMES.get(name, ())]), label)


def one_spelling(examples: Sequence[Example], names: Sequence[str]) -> list[Example]:
    """Return the examples with one spelling of each category: as in `names`, else as it came first."""
    spelled = {_bare(name): name for name in reversed(names)}
    for each in examples:
        if each.category is not None:
            spelled.setdefault(_bare(each.category), each.category)
    return [
        each if each.category is None else replace(each, category=spelled[_bare(each.category)]) for each in examples
    ]


def _bare(label: str) -> str:
    return re.sub(r"[^\w-]", "", label.casefold())
