"""One round of one contender: fresh database and virtual host, warm workers, then the measurements.

Time is the database's, for everybody: from `created_at` of a ticket, set by the statement that stores it, to `sent_at` of its
last notification.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import psycopg2

from bench.contenders import Contender
from bench.meter import Peaks, cpu
from bench.services import ROOT, Servers, Workers

#: Tickets that warm the workers up: imports, the classifier's model, compiled statements, connections.
WARM_UP = 400
#: Seconds after which a contender that has not finished fails.
PATIENCE = 240.0
#: The steady load that everybody gets, in tickets/s, and the share of its own capacity.
STEADY, SHARE = 50.0, 0.7

#: About the tickets after the one with this id.
UNFINISHED = "SELECT EXISTS (SELECT FROM tickets WHERE id > %s AND stage IN ('received', 'prepared', 'classified'))"
UNSENT = "SELECT EXISTS (SELECT FROM notifications WHERE ticket_id > %s AND state <> 'sent')"
EFFECTS = """
    SELECT (SELECT count(*) FROM tickets WHERE id > %(id)s AND stage = 'notified' AND category <> '' AND language <> ''),
           (SELECT count(*) FROM verdicts WHERE ticket_id > %(id)s),
           (SELECT count(*) FROM notifications WHERE ticket_id > %(id)s AND state = 'sent')
