"""Connection pool that closes idle connections, so that a busy moment does not occupy the connections of the server permanently.

SQLAlchemy's QueuePool closes none (`pool_recycle` looks at a connection only when it is used). This one closes those idle
for IDLE_SECONDS, except one. The connection that was used last is used next, so the others become idle.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from typing import Any

from sqlalchemy.pool import ConnectionPoolEntry, QueuePool

#: Seconds after which an idle connection is closed, and between two checks.
IDLE_SECONDS, CHECK_SECONDS = 30.0, 10.0
#: Connections that stay open.
KEPT = 1


class IdlePool(QueuePool):
    """A QueuePool in LIFO order whose idle connections are closed by a thread, which runs only while there are some."""

    idle_seconds, check_seconds = IDLE_SECONDS, CHECK_SECONDS
    #: SQLAlchemy's logger, so that the level of libraries counts for its lines.
    _sqla_logger_namespace = "sqlalchemy.pool.IdlePool"

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._closing = threading.Lock()
        self._thread: threading.Thread | None = None
        self._disposed = threading.Event()

    def _do_return_conn(self, record: ConnectionPoolEntry) -> None:
        record.record_info["returned"] = time.monotonic()  # type: ignore[index]  # a dict since 2.0
        super()._do_return_conn(record)
        # a thread does not survive a fork, and is no longer alive there
        if self.checkedin() > KEPT and (self._thread is None or not self._thread.is_alive()):
            with self._closing:
                if self._thread is None or not self._thread.is_alive():
                    self._thread = threading.Thread(target=self._watch, name="idle-connections", daemon=True)
                    with suppress(RuntimeError):  # the interpreter ends, or there are too many threads
                        self._thread.start()

    def dispose(self) -> None:
        self._disposed.set()
        super().dispose()

    def _watch(self) -> None:
        while not self._disposed.wait(self.check_seconds) and self.checkedin() > KEPT:
            self.close_idle()

    def close_idle(self) -> int:
        """Close the connections that are idle for too long. Returns their number."""
        old: list[ConnectionPoolEntry] = []
        queue: Any = self._pool
        limit = time.monotonic() - self.idle_seconds
        with queue.mutex:  # in LIFO order the first entry has been idle for the longest time
            while len(queue.queue) > KEPT and queue.queue[0].record_info.get("returned", limit + 1) < limit:
                old.append(queue.queue.popleft())
        for record in old:
            try:
                record.close()
            finally:
                self._dec_overflow()
        return len(old)
