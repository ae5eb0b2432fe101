"""`python -m bench.attacks`: attacks on the limits of web and worker, beside requests of honest clients.

Each attack runs in a process of its own and is bounded in time and bytes. Meanwhile `/health/live` and `POST /tickets` are
asked five times a second. Prints their latencies, the answers, and the peak memory of the process under attack, beside the
same figures without an attack. Exits with 1 if a process takes more memory than deploy/kubernetes gives it.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import json
import multiprocessing
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pika
import psycopg2
from rich.console import Console
from rich.table import Table

from aura import settings
from aura.notifications.signatures import new_secret, sign
from bench.contenders import CONTENDERS
from bench.intake import Web
from bench.services import ROOT, Servers, Workers
from db import api_keys, transaction
from db.database import dispose
from tests.services import tree

#: Bytes of memory that deploy/kubernetes gives to a process of each kind.
LIMITS = {"web": 384 << 20, "worker": 768 << 20, "import": 768 << 20}
#: Tickets in the database during the searches.
ROWS = 100_000
SEED = """INSERT INTO tickets (source, raw, title, description, requester, department, language, status, created_at, notified_at)
    SELECT 'bench', '{{}}', 'VPN drops ' || n, repeat('Nobody reaches the server in building ' || n || '. ', 20),
        'p' || n || '@example.com', 'D', 'en', 'closed', now(), now() FROM generate_series(1, {rows}) AS n"""


@dataclass(frozen=True)
class Target:
    """The processes under attack, and what an attacker knows."""

    port: int
    submit: str
    read: str
    mail_secret: str
    rabbitmq: str
    #: Share of the full attack: 1, or less for tests.
    scale: float = 1.0

    def times(self, number: int) -> int:
        """Return the scaled number, at least one."""
        return max(1, round(number * self.scale))


async def connection(target: Target, data: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", target.port)
    writer.write(data)
    return reader, writer


async def request(target: Target, head: str, body: bytes = b"", part: int | None = None, seconds: float = 60) -> str:
    """Send a request, or the first `part` bytes of its body. Returns the status, or what ended it."""
    try:
        async with asyncio.timeout(seconds):
            reader, writer = await connection(target, _head(target, head, len(body)))
            try:
                with suppress(ConnectionError):
                    writer.write(body[:part])
                    await writer.drain()
                answer = await reader.read()
            finally:
                writer.close()
    except (OSError, TimeoutError) as error:
        return type(error).__name__
    return answer.split(b" ", 2)[1].decode() if answer else "closed"


def _head(target: Target, text: str, length: int) -> bytes:
    """Return the head of a request: its method and path, then header lines, separated by |."""
    first, *lines = text.split("|")
    lines += [f"Host: 127.0.0.1:{target.port}", "Connection: close", f"Content-Length: {length}"]
    return "\r\n".join([f"{first} HTTP/1.1", *lines, "", ""]).encode()


async def endless_header(target: Target) -> Counter[str]:
    """One connection after the other, each with a header that does not end."""
    ends: Counter[str] = Counter()
    sent, most = 0, target.times(240_000_000)
    deadline = time.monotonic() + 20
    while sent < most and time.monotonic() < deadline:
        _, writer = await connection(target, b"GET / HTTP/1.1\r\nX: ")
        try:
            while sent < most and time.monotonic() < deadline:
                writer.write(b"a" * 65_536)
                sent += 65_536
                await writer.drain()
        except OSError as error:
            ends[type(error).__name__] += 1
        finally:
            writer.close()
    return ends


async def slow_loris(target: Target) -> Counter[str]:
    """300 connections that send their header a byte at a time, and connect again."""
    ends: Counter[str] = Counter()
    deadline = time.monotonic() + 15

    async def one() -> None:
        while time.monotonic() < deadline:
            writer = None
            try:
                reader, writer = await connection(target, b"GET / HTTP/1.1\r\nX: ")
                while time.monotonic() < deadline:
                    writer.write(b"a")
                    await writer.drain()
                    with suppress(TimeoutError):
                        async with asyncio.timeout(1):
                            if data := await reader.read(200):
                                ends[data.split(b" ", 2)[1].decode()] += 1
                                break
                            raise ConnectionResetError
            except OSError:
                ends["closed"] += 1
            finally:
                if writer is not None:
                    writer.close()

    await asyncio.gather(*(one() for _ in range(target.times(300))))
    return ends


async def anonymous_bodies(target: Target) -> Counter[str]:
    """60 large bodies without a key, and 60 mails with forged signatures that leave out their last bytes."""
    body = b"x" * 900_000
    mail = b"x" * 24_900_000
    signature = "|".join(f"{name}: {value}" for name, value in sign([new_secret()], "m", b"").items())
    head = f"POST /api/v1/mail|Content-Type: message/rfc822|{signature}"
    number = target.times(60)
    statuses = await asyncio.gather(
        *(
            request(target, "POST /api/v1/tickets|Content-Type: application/json", body, len(body) - 9)
            for _ in range(number)
        ),
        *(request(target, head, mail, len(mail) - 9) for _ in range(number)),
    )
    return Counter(statuses)


def _nested(size: int) -> bytes:
    return b'{"title":"x","a":[' + b"{}," * (size // 3) + b"{}]}"


def _padded(size: int) -> bytes:
    return b'{"title":"x","pad":"' + "ü".encode() * (size // 2) + b'"}'


async def bulk(target: Target) -> Counter[str]:
    """Two bulk requests of one key at a time: 100 lines of a megabyte, nested and padded."""
    ends: Counter[str] = Counter()
    for line in (_nested(990_000), _padded(990_000)):
        body = (line + b"\n") * target.times(100)
        head = f"POST /api/v1/tickets/bulk|Authorization: Bearer {target.submit}|Content-Type: application/x-ndjson"
        ends.update(await asyncio.gather(*(request(target, head, body) for _ in range(2))))
    return ends


async def large_tickets(target: Target) -> Counter[str]:
    """40 tickets of a megabyte at once, nested and padded."""
    head = f"POST /api/v1/tickets|Authorization: Bearer {target.submit}|Content-Type: application/json"
    ends: Counter[str] = Counter()
    for body in (_nested(990_000), _padded(990_000)):
        ends.update(await asyncio.gather(*(request(target, head, body) for _ in range(target.times(40)))))
    return ends


async def searches(target: Target) -> Counter[str]:
    """12 searches of 20 words and 12 exports without a match at once, again and again."""
    ends: Counter[str] = Counter()
    key = f"Authorization: Bearer {target.read}"
    words = "+".join(f"nothing{n}" for n in range(20))
    deadline = time.monotonic() + target.times(20)

    async def one(path: str) -> None:
        while time.monotonic() < deadline:
            ends[await request(target, f"GET {path}|{key}", seconds=30)] += 1
            await asyncio.sleep(0.05)

    paths = (f"/tickets?q={words}", "/tickets.csv?q=nothing", "/api/v1/tickets?department=nothing")
    await asyncio.gather(*(one(path) for path in paths for _ in range(target.times(12))))
    return ends


async def mail_headers(target: Target) -> Counter[str]:
    """Three signed mails of 24 MB of short header lines at once."""
    body = b"From: a@example.com\r\nSubject: x\r\n" + b"X: y\r\n" * target.times(4_000_000) + b"\r\nhello"
    signature = "|".join(f"{name}: {value}" for name, value in sign([target.mail_secret], "m", body).items())
    head = f"POST /api/v1/mail|Content-Type: message/rfc822|{signature}"
    return Counter(await asyncio.gather(*(request(target, head, body) for _ in range(3))))


async def large_messages(target: Target) -> Counter[str]:
    """Three messages of 100 MB on the exchange of tickets."""
    with pika.BlockingConnection(pika.URLParameters(target.rabbitmq)) as broker:
        channel = broker.channel()
        for _ in range(3):
            channel.basic_publish("tickets", "ticket.created", b"x" * target.times(100_000_000))
    await asyncio.sleep(10 * target.scale)
    return Counter({"published": 3})


ATTACKS: dict[str, tuple[str, Callable[[Target], Coroutine[Any, Any, Counter[str]]]]] = {
    "endless header": ("web", endless_header),
    "slow loris": ("web", slow_loris),
    "anonymous bodies": ("web", anonymous_bodies),
    "bulk": ("web", bulk),
    "large tickets": ("web", large_tickets),
    "searches": ("web", searches),
    "mail headers": ("web", mail_headers),
    "large messages": ("worker", large_messages),
}


def _run(name: str, target: Target, answers: Any) -> None:
    answers.put(dict(asyncio.run(ATTACKS[name][1](target))))


@dataclass
class Figures:
    """What honest clients saw, and the memory of the process under attack."""

    live: list[float] = field(default_factory=list)
    created: list[float] = field(default_factory=list)
    statuses: Counter[str] = field(default_factory=Counter)
    peak: int = 0
    answers: dict[str, int] = field(default_factory=dict)


async def probe(target: Target, figures: Figures, until: Callable[[], bool]) -> None:
    """Ask as two honest clients do, five times a second."""
    head = f"POST /tickets|Authorization: Bearer {target.submit}|Content-Type: application/json"

    async def ask(to: list[float], what: str, body: bytes = b"") -> None:
        while not until():
            started = time.perf_counter()
            figures.statuses[await request(target, what, body)] += 1
            to.append(time.perf_counter() - started)
            await asyncio.sleep(0.2)

    await asyncio.gather(
        ask(figures.live, "GET /health/live"), ask(figures.created, head, b'{"title": "VPN drops", "requester": "ada"}')
    )


def _peak(pids: list[int]) -> int:
    """Return the largest peak of resident memory of the processes, in bytes."""
    peaks = [0]
    for pid in pids:
        with suppress(OSError):
            for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines():
                if line.startswith("VmHWM:"):
                    peaks.append(int(line.split()[1]) << 10)
    return max(peaks)


def measure(target: Target, name: str, pids: list[int], calm_seconds: float = 6.0) -> Figures:
    """Return the figures of an attack, or those without one for the name `calm`."""
    for pid in pids:
        with suppress(OSError):
            Path(f"/proc/{pid}/clear_refs").write_text("5", encoding="ascii")  # VmHWM begins again
    figures = Figures()
    if name == "calm":
        end = time.monotonic() + calm_seconds
        asyncio.run(probe(target, figures, lambda: time.monotonic() > end))
    else:
        context = multiprocessing.get_context("spawn")
        answers = context.Queue()
        attacker = context.Process(target=_run, args=(name, target, answers), daemon=True)
        attacker.start()
        end = time.monotonic() + 120
        asyncio.run(probe(target, figures, lambda: not attacker.is_alive() or time.monotonic() > end))
        with suppress(Exception):
            figures.answers = answers.get(timeout=5)
        attacker.kill()
        attacker.join()
    figures.peak = _peak(pids)
    return figures


@contextmanager
def system(servers: Servers, scale: float = 1.0, rows: int = ROWS) -> Iterator[tuple[Target, list[int], list[int]]]:
    """Start web and worker. Yields the target and the processes of each."""
    environment = servers.environment(servers.fresh_database(), servers.rabbitmq.create_vhost())
    secret = new_secret()
    environment |= {"AURA_MAIL_WEBHOOK_SECRET": secret, "AURA_INCIDENT_TICKETS": "1000000", "AURA_DIGEST_ABOVE": "0"}
    settings.use(settings.given(env="development", DATABASE_URL=environment["DATABASE_URL"]))
    try:
        with transaction() as session:
            submit, read = (api_keys.create(session, scope, [scope])[1] for scope in ("submit", "read"))
    finally:
        dispose()
    with psycopg2.connect(environment["DATABASE_URL"]) as database, database.cursor() as cursor:
        cursor.execute(SEED.format(rows=rows))
    with Workers(CONTENDERS["aura"], environment) as workers, Web(environment) as web:
        target = Target(web.port, submit, read, secret, environment["RABBITMQ_URL"], scale)
        yield target, [web.pid], [pid for root in workers.roots for pid in tree(root)]


def import_bombs(scale: float = 1.0) -> dict[str, tuple[int, int]]:
    """Import gzip files that expand a thousand times. Returns exit code and peak memory of each."""
    found: dict[str, tuple[int, int]] = {}
    size = max(1_000_000, int(1_000_000_000 * scale))
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "DATABASE_URL": f"sqlite:///{folder}/aura.db", "PYTHONPATH": str(ROOT)}
        os.spawnvpe(os.P_WAIT, sys.executable, [sys.executable, "-m", "aura", "migrate"], environment)
        for name, head, repeated in (
            ("one line.jsonl.gz", b'{"title": "', b"x" * 1000),
            ("rows.csv.gz", b"title\n", b"VPN\n"),
        ):
            path = Path(folder, name)
            with gzip.open(path, "wb", 9) as packed:
                packed.write(head)
                block = repeated * (1_000_000 // len(repeated))
                for _ in range(size // len(block)):
                    packed.write(block)
            command = [sys.executable, "-m", "aura", "import", str(path), "--dry-run"]
            pid = os.spawnvpe(os.P_NOWAIT, sys.executable, command, environment)
            _, status, usage = os.wait4(pid, 0)
            found[name] = os.waitstatus_to_exitcode(status), usage.ru_maxrss << 10
    return found


def _milliseconds(values: list[float]) -> str:
    ordered = sorted(values) or [0.0]
    return f"{ordered[len(ordered) // 2] * 1000:.0f} / {ordered[-1] * 1000:.0f}"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.attacks", description=__doc__)
    parser.add_argument("names", nargs="*", help=f"attacks ({', '.join(ATTACKS)}, import); default: all")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the full attacks (1)")
    parser.add_argument("--rows", type=int, default=ROWS, help=f"tickets in the database ({ROWS})")
    asked = parser.parse_args()
    names = [name for name in ATTACKS if not asked.names or name in asked.names]
    console = Console(width=190)
    columns = ("", "peak MB", "limit MB", "live p50/max ms", "POST p50/max ms", "honest answers", "attacker's answers")
    table, failed = Table(*columns, header_style="bold"), False
    with Servers() as servers, system(servers, asked.scale, asked.rows) as (target, web, worker):
        for name in ("calm", *names):
            kind = ATTACKS[name][0] if name in ATTACKS else "web"
            figures = measure(target, name, web if kind == "web" else worker)
            failed |= figures.peak > LIMITS[kind]
            print(
                f"{name}: peak {figures.peak >> 20} MB, attacker's answers {figures.answers}",
                file=sys.stderr,
                flush=True,
            )
            table.add_row(
                name,
                f"{figures.peak / (1 << 20):.0f}",
                f"{LIMITS[kind] >> 20}",
                _milliseconds(figures.live),
                _milliseconds(figures.created),
                json.dumps(figures.statuses),
                json.dumps(figures.answers),
            )
    if not asked.names or "import" in asked.names:
        for name, (code, peak) in import_bombs(asked.scale).items():
            failed |= peak > LIMITS["import"]
            table.add_row(name, f"{peak / (1 << 20):.0f}", f"{LIMITS['import'] >> 20}", "", "", f"exit code {code}", "")
    console.print(table)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
