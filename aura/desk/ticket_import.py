"""Importing tickets from a CSV or JSON Lines file: streamed, safe to run twice, going on after a bad row."""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import IO, Any

from pydantic import ValidationError

from aura.errors import InvalidInput
from aura.settings import explain
from db import tickets, transaction
from db.new_tickets import DESCRIPTION_LIMIT, NewTicket, parse_json, parse_priority
from pipelines.triage import triage

#: Rows of one transaction.
BATCH = 500
#: Bad rows whose reasons are kept; the others are only counted.
REASONS_KEPT = 1000
#: Names that columns go by in the exports of other service desks.
ALIASES = {
    "title": ("title", "subject", "summary", "short_description"),
    "description": ("description", "body", "text", "details"),
    "requester": ("requester", "email", "requester_email", "user", "caller"),
    "department": ("department",),
    "priority": ("priority",),
    "external_id": ("external_id", "id", "ticket_id", "number"),
}


#: A line number, the fields of a ticket, and the row as it stands in the file.
Row = tuple[int, dict[str, Any], dict[str, Any]]


class ImportFailed(InvalidInput):
    """The file cannot be imported at all; the text says why and what to do."""


@dataclass(slots=True)
class Report:
    """What became of the rows; `bad` holds (line number, reason)."""

    rows: int = 0
    new: int = 0
    known: int = 0
    rejected: int = 0
    bad: list[tuple[int, str]] = field(default_factory=list)


def import_file(
    path: Path, *, columns: Mapping[str, str] | None = None, progress: Callable[[int], None] = lambda _bytes: None
) -> Report:
    """Store every good row as a ticket and start its journey. Raises ImportFailed.

    `columns` maps a field to the file's column; `progress` is told how many bytes of the file were read. A row is known
    by its external_id, else by its content (and by how often the same content came before it in the file).
    """
    report = Report()
    seen: Counter[str] = Counter()
    batch: list[tuple[NewTicket, Any]] = []
    try:
        with path.open("rb") as raw:
            for line, fields, row in _rows(path, raw, report, columns or {}):
                report.rows += 1
                try:
                    batch.append((_submission(fields, seen), row))
                except ValidationError as error:
                    _reject(report, line, explain(error))
                if len(batch) >= BATCH:
                    _store(batch, report)
                    batch = []
                    progress(raw.tell())
            _store(batch, report)
            progress(raw.tell())
    except (OSError, EOFError, zlib.error) as error:
        raise ImportFailed(f"{path}: {getattr(error, 'strerror', None) or error}") from None
    return report


def _rows(path: Path, raw: IO[bytes], report: Report, columns: Mapping[str, str]) -> Iterator[Row]:
    name = path.name.removesuffix(".gz")
    stream: IO[bytes] = gzip.GzipFile(fileobj=raw) if path.name.endswith(".gz") else raw  # type: ignore[assignment]
    # a byte that is no UTF-8 spoils one character, not the file
    lines = (line.decode("utf-8-sig" if number == 0 else "utf-8", "replace") for number, line in enumerate(stream))
    if name.endswith((".jsonl", ".ndjson")):
        yield from _json_rows(lines, report, columns)
    elif name.endswith(".csv"):
        yield from _csv_rows(path, lines, report, columns)
    else:
        raise ImportFailed(f"{path}: only .csv, .jsonl and .ndjson files (or these with .gz) can be imported")


def _csv_rows(path: Path, lines: Iterator[str], report: Report, columns: Mapping[str, str]) -> Iterator[Row]:
    csv.field_size_limit(4 * DESCRIPTION_LIMIT)
    first = next(lines, "")
    # spreadsheets write semicolons where the comma is the decimal point
    delimiter = max(",;\t", key=first.count)
    reader = csv.reader(chain([first], lines), delimiter=delimiter)
    try:
        header = [name.strip() for name in next((names for names in reader if names), [])]
    except csv.Error as error:
        raise ImportFailed(f"{path}: line {reader.line_num}: {error}") from None
    if unknown := [f"{fieldname}={column}" for fieldname, column in columns.items() if column not in header]:
        raise ImportFailed(f"{path}: --map {unknown[0]}: no such column among {', '.join(header)[:200] or 'none'}")
    mapping = _mapping(header, columns)
    if twice := [column for column in mapping.values() if header.count(column) > 1]:
        raise ImportFailed(f"{path}: there are two columns {twice[0]!r}; rename one")
    if not {"title", "description"} & set(mapping):
        raise ImportFailed(
            f"{path}: no column for title or description among {', '.join(header)[:200] or 'none'}; "
            "name it with --map title=COLUMN or --map description=COLUMN"
        )
    while True:
        line = reader.line_num + 1
        try:
            values = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            report.rows += 1
            _reject(report, line, str(error))
            continue
        if any(values[len(header) :]):
            report.rows += 1
            _reject(
                report, line, f"{len(values)} cells for {len(header)} columns: put a cell that holds a comma in quotes"
            )
        elif values:
            row = dict(zip(header, values, strict=False))
            yield line, {fieldname: row.get(column) for fieldname, column in mapping.items()}, row


def _json_rows(lines: Iterator[str], report: Report, columns: Mapping[str, str]) -> Iterator[Row]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = parse_json(line)
            if not isinstance(row, dict):
                raise ValueError(f"a JSON object is expected, not {type(row).__name__}")
        except ValueError as error:
            report.rows += 1
            _reject(report, number, f"not JSON: {error}" if isinstance(error, json.JSONDecodeError) else str(error))
            continue
        yield number, {field: row.get(column) for field, column in _mapping(list(row), columns).items()}, row


def _mapping(names: list[str], columns: Mapping[str, str]) -> dict[str, str]:
    """Return which column holds which field: as told, else by the usual names."""
    by_lower = {name.lower(): name for name in reversed(names)}
    mapping = dict(columns)
    for fieldname, aliases in ALIASES.items():
        found = next((by_lower[alias] for alias in aliases if alias in by_lower), None)
        if found is not None:
            mapping.setdefault(fieldname, found)
    return {fieldname: column for fieldname, column in mapping.items() if column in names}


def _submission(fields: dict[str, Any], seen: Counter[str]) -> NewTicket:
    # a claim that nobody understands is no reason to lose a ticket; `raw` keeps it
    submission = NewTicket.model_validate(fields | {"priority": parse_priority(fields.get("priority"))})
    if submission.external_id is None:
        content = hashlib.sha256(json.dumps(fields, sort_keys=True, default=str).encode()).hexdigest()
        seen[content] += 1
        submission = submission.model_copy(update={"external_id": f"{content}:{seen[content]}"})
    return submission


def _store(batch: list[tuple[NewTicket, Any]], report: Report) -> None:
    if not batch:
        return
    with transaction() as session:
        new = tickets.create(session, "import", batch)
        triage.send_many(new)
    report.new += len(new)
    report.known += len(batch) - len(new)


def _reject(report: Report, line: int, reason: str) -> None:
    report.rejected += 1
    if len(report.bad) < REASONS_KEPT:
        report.bad.append((line, reason))
