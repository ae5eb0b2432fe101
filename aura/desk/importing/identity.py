"""Identity of rows without an id: the digest of all columns, and the number of equal rows before it in the file."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from types import TracebackType
from typing import Any

_COUNT = "INSERT INTO seen VALUES (?, 1) ON CONFLICT (digest) DO UPDATE SET rows = rows + 1 RETURNING rows"


class RowIdentities:
    """Gives each row an id that is the same in the next import of the file.

    The digests are in a temporary SQLite file, so memory does not grow with the number of rows.
    """

    def __init__(self) -> None:
        self._database: sqlite3.Connection | None = None

    def of(self, row: dict[str, Any]) -> str:
        """Return the id of the next row of the file."""
        digest = hashlib.sha256(json.dumps(row, sort_keys=True, default=str).encode()).hexdigest()
        if self._database is None:
            self._database = sqlite3.connect("", isolation_level=None)
            self._database.execute("CREATE TABLE seen (digest TEXT PRIMARY KEY, rows INTEGER) WITHOUT ROWID")
            self._database.execute("BEGIN")
        (rows,) = self._database.execute(_COUNT, (digest,)).fetchone()
        return f"{digest}:{rows}"

    def __enter__(self) -> RowIdentities:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._database is not None:
            self._database.close()
