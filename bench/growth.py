"""`python -m bench.growth`: what Aura's work costs when its tables grow, and when a backlog waits.

1. With 1,000, 100,000 and 1,000,000 finished tickets in the tables: throughput, and latency at 50 tickets/s.
2. With as many tickets waiting, kept at that number: how many jobs are finished a second, and how fast an urgent ticket
   overtakes the others.
3. At 1,000,000 of each, PostgreSQL explains every statement that the workers and the relay run.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any

from rich.console import Console

from bench import page, results, tables
from bench.contenders import CONTENDERS
from bench.load import Pattern
from bench.plans import Statement, logged
from bench.rounds import PATIENCE, STEADY, Round, RoundFailed
from bench.services import Servers

SIZES = (1000, 100_000, 1_000_000)
#: Rows of one INSERT, so that no transaction becomes huge.
CHUNK = 50_000
#: Tickets that pass before the measurement with a backlog begins.
SETTLE = 2000
#: Seconds between two urgent tickets, and for which the statements of a running system are explained.
URGENT_EVERY, EXPLAINED = 0.25, 15.0
URGENT = {
    "title": "'Whole site offline'",
    "description": "'No network in the whole building, nobody can work, production has stopped.'",
    "claimed_priority": "'critical'",
}
#: Steps that are done, by the stage that a ticket has reached, and deliveries that are done.
DONE = """
    SELECT extract(epoch FROM statement_timestamp())::float,
           (SELECT count(*) FROM tickets WHERE stage = 'prepared')
           + (SELECT 2 * count(*) FROM tickets WHERE stage = 'classified')
           + (SELECT 3 * count(*) FROM tickets WHERE stage = 'notified')
           + (SELECT count(*) FROM notifications WHERE state = 'sent')
"""
URGENT_TOOK = """
    WITH flow AS (
        SELECT t.created_at, max(n.sent_at) AS finished_at, bool_and(n.state = 'sent') AS finished
        FROM tickets t LEFT JOIN notifications n ON n.ticket_id = t.id WHERE t.id = ANY(%s) GROUP BY t.id
    )
    SELECT coalesce(bool_and(finished), false),
           percentile_cont(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY extract(epoch FROM finished_at - created_at) * 1000)
    FROM flow
