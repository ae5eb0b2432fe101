"""Import of tickets from files: streamed, idempotent; open tickets are triaged, finished ones are history.

A finished ticket (resolved or closed) is stored as it is: it serves as a similar ticket and, by its category and priority, as
training data. It passes no triage, notifies nobody and has no resolution target.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

from actors.sla import business_hours
from aura.ai.text.clean import clean, clean_line
from aura.ai.text.content import content_of_lines
from aura.ai.text.html import plain_text
from aura.ai.text.language import detect
from aura.ai.text.masking import mask
from aura.desk.importing.files import open_import_file
from aura.desk.importing.identity import RowIdentities
from aura.desk.importing.reading import ImportOptions, open_tickets
from aura.desk.importing.report import PREVIEW_ROWS, ImportedTicket, ImportReport, InvalidImportFile, KnownRow
from aura.settings import get_settings
from db import imported_tickets, similar, transaction
from db.fair_shares import share_of
from db.tickets import RESOLVED
from pipelines.triage import triage

#: Rows in one transaction, and characters of their originals.
BATCH, BATCH_CHARACTERS = 500, 8_000_000
#: An open ticket without a named system that is younger is acknowledged as a new one.
FRESH = timedelta(days=1)
#: Characters of a finished ticket's title and description, as of triaged ones.
TITLE_LIMIT, DESCRIPTION_LIMIT = 300, 50_000

#: Every choice is made by the content of the file.
DEFAULTS = ImportOptions()

Progress = Callable[[int, int], None]


def _no_progress(_done: int, _total: int) -> None:
    return


def import_tickets(
    path: Path, options: ImportOptions = DEFAULTS, *, progress: Progress = _no_progress, complete: bool = False
) -> ImportReport:
    """Create a ticket from every valid row. Raises InvalidImportFile.

    `path` may be `-` for standard input. `progress` is called with the number of bytes read and the size of the file. With
    `complete` the report names all rows, else the first of each kind. A row is identified by its source and external id, else
    by the digest of all its columns and the number of equal rows before it in the file.
    """
    report = ImportReport(limit=1 << 60) if complete else ImportReport()
    with open_import_file(path, options.format, options.encoding) as file:
        size = file.size
        with open_tickets(file, options, report) as (tickets, raw), RowIdentities() as identities:
            report.file.source = imported_tickets.source_of(_system(options, report))
            store = _Store(report, options)
            for batch in _batches(_identified(_limited(tickets, file.name, options.limit), identities)):
                store(batch)
                progress(raw.tell(), size)
            progress(size, size)
    return report


def preview_import(path: Path, options: ImportOptions = DEFAULTS, *, progress: Progress = _no_progress) -> ImportReport:
    """Read a whole file as an import does, and write nothing; `report.preview` has its first tickets.

    Raises InvalidImportFile.
    """
    report = ImportReport()
    with open_import_file(path, options.format, options.encoding) as file:
        size = file.size
        with open_tickets(file, options, report) as (tickets, raw):
            report.file.source = imported_tickets.source_of(_system(options, report))
            for ticket in _limited(tickets, file.name, options.limit):
                report.rows += 1
                report.new += 1
                report.finished += ticket.status in RESOLVED
                if len(report.preview) < PREVIEW_ROWS:
                    report.preview.append(ticket)
                if report.rows % BATCH == 0:
                    progress(raw.tell(), size)
            progress(size, size)
    return report


def _system(options: ImportOptions, report: ImportReport) -> str:
    return options.source.lower() or report.file.preset


def _limited(tickets: Iterator[ImportedTicket], name: str, limit: int) -> Iterator[ImportedTicket]:
    for number, ticket in enumerate(tickets):
        if number >= limit:
            raise InvalidImportFile(
                f"{name}: it has more than {limit:,} rows, the limit of an import; raise the limit to import the rest"
            )
        yield ticket


def _identified(tickets: Iterator[ImportedTicket], identities: RowIdentities) -> Iterator[tuple[ImportedTicket, str]]:
    return ((ticket, ticket.new.external_id or identities.of(ticket.row)) for ticket in tickets)


def _batches(tickets: Iterator[tuple[ImportedTicket, str]]) -> Iterator[list[tuple[ImportedTicket, str]]]:
    batch: list[tuple[ImportedTicket, str]] = []
    characters = 0
    for ticket, external_id in tickets:
        batch.append((ticket, external_id))
        characters += len(ticket.new.title) + 2 * len(ticket.new.description)
        if len(batch) >= BATCH or characters > BATCH_CHARACTERS:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch


class _Store:
    """Stores batches of tickets, each in one transaction, and reports those that exist already."""

    def __init__(self, report: ImportReport, options: ImportOptions) -> None:
        self._report, self._options = report, options
        self._agents: dict[str, str] | None = None
        # another help desk has acknowledged its tickets
        self._of_help_desk = bool(report.file.preset or options.source)

    def __call__(self, batch: Sequence[tuple[ImportedTicket, str]]) -> None:
        first: dict[str, ImportedTicket] = {}
        for ticket, external_id in batch:
            first.setdefault(external_id, ticket)
        source = self._report.file.source
        with transaction() as session:
            if self._agents is None:
                self._agents = imported_tickets.agents(session)
            now = imported_tickets.clock(session)
            rows = [self._row(ticket, external_id, now) for external_id, ticket in first.items()]
            new = imported_tickets.create(session, rows)
            finished = [number for key, number in new.items() if first[key].status in RESOLVED]
            similar.index_resolved(session, finished, lambda text: mask(content_of_lines(text)).text)
            shares = {number: share_of(source, first[key].new.requester) for key, number in new.items()}
            triage.send_many(sorted(set(new.values()) - set(finished)), shares=shares)
            known = [(ticket, key) for ticket, key in batch if key not in new or first[key] is not ticket]
            existing = imported_tickets.existing(session, source, [key for _, key in known]) if known else {}
        self._report.rows += len(batch)
        self._report.new += len(new)
        self._report.finished += len(finished)
        for ticket, key in known:
            self._report.skip(_known_row(ticket, key, existing[key]))

    def _row(self, ticket: ImportedTicket, external_id: str, now: datetime) -> dict[str, Any]:
        finished = ticket.status in RESOLVED
        created_at = min(ticket.created_at or now, now)
        values = {
            "source": self._report.file.source,
            "external_id": external_id,
            "raw": imported_tickets.raw_json(ticket.row),
            "title": ticket.new.title,
            "description": ticket.new.description,
            "requester": ticket.new.requester,
            "requester_name": ticket.requester_name,
            "department": ticket.new.department,
            "language": "",
            "claimed_priority": ticket.new.priority,
            "category": ticket.category,
            "category_by": "human" if ticket.category else None,
            # the final priority of a finished ticket is what its agents left; an open one is prioritised by triage
            "priority": ticket.new.priority if finished else None,
            "priority_by": "human" if finished and ticket.new.priority else None,
            "status": ticket.status,
            "assignee": (self._agents or {}).get(ticket.assignee.lower()) or None,
            "resolution": ticket.resolution,
            "stage": "notified" if finished else "received",
            "silent": finished or self._silent(ticket, now),
            "notified_version": 1 if finished else 0,
            "created_at": created_at,
            "changed_at": ticket.updated_at,
            "resolved_at": max(min(ticket.resolved_at or now, now), created_at) if finished else None,
            "notified_at": now if finished else None,
            "imported_at": now,
            "paused_since": now if ticket.status == "pending" else None,
            # the resolution target of an open ticket counts from the import
            "paused_seconds": 0.0 if finished else _business_seconds(created_at, now),
        }
        if finished:
            values |= _prepared(ticket)
        return {name: values[name] for name in imported_tickets.COLUMNS}

    def _silent(self, ticket: ImportedTicket, now: datetime) -> bool:
        if self._options.notify is not None:
            return not self._options.notify
        return self._of_help_desk or (ticket.created_at is not None and ticket.created_at < now - FRESH)


def _prepared(ticket: ImportedTicket) -> dict[str, str]:
    """Return the text columns that the step intake prepares for other tickets."""
    description = clean(plain_text(ticket.new.description), DESCRIPTION_LIMIT)
    title = clean_line(plain_text(ticket.new.title), TITLE_LIMIT) or clean_line(description, 80)
    return {"title": title, "description": description, "language": detect(f"{title}\n{description}")}


def _business_seconds(start: datetime, end: datetime) -> float:
    """Return the business seconds between two moments; days are computed once."""
    if not get_settings().sla or end <= start:
        return 0.0
    next_day = start.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    if next_day >= end:
        return business_hours().between(start, end)
    return business_hours().between(start, next_day) + _whole_days(next_day, end)


@lru_cache(maxsize=10_000)
def _whole_days(start: datetime, end: datetime) -> float:
    return business_hours().between(start, end)


def _known_row(ticket: ImportedTicket, external_id: str, existing: imported_tickets.ExistingTicket) -> KnownRow:
    stored = json.loads(existing.raw)
    if stored == json.loads(imported_tickets.raw_json(ticket.row)):
        reason = f"ticket {existing.id} was imported from an equal row"
        return KnownRow(ticket.line, external_id, existing.id, False, reason)
    names = [name for name in {**stored, **ticket.row} if stored.get(name) != ticket.row.get(name)]
    reason = f"ticket {existing.id} has this id with other content ({', '.join(names[:5])}) and is not changed"
    return KnownRow(ticket.line, external_id, existing.id, True, reason)
