"""The ear: PostgreSQL's NOTIFY wakes the relay at the commit of a promise, wherever it was made.

It listens on a connection of its own, inside the loop in which the publisher waits, so there is no thread for it.
"""

from __future__ import annotations

from typing import Any

import psycopg2
from sqlalchemy import Connection, text

from aura.jobs.rabbitmq.publisher import Publisher
from db.database import engine
from db.jobs import CHANNEL


class Notifier:
    """Listens while a publisher waits; on SQLite there is nothing to hear, and the relay looks twice a second."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher
        self._connection: Connection | None = None
        self._raw: Any = None
        self._heard = False

    def woken(self) -> bool:
        """Return whether something was promised since the last time we asked; listens (again) when it must."""
        if self._connection is None and engine().dialect.name == "postgresql":
            self._listen()
        heard, self._heard = self._heard, False
        return heard

    def _listen(self) -> None:
        connection = engine().connect().execution_options(reads=True)
        connection.detach()  # it is not the pool's any more, and lives as long as we listen
        connection.execute(text(f"LISTEN {CHANNEL}"))
        self._connection, self._raw = connection, connection.connection.dbapi_connection
        self._publisher.watch(self._raw.fileno(), self._hear)
        self._heard = True  # what was promised before we listened

    def _hear(self) -> None:
        fileno = self._raw.fileno()
        try:
            self._raw.poll()
        except psycopg2.Error:
            self._connection = self._raw = None
            self._publisher.unwatch(fileno, "the database closed the connection that listens")
            return
        self._heard = bool(self._raw.notifies) or self._heard
        self._raw.notifies.clear()
