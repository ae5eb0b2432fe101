"""`python -m bench.relay`: the relay alone, due jobs turned into confirmed hints, with nobody to claim them."""

from __future__ import annotations

import argparse
import sys
import time
from statistics import median
from typing import Any

import psycopg2
from rich.console import Console

from aura.settings import given, use
from bench import page, results
from bench.load import Pattern
from bench.meter import cpu
from bench.services import Servers

#: Due jobs of a round, and rounds; with other numbers nothing is written.
JOBS, ROUNDS = 100_000, 3


def measure(servers: Servers, jobs: int, rounds: int) -> dict[str, Any]:
    """Return jobs a second, and the CPU of each job, for rounds of so many due jobs."""
    database, vhost = servers.fresh_database(), servers.rabbitmq.create_vhost()
    settings = given(
        env="development",
        DATABASE_URL=database,
        RABBITMQ_URL=vhost,
        LOG_LEVEL="ERROR",
        max_in_flight=jobs,
        events=False,
    )
    use(settings)
    # these read the settings when they are imported
    import actors
    from aura.jobs.rabbitmq.publisher import Publisher
    from aura.jobs.relay import Relay
    from bench.submit import ticket
    from db import database as sessions
    from db import tickets, transaction
    from pipelines import triage

    publisher = Publisher(settings, actors.broker.get_declared_queues, actors.TOPOLOGY)
    relay = Relay(actors.broker, publisher, settings)
    with transaction() as session:
        [first] = tickets.create(session, "bench", [(ticket(0), {})])
        triage.send(first)
    connection = psycopg2.connect(database)
    connection.autocommit = True
    seconds, used = [], []
    roots = {"broker": [servers.rabbitmq.pid], "database": [servers.postgresql.pid]}
    try:
        with connection.cursor() as cursor:
            pattern = Pattern(cursor, first)
            pattern.due(1000)
            for _ in range(1 + rounds):  # the first one only warms up
                took, count = 0.0, 0
                start = {who: cpu(each) for who, each in roots.items()} | {"relay": time.process_time()}
                while True:
                    started = time.perf_counter()
                    left = relay.round()
                    took += time.perf_counter() - started
                    if not left:
                        break
                    count += left
                seconds.append(took / count)
                end = {who: cpu(each) for who, each in roots.items()} | {"relay": time.process_time()}
                used.append({who: (end[who] - start[who]) / count * 1e6 for who in end})
                cursor.execute("DELETE FROM jobs")  # as if workers had done them
                pattern.due(jobs)
                cursor.execute("VACUUM ANALYZE jobs")
    finally:
        publisher.close()
        connection.close()
        sessions.dispose()
        servers.postgresql.drop_database(database)
        servers.rabbitmq.delete_vhost(vhost)
    return {
        "jobs": jobs,
        "rounds": rounds,
        "batch": settings.jobs_per_hint,
        "jobs_per_second": median(1 / each for each in seconds[1:]),
        "samples": [1 / each for each in seconds[1:]],
        "cpu": {who: median(each[who] for each in used[1:]) for who in used[0]},
    }


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.relay", description=__doc__)
    parser.add_argument("--jobs", type=int, default=JOBS, help=f"due jobs a round ({JOBS:,})")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"rounds ({ROUNDS})")
    asked = parser.parse_args()
    with Servers() as servers:
        measured = results.surroundings(servers) | measure(servers, asked.jobs, asked.rounds)
    Console().print(page.relay(measured))
    if (asked.jobs, asked.rounds) == (JOBS, ROUNDS):
        page.write(results.store("relay", measured))
    return 0


if __name__ == "__main__":
    sys.exit(main())