"""

#: Jobs whose hints are lost, and jobs of a worker that died.
TROUBLE = ("hinted_at = now() - interval '1 hour'", "lease = 'gone', worker = 'gone', attempts = 1")

Say = Callable[[str], None]


def in_tables(servers: Servers, sizes: tuple[int, ...], tickets: int, say: Say) -> tuple[list[Any], list[Statement]]:
    """Measure with more and more finished tickets in the same database."""
    measured = []
    with Round(CONTENDERS["aura"], servers) as round_, round_.connection.cursor() as cursor:
        round_.warm_up()
        pattern = Pattern(cursor, round_.last_id())
        for size in sizes:
            say(f"{size:,} tickets in the tables: loading")
            [have] = round_.row("SELECT count(*) FROM tickets")
            for count in chunks(size - have):
                pattern.finished(count)
            cursor.execute("VACUUM ANALYZE")
            say(f"{size:,} tickets in the tables: measuring")
            sample = round_.throughput(tickets)
            latency = round_.latency(STEADY, 10)
            measured.append(
                {"size": size, "rate": sample.tickets_per_second, "cpu": sample.cpu, "latency": asdict(latency)}
            )
        say("explaining every statement")
        return measured, explain(round_, lambda: round_.submit(500, STEADY))


def with_backlog(
    servers: Servers, size: int, tickets: int, say: Say, last: bool
) -> tuple[dict[str, Any], list[Statement]]:
    """Measure with so many tickets waiting; for each that passes another one is added."""
    with Round(CONTENDERS["aura"], servers) as round_, round_.connection.cursor() as cursor:
        round_.warm_up()
        round_.workers.stop()
        round_.submit(1)
        pattern = Pattern(cursor, round_.last_id())
        say(f"{size:,} tickets waiting: loading")
        for count in chunks(size - 1):
            pattern.due(count)
        cursor.execute("VACUUM ANALYZE")
        say(f"{size:,} tickets waiting: measuring")
        round_.workers.start()
        measured = drain(round_, pattern, tickets)
        if not last:
            return {"size": size, **measured}, []
        say("explaining every statement")
        round_.workers.stop()
        for trouble in TROUBLE:
            first = pattern.due(10)
            cursor.execute(f"UPDATE jobs SET {trouble} WHERE key = ANY(%s)", ([str(first + n) for n in range(10)],))
        return {"size": size, **measured}, explain(round_, lambda: time.sleep(EXPLAINED))


def drain(round_: Round, pattern: Pattern, tickets: int) -> dict[str, Any]:
    """Keep the backlog as it is until so many tickets have been classified, and return the rates."""
    [sequence] = round_.row("SELECT pg_get_serial_sequence('verdicts', 'id')")

    def classified() -> int:
        return int(round_.row(f"SELECT last_value FROM {sequence}")[0])

    first = added = classified()
    start: tuple[Any, ...] = ()
    urgent: list[int] = []
    last_urgent = 0.0
    deadline = time.monotonic() + PATIENCE
    while (now := classified()) < first + SETTLE + tickets:
        if time.monotonic() > deadline:
            raise RoundFailed(f"{now - first} tickets classified after {PATIENCE:.0f} s\n{round_.workers.output()}")
        if now > added:
            pattern.due(now - added)
            added = now
        if not start and now >= first + SETTLE:
            start = round_.row(DONE)
        if start and time.monotonic() - last_urgent > URGENT_EVERY:
            last_urgent = time.monotonic()
            urgent.append(pattern.due(1, 9, **URGENT))
        time.sleep(0.01)
    end = round_.row(DONE)
    round_.wait(lambda: bool(round_.row(URGENT_TOOK, urgent)[0]), "unfinished urgent tickets")
    p50, p95 = round_.row(URGENT_TOOK, urgent)[1]
    return {"jobs_per_second": (end[1] - start[1]) / (end[0] - start[0]), "urgent_p50": p50, "urgent_p95": p95}


def explain(round_: Round, meanwhile: Callable[[], object]) -> list[Statement]:
    """Return the statements of a running system, with events, which new workers are needed for."""
    round_.workers.stop()
    round_.workers.environment["AURA_EVENTS"] = "true"
    with logged(round_) as statements:
        round_.workers.start()
        meanwhile()
        round_.workers.stop()
    return statements


def chunks(count: int) -> Iterator[int]:
    """Yield numbers of at most a chunk that add up to the count."""
    while count > 0:
        yield min(count, CHUNK)
        count -= CHUNK


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench.growth", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--tickets", type=int, default=10_000, help="tickets that pass in each measurement (10,000)")
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)), help="other sizes; then nothing is written")
    parser.add_argument("--statements", action="store_true", help="print every statement with its access paths")
    asked = parser.parse_args()
    sizes = tuple(map(int, asked.sizes.split(",")))
    console = Console(width=None if sys.stdout.isatty() else 160)
    with Servers() as servers, Console(stderr=True).status("starting") as status:
        where = results.surroundings(servers)
        filled, statements = in_tables(servers, sizes, asked.tickets, status.update)
        waiting = []
        for size in sizes:
            measured, more = with_backlog(servers, size, asked.tickets, status.update, size == sizes[-1])
            waiting.append(measured)
            statements += more
    growth = {**where, "tickets": asked.tickets, "tables": filled, "backlog": waiting}
    growth["statements"] = [asdict(each) | {"text": each.text[:300]} for each in statements]
    for grid in tables.growth(growth):
        console.print(grid.rich(), "")
    if asked.statements:
        console.print(tables.statements(growth["statements"]).rich())
    if sizes == SIZES:
        page.write(results.store("growth", growth))
    return 1 if any(each.trouble for each in statements) else 0


if __name__ == "__main__":
    sys.exit(main())
