"""Samples of a running system: memory and descriptors of each process, connections, sizes of tables, times of statements."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import psutil
import psycopg2

#: Tables whose sizes are sampled.
TABLES = ("jobs", "outbox", "tickets", "verdicts", "attempts", "notifications")
#: The smaller ones, which rows pass through; these are read to find the free space inside.
PASSED_THROUGH = ("jobs", "outbox")
#: The first words of the statements that are timed; `pg_stat_statements` knows them by their text.
TIMED = {
    "claim": "UPDATE jobs SET lease=%",
    "dispatch": "UPDATE jobs SET hinted_at=%",
    "complete": "WITH completed AS%",
}
EXTENSIONS = ("pg_stat_statements", "pgstattuple")

_DONE = """
    SELECT (SELECT last_value FROM tickets_id_seq), (SELECT count(*) FROM tickets WHERE notified_at IS NULL)
"""
_SIZES = """
    SELECT relname, pg_table_size(relid), pg_indexes_size(relid), n_live_tup, n_dead_tup
    FROM pg_stat_user_tables WHERE relname = ANY(%s)
"""
_TIMES = """
    SELECT sum(calls)::bigint, sum(total_exec_time)::float, sum(rows)::bigint FROM pg_stat_statements
    WHERE query LIKE %s OR query LIKE 'PREPARE%% AS ' || %s
"""


class Sampler:
    """Takes samples of processes on one database; `ports` are those of RabbitMQ and PostgreSQL."""

    def __init__(self, database: str, roots: Mapping[str, int], ports: tuple[int, int]) -> None:
        self._connection = psycopg2.connect(database)
        self._connection.autocommit = True
        self._cursor = self._connection.cursor()
        self._roots, self._ports = dict(roots), ports
        for extension in EXTENSIONS:
            self._cursor.execute(f"CREATE EXTENSION IF NOT EXISTS {extension}")
        self._times: dict[str, tuple[int, float, int]] = {}
        self.started = time.monotonic()

    def close(self) -> None:
        """Close the connection to the database."""
        self._connection.close()

    def done(self) -> tuple[int, int]:
        """Return the tickets that are notified, and those that are not."""
        self._cursor.execute(_DONE)
        last, unfinished = self._cursor.fetchone()
        return last - unfinished, unfinished

    def sample(self) -> dict[str, Any]:
        """Return one sample."""
        done, unfinished = self.done()
        connections = [0, 0]
        processes: dict[str, dict[str, float]] = {}
        for name, process in self._processes():
            with suppress(psutil.NoSuchProcess):
                processes[name] = {
                    "rss_mb": process.memory_info().rss / 1e6,
                    "descriptors": process.num_fds(),
                    "threads": process.num_threads(),
                }
                remote = [each.raddr.port for each in process.net_connections("tcp") if each.raddr]
                connections = [have + remote.count(port) for have, port in zip(connections, self._ports, strict=True)]
        return {
            "seconds": time.monotonic() - self.started,
            "done": done,
            "unfinished": unfinished,
            "processes": processes,
            "amqp_connections": connections[0],
            "database_connections": connections[1],
            "tables": self._tables(),
            "milliseconds": self._milliseconds(),
        }

    def _processes(self) -> list[tuple[str, psutil.Process]]:
        """Return the processes by name: worker 1, worker 2 and relay are forks of the worker command."""
        self._cursor.execute("SELECT split_part(name, ':', 2)::int, kind FROM workers ORDER BY started_at, name")
        kinds = dict(self._cursor.fetchall())
        found: list[tuple[str, psutil.Process]] = []
        for name, root in self._roots.items():
            with suppress(psutil.NoSuchProcess):
                process = psutil.Process(root)
                found.append((name, process))
                known = sorted(
                    (each for each in process.children(recursive=True) if each.pid in kinds), key=lambda p: p.pid
                )
                workers = [each for each in known if kinds[each.pid] == "worker"]
                found += [(f"worker {number}", each) for number, each in enumerate(workers, 1)]
                found += [("relay", each) for each in known if kinds[each.pid] == "relay"]
        return found

    def _tables(self) -> dict[str, dict[str, float]]:
        self._cursor.execute("SELECT pg_stat_clear_snapshot()")
        self._cursor.execute(_SIZES, (list(TABLES),))
        found: dict[str, dict[str, float]] = {
            name: {"table_mb": table / 1e6, "indexes_mb": indexes / 1e6, "live": live, "dead": dead}
            for name, table, indexes, live, dead in self._cursor
        }
        for name in PASSED_THROUGH:
            self._cursor.execute("SELECT dead_tuple_percent, free_percent FROM pgstattuple(%s)", (name,))
            dead_percent, free_percent = self._cursor.fetchone()
            found[name] |= {"dead_percent": dead_percent, "free_percent": free_percent}
        return found

    def _milliseconds(self) -> dict[str, float]:
        """Return the mean time of each timed statement since the last sample, and of each row of it."""
        means: dict[str, float] = {}
        for name, pattern in TIMED.items():
            self._cursor.execute(_TIMES, (pattern, pattern))
            calls, took, rows = (value or 0 for value in self._cursor.fetchone())
            before = self._times.get(name, (0, 0.0, 0))
            if calls > before[0]:
                means[name] = (took - before[1]) / (calls - before[0])
                means[f"{name}_row"] = (took - before[1]) / max(rows - before[2], 1)
            self._times[name] = (calls, took, rows)
        return means
