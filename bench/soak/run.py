"""Runs the soak test: web, workers and scheduler on RabbitMQ and PostgreSQL, tickets over HTTP, a sample now and then."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench.contenders import CONTENDERS
from bench.intake import Web
from bench.services import DurablePostgreSQL, Servers, Workers
from bench.soak.sampler import Sampler
from bench.submit import ticket
from tests.access import KEY

#: Tickets of one request, and most tickets that are not notified while more are sent.
BULK, WINDOW = 200, 5_000
#: Seconds between two samples, and for the last tickets.
EVERY, PATIENCE = 30.0, 120.0
#: Days of retention, so that rows of an hour ago are expired during the test: five minutes.
RETENTION_DAYS = 300 / 86_400


class ObservedPostgreSQL(DurablePostgreSQL):
    """PostgreSQL that counts and times statements."""

    def spawn(self, command: list[str], **options: Any) -> subprocess.Popen[bytes]:
        return super().spawn([*command, "-c", "shared_preload_libraries=pg_stat_statements"], **options)


class Scheduler(Workers):
    """The scheduler, with retention once a minute."""

    def launch(self) -> subprocess.Popen[bytes]:
        started = self.spawn([sys.executable, "-m", "aura", "scheduler"], environment=self.environment)
        self.roots = [started.pid]
        return started

    def answers(self) -> bool:
        return True


def soak(tickets: int, seconds: float, every: float = EVERY, report: Callable[[str], None] = print) -> dict[str, Any]:
    """Let so many tickets pass, for at most so many seconds; return the samples."""
    with Servers(ObservedPostgreSQL()) as servers, TemporaryDirectory() as folder:
        schedules = Path(folder, "schedules.yaml")
        schedules.write_text('retention: {when: "* * * * *"}\n')
        environment = servers.environment(servers.fresh_database(), servers.rabbitmq.create_vhost()) | {
            "AURA_DIGEST_ABOVE": "0",
            "AURA_INCIDENT_TICKETS": "1000000000",
            "AURA_JOB_RETENTION_DAYS": str(RETENTION_DAYS),
            "AURA_NOTIFICATION_RETENTION_DAYS": str(RETENTION_DAYS),
            "AURA_SCHEDULES": str(schedules),
        }
        contender = CONTENDERS["aura-events"]
        with (
            Workers(contender, environment) as workers,
            Web(environment) as web,
            Scheduler(contender, environment) as scheduler,
        ):
            roots = {"worker command": workers.roots[0], "web": web.pid, "scheduler": scheduler.roots[0]}
            ports = servers.rabbitmq.port, servers.postgresql.port
            sampler = Sampler(environment["DATABASE_URL"], roots, ports)
            try:
                return _drive(sampler, web.port, tickets, seconds, every, report)
            finally:
                sampler.close()


def _drive(
    sampler: Sampler, port: int, tickets: int, seconds: float, every: float, report: Callable[[str], None]
) -> dict[str, Any]:
    started, sent, samples = time.monotonic(), 0, [sampler.sample()]
    next_sample = started + every
    client = _Client(port)
    while sent < tickets and time.monotonic() < started + seconds:
        done, unfinished = sampler.done()
        if unfinished < WINDOW:
            sent += client.send(range(sent, min(sent + BULK, tickets)))
        else:
            time.sleep(0.05)
        if time.monotonic() >= next_sample:
            samples.append(sampler.sample())
            next_sample = max(next_sample + every, time.monotonic())
            report(f"{done:,} of {tickets:,} tickets after {samples[-1]['seconds']:,.0f} s")
    deadline = time.monotonic() + PATIENCE
    while sampler.done()[1] and time.monotonic() < deadline:
        time.sleep(0.2)
    samples.append(sampler.sample())
    return {"sent": sent, "done": samples[-1]["done"], "seconds": time.monotonic() - started, "samples": samples}


class _Client:
    """Sends tickets to the bulk route."""

    def __init__(self, port: int) -> None:
        self._port = port

    def send(self, numbers: range) -> int:
        """Send the tickets until each was accepted; return how many there are."""
        waiting = list(numbers)
        while waiting:
            try:
                stored = self._post(waiting, f"soak-{numbers.start}-{len(waiting)}")
                waiting = [number for line, number in enumerate(waiting, 1) if line not in stored]
            except (OSError, http.client.HTTPException):
                stored = set()
            if waiting:
                time.sleep(0.5)
        return len(numbers)

    def _post(self, numbers: Sequence[int], key: str) -> set[int]:
        """Return the lines that were accepted; a repeated request with the same key stores no ticket twice."""
        lines = [json.dumps(ticket(number).model_dump(exclude_none=True)) for number in numbers]
        headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/x-ndjson", "Idempotency-Key": key}
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        try:
            connection.request("POST", "/api/v1/tickets/bulk", "\n".join(lines), headers)
            response = connection.getresponse()
            answers = [json.loads(line) for line in response.read().splitlines()]
        finally:
            connection.close()
        return {each["line"] for each in answers if "id" in each} if response.status == 200 else set()
