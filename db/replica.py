"""The read replica of AURA_DATABASE_READ_URL: searches, lists and reports read it while it is fresh enough.

The age of its data is that of the last transaction that it replayed. A replica that does not answer, or is older than
AURA_DATABASE_READ_MAX_AGE, is passed over: the primary is read until it is usable again.
"""

from __future__ import annotations

import threading
import time
from contextvars import ContextVar
from functools import lru_cache

import structlog
from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError

from aura.settings import first_line, get_settings

logger = structlog.get_logger("aura.database")

#: Seconds for which a measured age is used, and for which a replica that failed is passed over.
FRESH_SECONDS, FAILED_SECONDS = 1.0, 10.0
#: Connections to the replica, and seconds to wait for one of them and for the server.
POOL, POOL_SECONDS, CONNECT_SECONDS = 4, 3.0, 2
#: The time since the last commit that was replayed, or, if all is replayed, since the primary's last message, which a role
#: without pg_read_all_stats does not see. Heartbeats commit every second or two.
_AGE = text("""
SELECT CASE WHEN pg_is_in_recovery() THEN extract(epoch FROM least(
    clock_timestamp() - coalesce(pg_last_xact_replay_timestamp(), 'epoch'),
    CASE WHEN pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn()
        THEN (SELECT clock_timestamp() - last_msg_receipt_time FROM pg_stat_wal_receiver) END
))::float8 ELSE 0 END
""")

#: The ages in seconds of the data that a request has read; set by the web process for each request.
ages: ContextVar[list[float] | None] = ContextVar("ages", default=None)


class Replica:
    """The engine of the replica and the age of its data."""

    def __init__(self, engine: Engine, max_age: float) -> None:
        self.engine, self.max_age = engine, max_age
        self._lock = threading.Lock()
        self._age: float | None = None
        self._next = float("-inf")

    def usable_age(self) -> float | None:
        """Return the age of the data in seconds, or None if the primary is to be read."""
        with self._lock:
            if time.monotonic() >= self._next:
                self._measure()
            return self._age

    def fail(self, error: SQLAlchemyError) -> None:
        """Pass the replica over for some seconds."""
        with self._lock:
            if self._age is not None or self._next == float("-inf"):
                logger.warning("read replica passed over: the primary is read", error=first_line(error))
            self._age, self._next = None, time.monotonic() + FAILED_SECONDS

    def _measure(self) -> None:
        usable = self._age is not None or self._next == float("-inf")
        self._age, self._next = None, time.monotonic() + FAILED_SECONDS
        try:
            with self.engine.connect() as connection:
                age = max(0.0, float(connection.execute(_AGE).scalar_one()))
        except SQLAlchemyError as error:
            if usable:
                logger.warning("read replica passed over: the primary is read", error=first_line(error))
            return
        if age > self.max_age:
            if usable:
                logger.warning("read replica passed over: the primary is read", behind=round(age, 1))
            return
        self._age, self._next = age, time.monotonic() + FRESH_SECONDS


@lru_cache(maxsize=1)
def replica() -> Replica | None:
    """Return the replica of this process, or None without AURA_DATABASE_READ_URL."""
    from db.database import make_engine

    settings = get_settings()
    if settings.database_read_url is None:
        return None
    url = settings.database_read_url.get_secret_value()
    separator = "&" if "?" in url else "?"
    if "connect_timeout=" not in url:
        url += f"{separator}connect_timeout={CONNECT_SECONDS}"
    engine = make_engine(url, POOL, settings.database_prepare, POOL_SECONDS)
    return Replica(engine, settings.database_read_max_age)


def dispose() -> None:
    """Close the connections to the replica, after a changed setting or a fork."""
    if replica.cache_info().currsize and (found := replica()) is not None:
        found.engine.dispose()
    replica.cache_clear()


def note(age: float) -> None:
    """Note for the present request that it read data of this age."""
    if (found := ages.get()) is not None:
        found.append(age)
