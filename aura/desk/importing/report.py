"""Report of an import: what became of each row, and how the file was read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from aura.errors import InvalidInput
from db.new_tickets import NewTicket

#: Rows of each kind (rejected, known, with a warning) that a report names; further ones are counted.
NAMED_ROWS = 1_000
#: Rows that a preview shows.
PREVIEW_ROWS = 10


class InvalidImportFile(InvalidInput):
    """No row of the file can be imported; the message names the reason and the correction."""


class KnownRow(NamedTuple):
    """A row whose identity exists already, with the ticket that has it; `changed` rows have other content than the ticket."""

    line: int
    external_id: str
    ticket: int
    changed: bool
    reason: str


@dataclass(frozen=True, slots=True)
class ImportedTicket:
    """A row of the file as a ticket, with the values that its other system gave it."""

    line: int
    new: NewTicket
    #: The row as it was in the file.
    row: dict[str, Any]
    requester_name: str = ""
    status: str = "open"
    category: str | None = None
    assignee: str = ""
    resolution: str = ""
    created_at: datetime | None = None
    updated_at: datetime | None = None
    resolved_at: datetime | None = None


@dataclass(slots=True)
class FileSummary:
    """How a file was read: its format and encoding, and the column of each field."""

    format: str = ""
    encoding: str = ""
    #: Empty for JSON.
    delimiter: str = ""
    #: The help desk whose export the file is; empty for an unknown one.
    preset: str = ""
    source: str = ""
    #: dmy or mdy where the dates have slashes.
    date_order: str = ""
    columns: dict[str, str] = field(default_factory=dict)
    #: Columns without a field, which are stored with the row only.
    others: list[str] = field(default_factory=list)


@dataclass(slots=True)
class ImportReport:
    """Number of rows by outcome, and the named rows; `limit` bounds each list of them."""

    rows: int = 0
    new: int = 0
    known: int = 0
    rejected: int = 0
    #: New tickets that were resolved or closed.
    finished: int = 0
    warned: int = 0
    bad: list[tuple[int, str]] = field(default_factory=list)
    warnings: list[tuple[int, str]] = field(default_factory=list)
    known_rows: list[KnownRow] = field(default_factory=list)
    #: The first tickets, of a preview only.
    preview: list[ImportedTicket] = field(default_factory=list)
    file: FileSummary = field(default_factory=FileSummary)
    limit: int = NAMED_ROWS
    #: Where the next named row with the same content may be.
    _place: int = field(default=0, repr=False, compare=False)

    def reject(self, line: int, reason: str) -> None:
        """Count and name a row that is not imported."""
        self.rows += 1
        self.rejected += 1
        if len(self.bad) < self.limit:
            self.bad.append((line, reason))

    def warn(self, line: int, text: str) -> None:
        """Count and name a row that is imported with a doubtful value."""
        self.warned += 1
        if len(self.warnings) < self.limit:
            self.warnings.append((line, text))

    def skip(self, row: KnownRow) -> None:
        """Count and name a row that exists already; one with other content replaces one with the same content."""
        self.known += 1
        if len(self.known_rows) < self.limit:
            self.known_rows.append(row)
        elif row.changed:
            while self._place < self.limit and self.known_rows[self._place].changed:
                self._place += 1
            if self._place < self.limit:
                self.known_rows[self._place] = row


#: A function that is called with a line and a text.
Log = Callable[[int, str], None]
