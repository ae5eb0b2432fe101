"""Rows to tickets: reads each field of a row by the preset, and reports values that cannot be read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import ValidationError

from aura.desk.importing.dates import DateReader
from aura.desk.importing.presets import Preset, words
from aura.desk.importing.report import ImportedTicket, ImportReport
from aura.desk.importing.values import read_category, read_priority, read_requester, read_status
from aura.settings import explain
from db.new_tickets import NewTicket
from db.tickets import RESOLVED

#: Fields of a date.
DATE_FIELDS = ("created_at", "updated_at", "resolved_at", "closed_at")
#: Fields whose text is never a placeholder, and the placeholders of exports for no value.
TEXT_FIELDS, EMPTY = (
    ("title", "description", "resolution"),
    ("-", "--", "n/a", "none", "(none)", "null", "nil", "\\n", "not set"),
)
#: Different values of which each is reported once, at its first line.
REPORTED_VALUES = 1_000
#: Clocks of two systems may differ by this.
TOLERANCE = timedelta(days=1)


@dataclass(slots=True)
class TicketReader:
    """Makes tickets of the rows of one file."""

    preset: Preset
    dates: DateReader
    report: ImportReport
    categories: tuple[str, ...]
    #: Our status by the `words` of a status of the file.
    statuses: Mapping[str, str]
    _reported: set[tuple[str, str]] = field(default_factory=set)

    def read(self, line: int, row: dict[str, Any], values: Mapping[str, Any]) -> ImportedTicket | None:
        """Return the ticket of a row, or None when it was rejected. `values` has the value of each field."""
        texts = {name: _text(value) for name, value in values.items()}
        texts = {name: text for name, text in texts.items() if name in TEXT_FIELDS or text.lower() not in EMPTY}
        person = read_requester(texts.get("email", ""), texts.get("requester", ""), texts.get("requester_name", ""))
        try:
            new = NewTicket(
                title=texts.get("title", ""),
                description=texts.get("description", ""),
                requester=person.address,
                department=texts.get("department", ""),
                priority=self._priority(line, texts.get("priority", "")),
                external_id=texts.get("external_id") or None,
            )
        except ValidationError as error:
            self.report.reject(line, explain(error))
            return None
        moments = {name: self._moment(line, name, texts.get(name, "")) for name in DATE_FIELDS}
        resolved_at = moments["resolved_at"] or moments["closed_at"]
        status = self._status(line, texts.get("status", ""), resolved_at is not None)
        finished = status in RESOLVED
        category = texts.get("category", "")
        return ImportedTicket(
            line=line,
            new=new,
            row=row,
            requester_name=person.name[:200],
            status=status,
            category=read_category(category, self.preset, self.categories) if category else None,
            assignee=texts.get("assignee", ""),
            resolution=texts.get("resolution", "") if finished else "",
            created_at=moments["created_at"],
            updated_at=moments["updated_at"],
            resolved_at=(resolved_at or moments["updated_at"] or moments["created_at"]) if finished else None,
        )

    def _priority(self, line: int, text: str) -> Any:
        priority = read_priority(text, self.preset) if text else None
        if text and priority is None:
            self._warn(line, "priority", text, "it is not taken over")
        elif text.isdecimal() and not self.preset.known:
            self._warn(
                line,
                "priority",
                text,
                f"it is read as {priority}; another scale needs a preset (--from)",
                unknown=False,
            )
        return priority

    def _status(self, line: int, text: str, has_end: bool) -> str:
        if not text:
            return "resolved" if has_end else "open"
        status = read_status(text, self.preset, self.statuses)
        if status is None:
            status = "closed" if has_end else "open"
            self._warn(line, "status", text, f"it is read as {status}; --status '{text[:40]}=closed' names another one")
        return status

    def _moment(self, line: int, name: str, text: str) -> datetime | None:
        if not text:
            return None
        moment = self.dates.read(text)
        if moment is None:
            self._warn(line, name, text, "it is no date and not taken over")
        elif moment > datetime.now(UTC) + TOLERANCE:
            self._warn(line, name, text, "it is in the future and not taken over", unknown=False)
            return None
        return moment

    def _warn(self, line: int, name: str, text: str, consequence: str, *, unknown: bool = True) -> None:
        """Report a value at its first line."""
        key = (name, words(text[:100]))
        if key in self._reported or len(self._reported) >= REPORTED_VALUES:
            return
        self._reported.add(key)
        self.report.warn(line, f"{name} {text[:60]!r}{' is unknown' if unknown else ''}: {consequence}")


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()
