"""Many rows at once, as copies of rows that the system itself has written, so that they look like its own."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from psycopg2 import sql

from db.jobs import CHANNEL

#: What belongs to a ticket, and how its rows name it.
TABLES = {"tickets": "id", "verdicts": "ticket_id", "notifications": "ticket_id", "attempts": "key", "jobs": "key"}
#: What makes each copy of a ticket one of its own; `ticket` is its id.
TICKET = {"id": "ticket", "external_id": "NULL", "requester": "'copy' || ticket || '@example.com'"}
#: The same for what belongs to it. Copies say less in their mails, so that a million fit on a small disk.
VERDICT = {"ticket_id": "ticket"}
NOTIFICATION = {
    "id": "md5(row.id || ticket)",
    "ticket_id": "ticket",
    "dedupe_key": "'copy:' || ticket || row.dedupe_key",
}
ATTEMPT = {"key": "ticket::text"}
JOB = {"key": "ticket::text", "due_at": "clock_timestamp()", "created_at": "clock_timestamp()"}


class Pattern:
    """A ticket and all that belongs to it, set aside to be copied; the cursor must commit by itself."""

    def __init__(self, cursor: Any, ticket_id: int) -> None:
        self._cursor = cursor
        self._columns = cache(self._read_columns)
        for table, column in TABLES.items():
            value = str(ticket_id) if column == "key" else ticket_id
            cursor.execute(f"CREATE TABLE pattern_{table} AS SELECT * FROM {table} WHERE {column} = %s", (value,))

    def finished(self, count: int) -> None:
        """Add copies of a finished ticket, with its verdicts, its notifications and their ledger."""
        first = self._reserve(count)
        self._copy("tickets", first, count, TICKET)
        self._copy("verdicts", first, count, VERDICT)
        self._copy("notifications", first, count, NOTIFICATION)
        self._copy("attempts", first, count, ATTEMPT)

    def due(self, count: int, priority: int = 0, **changes: str) -> int:
        """Add copies of a ticket that waits for its first step, with its job due now; returns the first id."""
        first = self._reserve(count)
        self._copy("tickets", first, count, {**TICKET, "created_at": "clock_timestamp()", **changes})
        self._copy("jobs", first, count, {**JOB, "priority": str(priority)})
        self._cursor.execute("SELECT pg_notify(%s, '')", (CHANNEL,))
        return first

    def _reserve(self, count: int) -> int:
        sequence = "pg_get_serial_sequence('tickets', 'id')"
        self._cursor.execute(f"SELECT setval({sequence}, nextval({sequence}) + %s)", (count,))
        return int(self._cursor.fetchone()[0]) - count

    def _copy(self, table: str, first: int, count: int, changes: Mapping[str, str]) -> None:
        columns = [name for name in self._columns(table) if name != "id" or "id" in changes]
        values = [sql.SQL(changes[name]) if name in changes else sql.Identifier("row", name) for name in columns]
        statement = sql.SQL("INSERT INTO {} ({}) SELECT {} FROM {} AS row, generate_series(%s, %s) AS ticket").format(
            sql.Identifier(table),
            sql.SQL(", ").join(map(sql.Identifier, columns)),
            sql.SQL(", ").join(values),
            sql.Identifier(f"pattern_{table}"),
        )
        self._cursor.execute(statement, (first, first + count - 1))

    def _read_columns(self, table: str) -> list[str]:
        names = "SELECT column_name FROM information_schema.columns WHERE table_name = %s AND table_schema = 'public'"
        self._cursor.execute(names, (table,))
        return [name for (name,) in self._cursor]
