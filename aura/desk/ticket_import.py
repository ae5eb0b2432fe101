"""Import of tickets from a CSV or JSON Lines file: streamed, idempotent, bad rows are skipped."""

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

#: Rows in one transaction.
BATCH = 500
#: Bad rows whose reasons are returned; further ones are only counted.
MAX_REASONS = 1000
#: Names of columns in the exports of other service desks.
ALIASES = {
    "title": ("title", "subject", "summary", "short_description"),
    "description": ("description", "body", "text", "details"),
    "requester": ("requester", "email", "requester_email", "user", "caller"),
    "department": ("department",),
    "priority": ("priority",),
    "external_id": ("external_id", "id", "ticket_id", "number"),
}


#: Line number, fields of the ticket, and the row of the file.
Row = tuple[int, dict[str, Any], dict[str, Any]]


class InvalidImportFile(InvalidInput):
    """No row of the file can be imported; the message names the reason and the correction."""


@dataclass(slots=True)
class ImportReport:
    """Number of rows by outcome; `bad` holds (line number, reason)."""

    rows: int = 0
    new: int = 0
    known: int = 0
    rejected: int = 0
    bad: list[tuple[int, str]] = field(default_factory=list)


def import_tickets(
    path: Path, *, columns: Mapping[str, str] | None = None, progress: Callable[[int], None] = lambda _bytes: None
) -> ImportReport:
    """Create a ticket from every valid row and start its triage. Raises InvalidImportFile.

    `columns` maps fields to columns of the file; `progress` is called with the number of bytes read. A row is identified
    by its external_id, else by a digest of its content and the number of equal rows before it in the file.
    """
    report = ImportReport()
    seen: Counter[str] = Counter()
    batch: list[tuple[NewTicket, Any]] = []
    try:
        with path.open("rb") as raw:
            for line, fields, row in _rows(path, raw, report, columns or {}):
                report.rows += 1
                try:
                    batch.append((_new_ticket(fields, seen), row))
                except ValidationError as error:
                    _reject(report, line, explain(error))
                if len(batch) >= BATCH:
                    _store(batch, report)
                    batch = []
                    progress(raw.tell())
            _store(batch, report)
            progress(raw.tell())
    except (OSError, EOFError, zlib.error) as error:
        raise InvalidImportFile(f"{path}: {getattr(error, 'strerror', None) or error}") from None
    return report


def _rows(path: Path, raw: IO[bytes], report: ImportReport, columns: Mapping[str, str]) -> Iterator[Row]:
    name = path.name.removesuffix(".gz")
    stream: IO[bytes] = gzip.GzipFile(fileobj=raw) if path.name.endswith(".gz") else raw  # type: ignore[assignment]
    # an invalid byte is replaced by one character; the row is imported
    lines = (line.decode("utf-8-sig" if number == 0 else "utf-8", "replace") for number, line in enumerate(stream))
    if name.endswith((".jsonl", ".ndjson")):
        yield from _json_rows(lines, report, columns)
    elif name.endswith(".csv"):
        yield from _csv_rows(path, lines, report, columns)
    else:
        raise InvalidImportFile(f"{path}: only .csv, .jsonl and .ndjson files (or these with .gz) can be imported")


def _csv_rows(path: Path, lines: Iterator[str], report: ImportReport, columns: Mapping[str, str]) -> Iterator[Row]:
    csv.field_size_limit(4 * DESCRIPTION_LIMIT)
    first = next(lines, "")
    # spreadsheets write semicolons in countries where the comma is the decimal point
    delimiter = max(",;\t", key=first.count)
    reader = csv.reader(chain([first], lines), delimiter=delimiter)
    try:
        header = [name.strip() for name in next((names for names in reader if names), [])]
    except csv.Error as error:
        raise InvalidImportFile(f"{path}: line {reader.line_num}: {error}") from None
    if unknown := [f"{fieldname}={column}" for fieldname, column in columns.items() if column not in header]:
        raise InvalidImportFile(f"{path}: {unknown[0]}: no such column among {', '.join(header)[:200] or 'none'}")
    mapping = _mapping(header, columns)
    if twice := [column for column in mapping.values() if header.count(column) > 1]:
        raise InvalidImportFile(f"{path}: two columns are named {twice[0]!r}; rename one")
    if not {"title", "description"} & set(mapping):
        raise InvalidImportFile(
            f"{path}: no column for title or description among {', '.join(header)[:200] or 'none'}; "
            "map one of them to title or description"
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


def _json_rows(lines: Iterator[str], report: ImportReport, columns: Mapping[str, str]) -> Iterator[Row]:
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
    """Return the column of each field: the given one, else one of the usual names."""
    by_lower = {name.lower(): name for name in reversed(names)}
    mapping = dict(columns)
    for fieldname, aliases in ALIASES.items():
        found = next((by_lower[alias] for alias in aliases if alias in by_lower), None)
        if found is not None:
            mapping.setdefault(fieldname, found)
    return {fieldname: column for fieldname, column in mapping.items() if column in names}


def _new_ticket(fields: dict[str, Any], seen: Counter[str]) -> NewTicket:
    # an unknown priority does not reject the row; `raw` stores the original value
    ticket = NewTicket.model_validate(fields | {"priority": parse_priority(fields.get("priority"))})
    if ticket.external_id is None:
        content = hashlib.sha256(json.dumps(fields, sort_keys=True, default=str).encode()).hexdigest()
        seen[content] += 1
        ticket = ticket.model_copy(update={"external_id": f"{content}:{seen[content]}"})
    return ticket


def _store(batch: list[tuple[NewTicket, Any]], report: ImportReport) -> None:
    if not batch:
        return
    with transaction() as session:
        new = tickets.create(session, "import", batch)
        triage.send_many(new)
    report.new += len(new)
    report.known += len(batch) - len(new)


def _reject(report: ImportReport, line: int, reason: str) -> None:
    report.rejected += 1
    if len(report.bad) < MAX_REASONS:
        report.bad.append((line, reason))
