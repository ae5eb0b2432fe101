"""`python -m bench`: tickets a second from submission to the last notification, Aura against plain Dramatiq.

Private RabbitMQ, PostgreSQL (fsync off for both, as tests/services.py starts it) and one fresh database and virtual host a
round; the contenders take turns, and the ratio is that of the medians. Two worker processes of eight threads each.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import time
from datetime import date
from pathlib import Path
from statistics import median

import pika
from rich.console import Console
from rich.progress import track
from rich.table import Table
from sqlalchemy import text

from db.sessions import make_engine
from tests.services import PostgreSQL, RabbitMQ, start_all, wait_until

ROOT = Path(__file__).parent.parent
WORKER = ("-m", "dramatiq", "--processes", "2", "--threads", "8", "--skip-logging")
#: Which module the workers of each contender load, and the first queue of its pipeline.
CONTENDERS = {"aura": ("actors", "tickets.intake"), "plain": ("bench.plain", "plain.intake")}
#: Seconds after which a round is given up.
PATIENCE = 300.0
#: Tickets that were told to somebody and have nobody left to tell.
TOLD = """
    SELECT count(DISTINCT n.ticket_id) FROM notifications n
    WHERE NOT EXISTS (SELECT FROM notifications p WHERE p.ticket_id = n.ticket_id AND p.state <> 'sent')
"""


def play(contender: str, tickets: int, rabbitmq: RabbitMQ, postgresql: PostgreSQL) -> float:
    """Return the tickets a second of one round."""
    module, queue = CONTENDERS[contender]
    database, vhost = postgresql.create_database(), rabbitmq.create_vhost()
    env = {**os.environ, "DATABASE_URL": database, "RABBITMQ_URL": vhost, "LOG_LEVEL": "ERROR", "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "aura.py", "migrate"], env=env, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
    engine = make_engine(database.replace("postgresql://", "postgresql+psycopg2://"), 2)
    command = [sys.executable, *WORKER, module]
    worker = subprocess.Popen(command, env=env, cwd=ROOT, start_new_session=True, stderr=subprocess.DEVNULL)

    def told() -> int:
        with engine.connect() as connection:
            return int(connection.execute(text(TOLD)).scalar_one())

    try:
        wait_until(lambda: consumers(vhost, queue) == 2, 30, f"{contender}'s workers do not start")
        started = time.perf_counter()
        subprocess.run([sys.executable, "-m", "bench.submit", contender, str(tickets)], env=env, check=True, cwd=ROOT)
        wait_until(lambda: told() >= tickets, PATIENCE, f"{contender} never finished", poll=0.05)
        return tickets / (time.perf_counter() - started)
    finally:
        os.killpg(worker.pid, signal.SIGKILL)
        worker.wait()
        engine.dispose()
        postgresql.drop_database(database)
        rabbitmq.delete_vhost(vhost)


def consumers(url: str, queue: str) -> int:
    """Return how many processes consume the queue; 0 while it does not exist."""
    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        try:
            return int(connection.channel().queue_declare(queue, passive=True).method.consumer_count)
        except pika.exceptions.ChannelClosedByBroker:
            return 0


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--tickets", type=int, default=2000, help="tickets a round")
    parser.add_argument("--rounds", type=int, default=3, help="rounds for each contender")
    parser.add_argument("--format", choices=("table", "json"), default="table")
    arguments = parser.parse_args()
    rates: dict[str, list[float]] = {name: [] for name in CONTENDERS}
    rabbitmq, postgresql = RabbitMQ(), PostgreSQL()
    start_all(rabbitmq, postgresql)
    try:
        for _ in track(range(arguments.rounds), "rounds", console=Console(stderr=True)):
            for contender in CONTENDERS:
                rates[contender].append(play(contender, arguments.tickets, rabbitmq, postgresql))
    finally:
        rabbitmq.close()
        postgresql.close()
    peer = median(rates["plain"])
    rows = [
        {"contender": name, "tickets_per_second": [round(r) for r in each], "ratio": round(median(each) / peer, 2)}
        for name, each in rates.items()
    ]
    if arguments.format == "json":
        machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
        print(json.dumps({"date": date.today().isoformat(), "machine": machine, "results": rows}, indent=2))
        return
    table = Table("contender", "tickets/s, each round", "ratio of medians", box=None, header_style="bold")
    for row in rows:
        table.add_row(row["contender"], ", ".join(map(str, row["tickets_per_second"])), f"{row['ratio']}x")
    Console().print(table)


if __name__ == "__main__":
    main()
