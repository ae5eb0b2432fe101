"""`python -m bench.idle`: what processes cost that have nothing to do: CPU, statements, connections.

Web, one worker command with two processes, and the scheduler run beside RabbitMQ and PostgreSQL without a ticket. Printed are
the CPU of each command as a percentage of a core, the statements and transactions a second with the most frequent ones
(`pg_stat_statements`), how many AMQP connections are open, and opened in a minute, and the memory of each command (PSS) and of
its largest process (RSS).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psycopg2
from rich.console import Console

from bench import page, results
from bench.meter import connections, cpu, largest, memory
from bench.services import ROOT, DurablePostgreSQL, Servers
from tests.services import free_port, wait_until

#: Seconds after the start in which caches fill and compiled statements are made.
WARM_UP = 15.0
COMMANDS = {
    "web": ("-m", "aura", "web", "--port", "{port}"),
    "worker": ("-m", "aura", "worker", "--processes", "2", "--threads", "8"),
    "scheduler": ("-m", "aura", "scheduler"),
}
STATEMENTS = """
    SELECT calls, query FROM pg_stat_statements JOIN pg_database ON pg_database.oid = dbid
    WHERE datname = current_database() AND query NOT LIKE '%%pg_stat%%' ORDER BY calls DESC
"""
#: How many AMQP connections a node has accepted since its start.
OPENED = "element(2, hd(ets:lookup(connection_churn_metrics, node())))"
TRANSACTIONS = """
    SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()
"""


class _ObservedPostgreSQL(DurablePostgreSQL):
    """PostgreSQL that counts statements."""

    def spawn(self, command: list[str], **options: Any) -> subprocess.Popen[bytes]:
        return super().spawn([*command, "-c", "shared_preload_libraries=pg_stat_statements"], **options)


@contextmanager
def running(environment: dict[str, str]) -> Iterator[dict[str, int]]:
    """Run the commands; yields their process ids."""
    processes: dict[str, subprocess.Popen[bytes]] = {}
    with TemporaryDirectory() as folder:
        try:
            for name, words in COMMANDS.items():
                command = [sys.executable, *(word.format(port=free_port()) for word in words)]
                with Path(folder, name).open("wb") as log:
                    processes[name] = subprocess.Popen(
                        command, env={**os.environ, **environment}, cwd=ROOT, stdout=log, stderr=log
                    )
            yield {name: process.pid for name, process in processes.items()}
            for name, process in processes.items():
                if process.poll() is not None:
                    raise SystemExit(
                        f"{name} ended with {process.returncode}: {Path(folder, name).read_text()[-2000:]}"
                    )
        finally:
            for process in processes.values():
                process.terminate()
            for process in processes.values():
                process.wait(30)


def measure(servers: Servers, seconds: float, warm_up: float = WARM_UP) -> dict[str, Any]:
    """Return what the idle processes cost in so many seconds."""
    database, vhost = servers.fresh_database(), servers.rabbitmq.create_vhost()
    environment = servers.environment(database, vhost) | {"AURA_DEV_OPEN": "true"}
    with running(environment) as pids, closing(psycopg2.connect(database)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
            wait_until(lambda: _relay_lives(cursor), 300, "the relay started")
            time.sleep(warm_up)
            cursor.execute("SELECT pg_stat_statements_reset()")
            start = {name: cpu([pid]) for name, pid in pids.items()}
            first, opened = _transactions(cursor), int(servers.rabbitmq.evaluate(OPENED))
            database_start = cpu([servers.postgresql.pid])
            began = time.monotonic()
            time.sleep(seconds)
            took = time.monotonic() - began
            used = {name: (cpu([pid]) - start[name]) / took * 100 for name, pid in pids.items()}
            database_used = (cpu([servers.postgresql.pid]) - database_start) / took * 100
            cursor.execute(STATEMENTS)
            statements = [(int(calls), " ".join(text.split())) for calls, text in cursor]
            transactions = _transactions(cursor) - first
            opened = int(servers.rabbitmq.evaluate(OPENED)) - opened
        return {
            "seconds": seconds,
            "cpu_percent": used | {"all": sum(used.values()), "database": database_used},
            "statements_per_second": sum(calls for calls, _ in statements) / took,
            "transactions_per_second": transactions / took,
            "statements": [{"per_second": calls / took, "text": text[:160]} for calls, text in statements[:60]],
            "amqp_connections": connections(pids.values(), servers.rabbitmq.port),
            "amqp_connections_per_minute": opened / took * 60,
            "database_connections": connections(pids.values(), servers.postgresql.port),
            "memory_mb": {name: memory([pid]) / 1e6 for name, pid in pids.items()},
            "largest_process_mb": {name: largest([pid]) / 1e6 for name, pid in pids.items()},
        }


def _relay_lives(cursor: Any) -> bool:
    cursor.execute("SELECT EXISTS (SELECT FROM workers WHERE kind = 'relay')")
    return bool(cursor.fetchone()[0])


def _transactions(cursor: Any) -> int:
    cursor.execute("SELECT pg_stat_clear_snapshot()")
    cursor.execute(TRANSACTIONS)
    return int(cursor.fetchone()[0])


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench.idle", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=60.0, help="how long it measures (60)")
    parser.add_argument("--dry", action="store_true", help="print only")
    asked = parser.parse_args()
    with Servers(_ObservedPostgreSQL()) as servers, Console(stderr=True).status("measuring"):
        found = results.surroundings(servers) | measure(servers, asked.seconds)
    print(json.dumps(results.rounded(found), indent=2))
    if not asked.dry:
        page.write(results.store("idle", found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
