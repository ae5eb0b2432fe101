"""Connection poolers in front of PostgreSQL: finds one, and its mode, and refuses settings that do not fit.

A pooler in transaction mode, such as PgBouncer's `pool_mode = transaction`, gives each transaction another connection of the
server. A prepared statement or LISTEN belongs to one connection of the server, so it is lost or hits other clients.
https://www.pgbouncer.org/features.html lists what works in each mode.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, Literal

import psycopg2

from aura.errors import ConfigurationError

Mode = Literal["none", "session", "transaction", "statement"]

#: Attempts to find the mode: other clients may take the connection of the server that the test waits for.
ATTEMPTS = 3
NEEDS_TRANSACTIONS = (
    "DATABASE_URL leads to a pooler in statement mode, which has no transactions: "
    "set pool_mode = session, or pool_mode = transaction with AURA_DATABASE_PREPARE=false"
)
NEEDS_NO_PREPARE = (
    "DATABASE_URL leads to a pooler in transaction mode, such as PgBouncer, where prepared statements are lost: "
    "set AURA_DATABASE_PREPARE=false, or pool_mode = session"
)


class WrongPoolerMode(ConfigurationError):
    """The pooler's mode does not fit the settings."""


def has_pooler(raw: Any, server_pid: int) -> bool:
    """Return whether a pooler is between this connection and the server process with this number.

    At the start of a session PostgreSQL sends the number of its process, and a pooler a random one.
    """
    return bool(raw.info.backend_pid != server_pid)


def find_mode(raw: Any, connect: Callable[[], Any]) -> Mode:
    """Return the mode of the pooler of an open connection in autocommit mode; `connect` opens a second connection.

    In session mode a client keeps the server's connection that it got first, whatever others do. Raises psycopg2.Error.
    """
    if not has_pooler(raw, _server_pid(raw)):
        return "none"
    refused = 0
    for _ in range(ATTEMPTS):
        mine = _server_pid(raw)
        other = connect()
        try:
            taken = _pid_in_transaction(other)
            if taken is None:
                refused += 1
                continue
            # only a connection that this client does not occupy can be given to another one
            if taken == mine or _server_pid(raw) != mine:
                return "transaction"
        finally:
            with suppress(psycopg2.Error):
                other.close()
    return "statement" if refused == ATTEMPTS else "session"


def check(mode: Mode, prepares: bool) -> None:
    """Raise WrongPoolerMode if the settings do not fit this mode; `prepares` is AURA_DATABASE_PREPARE."""
    if mode == "statement":
        raise WrongPoolerMode(NEEDS_TRANSACTIONS)
    if mode == "transaction" and prepares:
        raise WrongPoolerMode(NEEDS_NO_PREPARE)


def _server_pid(raw: Any) -> int:
    with raw.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return int(cursor.fetchone()[0])


def _pid_in_transaction(raw: Any) -> int | None:
    """Return the server's process that a transaction of this connection occupies; None if the pooler refuses it."""
    raw.autocommit = False
    try:
        return _server_pid(raw)  # psycopg2 sends BEGIN before it; the transaction stays open
    except psycopg2.OperationalError:
        if raw.closed:
            return None
        raise
