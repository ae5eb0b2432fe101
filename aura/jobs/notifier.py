"""LISTEN/NOTIFY: wakes the relay when any process commits a new job on PostgreSQL.

It listens on a connection of its own, which the publisher's loop watches, so it needs no thread.
"""

from __future__ import annotations

from typing import Any

import psycopg2
from sqlalchemy import Connection, text

from aura.jobs.rabbitmq.publisher import Publisher
from db.database import engine, transaction
from db.jobs import CHANNEL


class Notifier:
    """Listens while a publisher waits; SQLite has no NOTIFY, there the relay polls twice a second."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher
        self._connection: Connection | None = None
        self._raw: Any = None
        self._notified = False
        #: Whether a notification has arrived since it listens. None does through a pooler that shares sessions.
        self.proven = False

    def woken(self) -> bool:
        """Return whether jobs were enqueued since the last call; opens the connection if there is none."""
        if self._connection is None and engine().dialect.name == "postgresql":
            self._listen()
        notified, self._notified = self._notified, False
        return notified

    def _listen(self) -> None:
        connection = engine().connect().execution_options(reads=True)
        connection.detach()  # the pool neither counts nor closes it
        connection.execute(text(f"LISTEN {CHANNEL}"))
        self._connection, self._raw = connection, connection.connection.dbapi_connection
        self._publisher.watch(self._raw.fileno(), self._read)
        self._notified = True  # jobs may have been enqueued before
        self.proven = False
        with transaction() as session:  # of another connection
            session.connection().exec_driver_sql(f"NOTIFY {CHANNEL}")

    def _read(self) -> None:
        fileno = self._raw.fileno()
        try:
            self._raw.poll()
        except psycopg2.Error:
            self._connection = self._raw = None
            self.proven = False
            self._publisher.unwatch(fileno, "the database closed the connection that listens")
            return
        self._notified = bool(self._raw.notifies) or self._notified
        self.proven = self.proven or self._notified
        self._raw.notifies.clear()
