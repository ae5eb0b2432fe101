"""`python -m bench.trickle`: what a ticket costs that comes alone, Aura and plain Dramatiq taking turns.

A round is short, and counts what a busy machine does not blur: statements and transactions, and CPU by who used it. It says
how long the first hint took, too. Times are good for nothing but the ratio of contenders that took turns.
"""

from __future__ import annotations

import argparse
import subprocess
import time
from statistics import median
from typing import Any

import psycopg2
from rich.console import Console
from rich.table import Table

from bench.contenders import CONTENDERS
from bench.rounds import STEADY, Round
from bench.services import DurablePostgreSQL, Servers

#: Seconds in which nothing comes, to see what that costs.
IDLE = 3.0
#: How many statements there were, BEGIN and COMMIT included, which is how often the database was asked.
MINE = "FROM pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid AND d.datname = current_database()"
ASKED = f"SELECT coalesce(sum(calls), 0)::int {MINE}"
#: Which of them took most of the database's time, in microseconds of planning and of running a ticket.
DEAREST = f"""
    SELECT round(calls::numeric / %(n)s, 2), round(total_plan_time::numeric * 1000 / %(n)s),
           round(total_exec_time::numeric * 1000 / %(n)s), regexp_replace(query, E'\\\\s+', ' ', 'g')
    {MINE} WHERE calls * 20 > %(n)s ORDER BY total_plan_time + total_exec_time DESC
"""


class CountingPostgreSQL(DurablePostgreSQL):
    """PostgreSQL that counts statements."""

    def spawn(self, command: list[str], **options: Any) -> subprocess.Popen[bytes]:
        counting = ["-c", "shared_preload_libraries=pg_stat_statements", "-c", "pg_stat_statements.track_planning=on"]
        return super().spawn([*command, *counting], **options)


class CountingServers(Servers):
    """The servers, with the extension in every database."""

    def __init__(self) -> None:
        super().__init__()
        self.postgresql = CountingPostgreSQL()

    def __enter__(self) -> CountingServers:
        super().__enter__()
        connection = psycopg2.connect(self.template)
        connection.autocommit = True
        connection.cursor().execute("CREATE EXTENSION pg_stat_statements")
        connection.close()
        return self


def measure(name: str, servers: Servers, tickets: int, rate: float, dearest: bool) -> dict[str, float]:
    """Return what a ticket costs."""
    with Round(CONTENDERS[name], servers) as round_:
        round_.warm_up()
        start = round_._cpu()
        time.sleep(IDLE)
        idle = sum((seconds - start[who]) for who, seconds in round_._cpu().items()) / IDLE / rate * 1e3
        round_.row("SELECT pg_stat_statements_reset()")
        start = round_._cpu()
        latency = round_.latency(rate, tickets / rate)
        used = {who: (seconds - start[who]) / tickets * 1e3 for who, seconds in round_._cpu().items()}
        if dearest:
            with round_.connection.cursor() as cursor:
                cursor.execute(DEAREST, {"n": tickets})
                print(name)
                for calls, plan, run, query in cursor.fetchall():
                    print(f"{calls:>6} {plan:>6} {run:>6}  {query[:150]}")
        (asked,) = round_.row(ASKED)
    return {
        "idle ms": idle,
        **{f"{who} ms": each for who, each in used.items()},
        "CPU ms": sum(used.values()),
        "statements": asked / tickets,
        "p50": latency.p50,
        "p95": latency.p95,
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.trickle", description=__doc__)
    parser.add_argument("--only", default="aura,plain", metavar="NAMES", help="contenders (aura,plain)")
    parser.add_argument("--tickets", type=int, default=400, help="tickets a round (400)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each (3)")
    parser.add_argument("--rate", type=float, default=STEADY, help=f"tickets/s ({STEADY:g})")
    parser.add_argument("--statements", action="store_true", help="print what was asked, and what it took")
    asked = parser.parse_args()
    names = asked.only.split(",")
    found: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    with CountingServers() as servers:
        for number in range(asked.rounds):
            for name in names:
                found[name].append(
                    measure(name, servers, asked.tickets, asked.rate, asked.statements and number == asked.rounds - 1)
                )
    grid = Table("", *next(iter(found.values()))[0])
    for name, rounds in found.items():
        grid.add_row(name, *(f"{median(each[column] for each in rounds):.1f}" for column in rounds[0]))
    Console(width=160).print(grid)


if __name__ == "__main__":
    main()
