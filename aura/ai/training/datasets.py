"""Datasets: labelled tickets from a CSV file, for training and evaluation.

The separator is a comma, a semicolon or a tab; the file may begin with a byte order mark and may be gzipped. Rows without text
or label are skipped and reported with their line.
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

from aura.ai.text.clean import clean, clean_line
from aura.ai.text.html import plain_text
from aura.errors import InvalidInput
from aura.settings import PRIORITIES

#: Characters of the longest cell.
CELL = 1_000_000
#: Rows whose problems are reported; more are counted only.
REPORTED = 100
FIELDS = ("title", "description", "category", "priority")
LABELS = ("category", "priority")
#: Characters of a title and a description that are read, as for new tickets.
TITLE, DESCRIPTION = 300, 50_000
#: Characters of the longest name of a category.
CATEGORY = 80
_PRIORITIES = " or ".join((", ".join(PRIORITIES[:-1]), PRIORITIES[-1]))
#: Other names of the seven categories, English and German.
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
    """A file is no dataset; the message has the reason and the remedy."""


@dataclass(frozen=True, slots=True)
class Example:
    """A ticket with its labels, None without one; examples of one `group` are variants of one text, -1 is no group."""

    title: str
    description: str
    category: str | None
    priority: str | None
    group: int = 0
    weight: float = 1.0


@dataclass(slots=True)
class Dataset:
    """The labelled tickets of a file; `bad` has pairs of line and problem, `rejected` counts the skipped rows."""

    examples: list[Example] = field(default_factory=list)
    #: The labels with a column in the file.
    labels: tuple[str, ...] = ()
    bad: list[tuple[int, str]] = field(default_factory=list)
    rejected: int = 0

    def reject(self, line: int, reason: str) -> None:
        """Count and report a skipped row."""
        self.rejected += 1
        self.report(line, reason)

    def report(self, line: int, reason: str) -> None:
        """Report a problem of a row."""
        if len(self.bad) < REPORTED:
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

    `columns` maps title, description, category and priority to columns of other names; `priority_of` returns one of the four
    priorities for the text of a cell, or None; `progress` is called with the number of bytes that were read.
    """
    dataset = Dataset()
    try:
        with path.open("rb") as raw:
            for line, row in _rows(path, raw, columns, dataset):
                if limit is not None and len(dataset.examples) >= limit:
                    break
                _add(dataset, line, row, priority_of)
                if len(dataset.examples) % 1000 == 0:
                    progress(raw.tell())
    except (OSError, EOFError, zlib.error) as error:
        raise UnusableFile(f"{path}: {getattr(error, 'strerror', None) or error}") from None
    if not dataset.examples:
        why = f"; line {dataset.bad[0][0]}: {dataset.bad[0][1]}" if dataset.bad else ""
        raise UnusableFile(f"{path}: no ticket with a text and a label{why}")
    return dataset


def _rows(
    path: Path, raw: IO[bytes], columns: Mapping[str, str], dataset: Dataset
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
    dataset.labels = tuple(label for label in LABELS if label in mapping)
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            dataset.reject(line, str(error))
            continue
        if any(cells[len(header) :]):
            dataset.reject(
                line, f"{len(cells)} cells for {len(header)} columns: put a cell that holds a comma in quotes"
            )
        elif any(cells):
            yield line, {name: cells[at].strip() if at < len(cells) else "" for name, at in mapping.items()}


def _mapping(path: Path, header: list[str], columns: Mapping[str, str]) -> dict[str, int]:
    """Return the position of each field in a row."""
    lower = [name.lower() for name in header]
    available = ", ".join(header)[:200] or "none"
    positions: dict[str, int] = {}
    for name in FIELDS:
        column = columns.get(name, name)
        if lower.count(column.lower()) > 1:
            raise UnusableFile(f"{path}: two columns are called {column!r}; rename one")
        if column.lower() in lower:
            positions[name] = lower.index(column.lower())
        elif name in columns:
            raise UnusableFile(f"{path}: no column {column!r}; available: {available}")
    if not positions.keys() & {"title", "description"}:
        raise UnusableFile(
            f"{path}: no column title or description; name the column with the text. Available: {available}"
        )
    if not positions.keys() & set(LABELS):
        raise UnusableFile(
            f"{path}: no column category or priority; name the column with the label. Available: {available}"
        )
    return positions


def _add(dataset: Dataset, line: int, row: Mapping[str, str], priority_of: Callable[[object], str | None]) -> None:
    # the same text that an engine reads
    title = clean_line(plain_text(row.get("title", "")), TITLE)
    description = clean(plain_text(row.get("description", "")), DESCRIPTION)
    priority_cell, category = row.get("priority", ""), clean_line(row.get("category", ""), CATEGORY) or None
    priority = priority_of(priority_cell)
    if not title and not description:
        dataset.reject(line, "no text")
    elif category is None and priority is None:
        dataset.reject(line, f"unknown priority: use {_PRIORITIES}" if priority_cell else "no label")
    else:
        if priority_cell and priority is None:
            dataset.report(line, f"only the category is used, the priority is unknown: use {_PRIORITIES}")
        dataset.examples.append(Example(title, description, category, priority, len(dataset.examples)))


def name_of(label: str, names: Collection[str]) -> str:
    """Return the name that a label stands for, compared without case and by other usual names; else the label itself."""
    bare = _bare(label)
    same = [name for name in names if _bare(name) == bare]
    return next(iter(same + [name for name in names if bare in CATEGORY_NAMES.get(name, ())]), label)


def one_spelling(examples: Sequence[Example], names: Sequence[str]) -> list[Example]:
    """Return the examples with one spelling of each category: that of `names`, else the first one."""
    spellings = {_bare(name): name for name in reversed(names)}
    for each in examples:
        if each.category is not None:
            spellings.setdefault(_bare(each.category), each.category)
    return [
        each if each.category is None else replace(each, category=spellings[_bare(each.category)]) for each in examples
    ]


def _bare(label: str) -> str:
    return re.sub(r"[^\w-]", "", label.casefold())
