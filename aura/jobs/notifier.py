"""LISTEN/NOTIFY: wakes the relay when any process commits a new job on PostgreSQL.

It listens on a connection of its own, which the publisher's loop watches, so it needs no thread.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import psycopg2
from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from aura.jobs.rabbitmq.publisher import Publisher
from db.database import engine, transaction
from db.jobs import CHANNEL
from db.postgresql import discards, pooler_mode


class Notifier:
    """Listens while a publisher waits; SQLite has no NOTIFY, there the relay polls twice a second."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher
        self._connection: Connection | None = None
        self._raw: Any = None
        self._notified = False
        #: Whether a notification has arrived since it listens. None does through a pooler that shares sessions.
        self.proven = False
        self._discards = self._fileno = 0

    def woken(self) -> bool:
        """Return whether jobs were enqueued since the last call; opens the connection if there is none."""
        if self._connection is not None and self._discards != discards.count:
            # after a failover the previous primary may still hold this connection open, and notifies of nothing
            self._close("connections to the database were discarded")
        if self._connection is None and engine().dialect.name == "postgresql":
            self._listen()
        notified, self._notified = self._notified, False
        return notified

    def _listen(self) -> None:
        connection = engine().connect().execution_options(reads=True)
        if pooler_mode(engine()) == "transaction":
            connection.close()  # LISTEN would stay at a connection that the pooler gives to others
            return
        connection.detach()  # the pool neither counts nor closes it
        connection.execute(text(f"LISTEN {CHANNEL}"))
        self._connection, self._raw = connection, connection.connection.dbapi_connection
        self._fileno = self._raw.fileno()
        self._publisher.watch(self._fileno, self._read)
        self._notified = True  # jobs may have been enqueued before
        self.proven = False
        with transaction() as session:  # of another connection
            session.connection().exec_driver_sql(f"NOTIFY {CHANNEL}")
        self._discards = discards.count

    def _read(self) -> None:
        try:
            self._raw.poll()
        except psycopg2.Error:
            self._close("the database closed the connection that listens")
            return
        self._notified = bool(self._raw.notifies) or self._notified
        self.proven = self.proven or self._notified
        self._raw.notifies.clear()

    def _close(self, why: str) -> None:
        connection, self._connection, self._raw = self._connection, None, None
        self._publisher.unwatch(self._fileno, why)
        if connection is not None:
            with suppress(SQLAlchemyError):
                connection.close()
