"""The primary is lost, the database turns read-only, its disk is full, its pooler restarts."""

from __future__ import annotations

import os
from contextlib import suppress
from random import Random

import psycopg2

from tests.chaos.faults.registry import fault, for_a_moment
from tests.chaos.system import System
from tests.postgresql_servers import SmallDiskPostgreSQL, session

#: Seconds that the database is read-only or full at least: longer than a session of the pool stays unused.
SHORT_OF_WRITES = float(os.environ.get("CHAOS_READ_ONLY", "3"))


@fault("postgresql")
def postgresql_read_only(system: System, chance: Random) -> None:
    """The provider makes the database read-only, and ends the read-only mode without ending the sessions."""
    _read_only(system, "on", terminate=True)
    try:
        system.over.wait(SHORT_OF_WRITES)
        for_a_moment(system, chance)
    finally:
        _read_only(system, "off", terminate=False)


def _read_only(system: System, value: str, terminate: bool) -> None:
    name = system.database_name
    with session(system.postgresql.url) as cursor:
        cursor.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = {value}')
        if terminate:
            query = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'aura'"
            cursor.execute(query)


@fault("postgresql")
def postgresql_promoted(system: System, chance: Random) -> None:
    """SIGKILL for the primary, whose standby is promoted; without a standby, PostgreSQL is killed and comes back."""
    if system.standby is None:
        system.postgresql.kill()
        for_a_moment(system, chance)
        system.postgresql.start()
        return
    system.postgresql.kill()
    for_a_moment(system, chance)
    system.standby.promote()
    system.postgresql, system.standby = system.standby, None


@fault("postgresql")
def postgresql_full(system: System, chance: Random) -> None:
    """The disk of the database is full; nothing happens on a server without a disk of its own."""
    server = system.postgresql
    if not isinstance(server, SmallDiskPostgreSQL):
        return
    try:
        server.fill()
        system.over.wait(SHORT_OF_WRITES)
        for_a_moment(system, chance)
    finally:
        server.free()
    server.start()  # without space for its log, it may have ended


@fault("postgresql")
def pooler_restarted(system: System, chance: Random) -> None:
    """SIGKILL for PgBouncer, which is started again; without one, every connection is reset."""
    if system.pgbouncer is None:
        system.to_postgresql.cut()
        return
    system.pgbouncer.kill()
    for_a_moment(system, chance)
    with suppress(psycopg2.OperationalError):
        system.pgbouncer.start()
