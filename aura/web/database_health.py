"""Checks of the database: it answers, has the tables of this version, and accepts writes; poolers and failovers are named.

`/health/ready` and `aura doctor` use the same checks. Whether it accepts writes is known from three observations: the
session's own mode (a standby, a provider's read-only mode), a row that is written every few seconds, and writes of requests
that failed for lack of space.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError

from aura.errors import ConfigurationError
from aura.settings import first_line, get_settings, redact
from aura.web.checks import Check
from db import fence, reading, unavailable, write_probe
from db.database import engine
from db.postgresql import pooler_mode
from db.revisions import outdated, revisions

#: Codes of readiness.
UNAVAILABLE, OUTDATED, MISCONFIGURED = "database_unavailable", "database_outdated", "database_misconfigured"
READ_ONLY, FULL, STALLED = "database_read_only", "database_full", "database_stalled"
#: Seconds between two probes while they succeed, and while they fail.
PROBE_SECONDS, FAILED_PROBE_SECONDS = 10.0, 1.0
#: Seconds that a check waits for a running probe, and after which a probe that has not ended is a failure.
WAIT_SECONDS, STALLED_SECONDS = 1.0, 10.0
#: Seconds for which a request that failed for lack of space makes the process not ready, whatever the probe says.
FULL_SECONDS = 5.0
#: Seconds for which a failover is shown.
FAILOVER_SHOWN = 7 * 86_400.0

_FIXES = {
    READ_ONLY: "let DATABASE_URL lead to the primary, or end the read-only mode of the server",
    FULL: "free space on the disk of the database, or raise its quota",
    STALLED: "look for locks and for a synchronous standby that does not answer (pg_stat_activity, pg_stat_replication)",
    UNAVAILABLE: "start PostgreSQL, or correct DATABASE_URL",
}


def code_of(error: SQLAlchemyError) -> str:
    """Return the code of readiness for an error of a write."""
    if unavailable.sqlstate(error) == unavailable.READ_ONLY or "readonly database" in str(error):
        return READ_ONLY
    return FULL if unavailable.is_full(error) else UNAVAILABLE


@dataclass
class WriteProbe:
    """Writes a row in a thread, at most one at a time, and remembers the result."""

    write: Callable[[], None] = write_probe.probe
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _ended: threading.Event = field(default_factory=threading.Event)
    _started_at: float = float("-inf")
    _running: bool = False
    _failure: tuple[str, str] | None = None

    def failure(self, wait: float = WAIT_SECONDS) -> tuple[str, str] | None:
        """Return code and text of the failure, or None if the last row could be written; starts a probe if it is time.

        Waits at most so many seconds for it, and not at all while the last one is recent.
        """
        with self._lock:
            age = time.monotonic() - self._started_at
            if not self._running and age >= (FAILED_PROBE_SECONDS if self._failure else PROBE_SECONDS):
                self._running, self._started_at = True, time.monotonic()
                self._ended.clear()
                threading.Thread(target=self._run, name="write-probe", daemon=True).start()
        if self._running:
            self._ended.wait(wait)
        if self._running and time.monotonic() - self._started_at >= STALLED_SECONDS:
            return STALLED, f"a row could not be committed within {STALLED_SECONDS:g} seconds"
        return self._failure

    def _run(self) -> None:
        failure: tuple[str, str] | None = None
        try:
            self.write()
        except SQLAlchemyError as error:
            failure = code_of(error), first_line(error)
        except Exception as error:
            failure = UNAVAILABLE, first_line(error)
        finally:
            self._failure, self._running = failure, False
            self._ended.set()

    def wait_until_ended(self, seconds: float) -> bool:
        """Wait for the running probe. Returns whether it has ended."""
        return not self._running or self._ended.wait(seconds)


#: The probe of each engine, so that another database begins again.
_probes: WeakKeyDictionary[Engine, WriteProbe] = WeakKeyDictionary()


def probe_of(of: Engine) -> WriteProbe:
    """Return the probe of an engine."""
    return _probes.setdefault(of, WriteProbe())


def check_database(wait: float = WAIT_SECONDS) -> Check:
    """Check that the database answers, has the right tables, and accepts writes."""
    where = redact(get_settings().database_url.get_secret_value())
    try:
        current, newest = revisions()
        read_only = _is_read_only()
    except SQLAlchemyError as error:
        # libpq found no host that accepts writes
        code = READ_ONLY if re.search("session is read-only|hot standby mode", str(error)) else UNAVAILABLE
        return Check("database", False, f"{where}: {first_line(error)}", _fix(error, code), code)
    except ConfigurationError as error:
        return Check("database", False, f"{where}: {error}", "change the one or the other", MISCONFIGURED)
    if outdated(current):
        return Check(
            "database", False, f"{where}: revision {current or 'none'}, newest {newest}", "run `aura migrate`", OUTDATED
        )
    if read_only:
        return Check("database", False, f"{where}: {read_only}", _FIXES[READ_ONLY], READ_ONLY)
    failure = probe_of(engine()).failure(wait)
    if failure is None and unavailable.failures.full_within(FULL_SECONDS):
        failure = FULL, "a write failed: no space is left"
    if failure is not None:
        return Check("database", False, f"{where}: {failure[1]}", _FIXES[failure[0]], failure[0])
    mode = pooler_mode(engine())
    return Check(
        "database",
        True,
        f"{where}: revision {current}" + (f", through a pooler in {mode} mode" if mode != "none" else ""),
    )


def _fix(error: SQLAlchemyError, code: str) -> str:
    text = first_line(error)
    if "unsupported startup parameter: options" in text:
        return (
            "the pooler refuses `options`: remove them from DATABASE_URL and use ALTER ROLE ... SET, "
            "or add ignore_startup_parameters = options to pgbouncer.ini if they may be ignored"
        )
    if "too many" in text or "remaining connection slots" in text or "no more connections" in text:
        return "lower AURA_DATABASE_POOL, or raise the server's limit of connections"
    return _FIXES[code]


def _is_read_only() -> str:
    """Return why a new session cannot write, or nothing. Discards the pool's sessions if a former one cannot."""
    if engine().dialect.name == "sqlite":
        return ""
    for again in (False, True):
        with engine().execution_options(reads=True).connect() as connection:
            query = "SELECT pg_is_in_recovery(), current_setting('transaction_read_only') = 'on'"
            standby, read_only = connection.execute(text(query)).one()
        if not (standby or read_only):
            return ""
        if not again:
            engine().dispose()  # this session may be older than a failover
    return "it is a standby, which accepts no writes" if standby else "it is read-only"


def check_failover() -> Check:
    """Name promotions, restores and jumps of the clock of the last days."""
    try:
        with reading() as session:
            found = fence.events(session, FAILOVER_SHOWN)
    except SQLAlchemyError:
        return Check("failover", True, "unknown: the database does not answer")
    if not found:
        return Check("failover", True, "none in the last seven days")
    at, action, details = found[0]
    detail = f"{_EVENTS[action]} at {at:%Y-%m-%d %H:%M} UTC"
    if action == fence.CLOCK_BACK:
        fix = "check the time of the database server (NTP): relays corrected the due times of jobs"
        return Check("failover", True, f"{detail}, by {details.get('seconds')} s", fix)
    detail += (
        f": commits of up to {details.get('seconds')} s may be missing; {details.get('skipped')} numbers were skipped"
    )
    return Check("failover", True, detail, "compare with your clients and mails (docs/how-to/run-with-a-standby.md)")


_EVENTS = {
    fence.PROMOTED: "a standby was promoted",
    fence.RESTORED: "the database was restored on another server",
    fence.WENT_BACK: "the database went back to an earlier state",
    fence.CLOCK_BACK: "the clock of the database went back",
}