"""
#: How many there are, the seconds from the first to be stored to the last to be finished, from the first to the last to
#: be stored, and the milliseconds each took.
FLOW = """
    WITH flow AS (
        SELECT t.created_at, max(n.sent_at) AS finished_at
        FROM tickets t JOIN notifications n ON n.ticket_id = t.id WHERE t.id > %s GROUP BY t.id
    )
    SELECT count(*), extract(epoch FROM max(finished_at) - min(created_at))::float,
           extract(epoch FROM max(created_at) - min(created_at))::float,
           percentile_cont(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (ORDER BY extract(epoch FROM finished_at - created_at) * 1000)
    FROM flow
"""


class RoundFailed(Exception):
    """A contender did not do its work; the message says what is missing."""


@dataclass(slots=True)
class Latency:
    """How long tickets took under a steady load, in milliseconds."""

    wanted: float
    rate: float
    p50: float
    p95: float
    p99: float
    #: Microseconds of CPU for each ticket, of workers, broker and database together.
    cpu: float


@dataclass(slots=True)
class Sample:
    """What one round measured."""

    tickets: int
    tickets_per_second: float
    #: Microseconds of CPU for each ticket, by who used it.
    cpu: dict[str, float]
    memory_mb: float
    broker_connections: int
    database_connections: int
    latency: dict[str, Latency] = field(default_factory=dict)


class Round:
    """A contender's workers on servers of their own, ready and warm."""

    def __init__(self, contender: Contender, servers: Servers) -> None:
        self.contender, self.servers = contender, servers
        self.database = servers.fresh_database()
        self.vhost = servers.rabbitmq.create_vhost()
        self.environment = servers.environment(self.database, self.vhost)
        self.workers = Workers(contender, self.environment)
        self.submitted = 0
        self.connection = psycopg2.connect(self.database)
        self.connection.autocommit = True

    def __enter__(self) -> Round:
        try:
            for command in self.contender.setup:
                subprocess.run(command, env=self.workers.environment, check=True, cwd=ROOT, capture_output=True)
            self.workers.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_error: object) -> None:
        self.workers.close()
        self.connection.close()
        self.servers.postgresql.drop_database(self.database)
        self.servers.rabbitmq.delete_vhost(self.vhost)

    def warm_up(self) -> None:
        """Let every process have worked once."""
        before = self.last_id()
        self.submit(WARM_UP)
        self.wait_until_finished(before, WARM_UP)

    def throughput(self, tickets: int) -> Sample:
        """Submit as fast as it goes and wait for the last notification."""
        before, start = self.last_id(), self._cpu()
        ports = self.servers.rabbitmq.port, self.servers.postgresql.port
        with Peaks(self.workers.roots, *ports) as peaks:
            self.submit(tickets)
            self.wait_until_finished(before, tickets)
        used = {who: (seconds - start[who]) / tickets * 1e6 for who, seconds in self._cpu().items()}
        _, seconds, _, _ = self.row(FLOW, before)
        return Sample(tickets, tickets / seconds, used, peaks.memory / 1e6, peaks.broker, peaks.database)

    def latency(self, rate: float, seconds: float) -> Latency:
        """Submit at a steady rate and return how long tickets took, with the rate that was reached."""
        before, count, start = self.last_id(), max(2, round(rate * seconds)), self._cpu()
        self.submit(count, rate)
        self.wait_until_finished(before, count)
        used = sum(self._cpu().values()) - sum(start.values())
        _, _, took, (p50, p95, p99) = self.row(FLOW, before)
        return Latency(rate, (count - 1) / took, p50, p95, p99, used / count * 1e6)

    def submit(self, count: int, rate: float = 0.0) -> None:
        """Submit from a process of its own."""
        command = [
            sys.executable,
            "-m",
            "bench.submit",
            self.contender.name,
            str(self.submitted),
            str(count),
            str(rate),
        ]
        patience = PATIENCE + (count / rate if rate else 0)
        try:
            subprocess.run(command, env=self.workers.environment, check=True, cwd=ROOT, timeout=patience)
        except subprocess.SubprocessError as error:
            raise RoundFailed(f"{self.contender.name}: submitting failed: {error}") from None
        self.submitted += count

    def wait_until_finished(self, before: int, count: int) -> None:
        """Wait until every notification is sent, then check that all effects are there, once each. Raises RoundFailed."""
        self.wait(lambda: not self.row(UNFINISHED, before)[0], "unfinished tickets")
        self.wait(lambda: not self.row(UNSENT, before)[0], "unsent notifications")
        with self.connection.cursor() as cursor:
            cursor.execute(EFFECTS, {"id": before})
            effects, expected = cursor.fetchone(), (count, count, 2 * count)
        if effects != expected:
            raise RoundFailed(
                f"{self.contender.name}: tickets, verdicts, notifications are {effects}, not {expected}\n"
                f"{self.workers.output()}"
            )

    def wait(self, done: Callable[[], bool], what: str) -> None:
        """Wait a bounded time."""
        deadline = time.monotonic() + PATIENCE
        while not done():
            if time.monotonic() > deadline or not self.workers.running:
                raise RoundFailed(
                    f"{self.contender.name}: {what} after {PATIENCE:.0f} s, or its workers ended\n{self.workers.output()}"
                )
            time.sleep(0.1)

    def row(self, statement: str, *values: Any) -> tuple[Any, ...]:
        """Return the first row of a query."""
        with self.connection.cursor() as cursor:
            cursor.execute(statement, values)
            found = cursor.fetchone()
            assert found is not None
            return found

    def last_id(self) -> int:
        """Return the newest ticket's id."""
        return int(self.row("SELECT coalesce(max(id), 0) FROM tickets")[0])

    def _cpu(self) -> dict[str, float]:
        services = {"broker": [self.servers.rabbitmq.pid], "database": [self.servers.postgresql.pid]}
        return {who: cpu(roots) for who, roots in {"workers": self.workers.roots, **services}.items()}


def play(contender: Contender, servers: Servers, tickets: int, latency_seconds: float) -> Sample:
    """Return what one round of the contender measures; without latency when its seconds are 0."""
    with Round(contender, servers) as round_:
        round_.warm_up()
        sample = round_.throughput(tickets * contender.scale)
        if latency_seconds:
            sample.latency["steady"] = round_.latency(STEADY, latency_seconds)
            sample.latency["share"] = round_.latency(SHARE * sample.tickets_per_second, latency_seconds)
        return sample
