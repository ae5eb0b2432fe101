"""Refused requests in the audit log and as metrics: failed logins, wrong keys, missing scopes, throttles.

An attacker decides how many there are, so they are aggregated: the first of a kind, name and network in a minute is written
at once, the others of the minute as one entry with their number. At most `MAX_ENTRIES` are written in a minute and process;
the rest is one entry.
"""

from __future__ import annotations

import threading
import time
from collections import Counter

import structlog
from prometheus_client import Counter as MetricCounter
from sqlalchemy.exc import SQLAlchemyError

import aura.jobs.metrics  # noqa: F401 - makes the folder in which counters are files
from db import audit, transaction
from db.audit import Actor
from db.login_throttle import network_of

logger = structlog.get_logger("aura.web")

#: Seconds of aggregation, and the entries that one process writes in them.
INTERVAL, MAX_ENTRIES = 60.0, 60

REFUSED = MetricCounter(
    "aura_refused_requests_total",
    "Refused requests by kind: wrong password, wrong code, throttled login, wrong key, missing scope or CSRF token.",
    ["kind"],
)
for _kind in audit.REFUSALS:
    REFUSED.labels(_kind)

Key = tuple[str, str, str]


class SecurityEvents:
    """The events of one process, aggregated by kind, name and network."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[Key] = Counter()
        self._began = 0.0
        self._timer: threading.Timer | None = None

    def record(self, kind: str, who: str, address: str) -> None:
        """Count an event of `user ada` or `key import`; of an unknown sender `who` is empty.

        A failing database is logged and raises nothing: the request is refused all the same.
        """
        REFUSED.labels(kind).inc()
        self.flush_old()
        key = (kind, who, network_of(address))
        with self._lock:
            if not self._counts:
                self._began = time.monotonic()
                self._start_timer()
            if key not in self._counts and len(self._counts) >= MAX_ENTRIES:
                key = (kind, "", "")  # the entry of all others
            self._counts[key] += 1
            first = self._counts[key] == 1
        if first:
            _write([(key, address if key[2] else "", {})])

    def flush_old(self) -> None:
        """Write the numbers of an interval that is over."""
        if self._counts and time.monotonic() - self._began >= INTERVAL:
            self.flush()

    def flush(self) -> None:
        """Write the numbers of what was repeated since the interval began."""
        with self._lock:
            counts, self._counts = self._counts, Counter()
        repeated = [(key, key[2], {"repeated": count - 1}) for key, count in counts.items() if count > 1]
        if repeated:
            _write(repeated)

    def _start_timer(self) -> None:
        if self._timer is None or not self._timer.is_alive():
            self._timer = threading.Timer(INTERVAL + 1, self.flush)
            self._timer.daemon = True
            self._timer.start()


def _write(entries: list[tuple[Key, str, dict[str, int]]]) -> None:
    try:
        with transaction() as session:
            for (kind, who, _network), address, details in entries:
                actor = Actor(who or "unknown", address)
                audit.record(session, actor, kind, who.replace(" ", "/", 1) or kind.partition(".")[0], details)
    except SQLAlchemyError as error:
        logger.warning("refused request not recorded", kind=entries[0][0][0], error=type(error).__name__)


events = SecurityEvents()
