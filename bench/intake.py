"""`python -m bench.intake`: POST /tickets at a steady rate on one web process while the pipeline runs, then far too many.

Each request has its time, and its latency counts from then, so a server that stands still hides nothing. In the overload
five times as many come, over so many connections that none waits for another's answer; what is answered with 202 must all be
in the database, the rest be refused with 429 or 503, and afterwards the first rate must be as good as before.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvloop
from rich.console import Console
from rich.table import Table

from bench import results
from bench.contenders import CONTENDERS
from bench.services import Servers, Workers, query
from bench.submit import ticket
from tests.access import KEY, grant
from tests.services import Service, wait_until

#: Requests a second, seconds at that rate, how many times as many in the overload, and its seconds.
RATE, SECONDS, OVERLOAD, OVERLOAD_SECONDS = 300.0, 60.0, 5.0, 15.0
#: Connections that are kept open; a request that finds none free waits, and its latency grows.
CONNECTIONS, MANY_CONNECTIONS = 64, 1500
#: Seconds a client waits for an answer.
PATIENCE = 30.0


class Web(Service):
    """One web process, as the Procfile starts it."""

    package = ""

    def __init__(self, environment: dict[str, str]) -> None:
        super().__init__()
        self.environment = environment

    def launch(self) -> subprocess.Popen[bytes]:
        grant(self.environment["DATABASE_URL"])
        command = [sys.executable, "-m", "aura", "web", "--port", str(self.port)]
        return self.spawn(command, environment=self.environment)

    def answers(self) -> bool:
        return asyncio.run(_ready(self.port))


def make_way(workers: Workers) -> bool:
    """Give the workers a third of the others' weight on the CPU, as CPUWeight in deploy/systemd does; says if Linux lets us.

    Each of the services is a session of its own, and so a group of the scheduler's: sched(7), "autogroup".
    """
    try:
        for root in workers.roots:
            Path(f"/proc/{root}/autogroup").write_text("5", encoding="ascii")
    except OSError:
        return False
    return True


async def _ready(port: int) -> bool:
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /health/ready HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        answer = await reader.read()
        writer.close()
    except OSError:
        return False
    return answer.startswith(b"HTTP/1.1 200")


@dataclass
class Answers:
    """What came back: how often each status, and the latencies of those accepted, in milliseconds."""

    statuses: Counter[str] = field(default_factory=Counter)
    latencies: list[float] = field(default_factory=list)
    asked: int = 0

    def figures(self) -> dict[str, Any]:
        """Return counts and percentiles."""
        ordered = sorted(self.latencies) or [0.0]
        at = {f"p{q:g}": ordered[min(len(ordered) - 1, int(len(ordered) * q / 100))] for q in (50, 95, 99)}
        return {"asked": self.asked, "statuses": dict(self.statuses)} | at


async def drive(port: int, rate: float, seconds: float, first: int, connections: int = CONNECTIONS) -> Answers:
    """Ask so often for so long, each request at its time."""
    answers = Answers()
    waiting: asyncio.Queue[tuple[float, int]] = asyncio.Queue()
    clients = [asyncio.create_task(_client(port, waiting, answers)) for _ in range(connections)]
    started = time.perf_counter()
    for number in range(int(rate * seconds)):
        due = started + number / rate
        if (early := due - time.perf_counter()) > 0:
            await asyncio.sleep(early)
        waiting.put_nowait((due, first + number))
        answers.asked += 1
    await waiting.join()
    for client in clients:
        client.cancel()
    return answers


async def _client(port: int, waiting: asyncio.Queue[tuple[float, int]], answers: Answers) -> None:
    stream: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
    while True:
        due, number = await waiting.get()
        try:
            stream = stream or await asyncio.open_connection("127.0.0.1", port)
            status, stays = await asyncio.wait_for(_post(*stream, number), PATIENCE)
            answers.statuses[status] += 1
            if status == "202":
                answers.latencies.append((time.perf_counter() - due) * 1000)
            if not stays:
                stream[1].close()
                stream = None
        except (OSError, asyncio.IncompleteReadError, TimeoutError) as error:
            answers.statuses[type(error).__name__] += 1
            if stream is not None:
                stream[1].close()
            stream = None
        finally:
            waiting.task_done()


async def _post(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> tuple[str, bool]:
    body = json.dumps(ticket(number).model_dump(exclude_none=True)).encode()
    head = (
        "POST /tickets HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {KEY}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    writer.write(head.encode() + body)
    answer = await reader.readuntil(b"\r\n\r\n")
    lower = answer.lower()
    length = int(lower.partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
    await reader.readexactly(length)
    return answer.split(b" ", 2)[1].decode(), b"connection: close" not in lower


def measure(servers: Servers, rate: float, seconds: float, equal: bool) -> dict[str, Any]:
    """Return the figures at the rate, in the overload, and at the rate again."""
    contender = CONTENDERS["aura"]
    environment = servers.environment(servers.fresh_database(), servers.rabbitmq.create_vhost())
    environment |= {"AURA_DIGEST_ABOVE": "0", "AURA_INCIDENT_TICKETS": "1000000"}
    found: dict[str, Any] = {}
    with Workers(contender, environment) as workers, Web(environment) as web:
        found["workers_make_way"] = not equal and make_way(workers)
        # warms up; who comes while everything is read and compiled for the first time may be turned away
        accepted, first = uvloop.run(drive(web.port, 50, 4, 0)).statuses["202"], 1_000
        for name, each, lasting, connections in (
            ("steady", rate, seconds, CONNECTIONS),
            ("overload", rate * OVERLOAD, OVERLOAD_SECONDS, MANY_CONNECTIONS),
            ("afterwards", rate, seconds / 2, CONNECTIONS),
        ):
            answers = uvloop.run(drive(web.port, each, lasting, first, connections))
            first += answers.asked
            accepted += answers.statuses["202"]
            found[name] = {"rate": each, "seconds": lasting} | answers.figures()
            if name != "steady":
                continue
            found["pipeline"] = {"notified": _count(environment, "stage = 'notified'"), "accepted": accepted}
        wait_until(lambda: not _count(environment, "stage <> 'notified'"), 300, "every ticket is notified", poll=0.5)
        found["lost"] = accepted - _count(environment, "true")
    return found


def _count(environment: dict[str, str], condition: str) -> int:
    return int(query(environment["DATABASE_URL"], f"SELECT count(*) FROM tickets WHERE {condition}")[0])


def _table(found: dict[str, Any]) -> Table:
    table = Table(
        *("", "asked/s", "seconds", "202", "429/503", "other", "p50 ms", "p95 ms", "p99 ms"), header_style="bold"
    )
    for name in ("steady", "overload", "afterwards"):
        each, statuses = found[name], found[name]["statuses"]
        refused = statuses.get("429", 0) + statuses.get("503", 0)
        accepted = statuses.get("202", 0)
        figures = [f"{each[q]:.1f}" for q in ("p50", "p95", "p99")]
        counts = [str(accepted), str(refused), str(each["asked"] - accepted - refused)]
        table.add_row(name, f"{each['rate']:g}", f"{each['seconds']:g}", *counts, *figures)
    return table


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.intake", description=__doc__)
    parser.add_argument("--rate", type=float, default=RATE, help=f"requests a second ({RATE:g})")
    parser.add_argument("--seconds", type=float, default=SECONDS, help=f"seconds at that rate ({SECONDS:g})")
    parser.add_argument(
        "--equal", action="store_true", help="let workers have as much of the CPU as web and PostgreSQL"
    )
    asked = parser.parse_args()
    with Servers() as servers:
        found = results.surroundings(servers) | measure(servers, asked.rate, asked.seconds, asked.equal)
    console = Console()
    console.print(_table(found))
    console.print(f"of {found['pipeline']['accepted']} accepted, notified at the end: {found['pipeline']['notified']}")
    console.print(f"accepted and lost: {found['lost']}")
    console.print(f"workers make way: {'yes' if found['workers_make_way'] else 'no'}")
    if (asked.rate, asked.seconds, asked.equal) == (RATE, SECONDS, False):
        results.store("intake", found)
    return 1 if found["lost"] else 0


if __name__ == "__main__":
    sys.exit(main())
