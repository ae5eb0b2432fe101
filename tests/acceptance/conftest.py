"""Starts the real commands as processes on real services, with an SMTP server, and queries their database."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from email import message_from_bytes
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from playwright.sync_api import BrowserContext
from sqlalchemy import text

from db.database import make_engine
from tests.acceptance.browser import chrome
from tests.access import grant, log_in
from tests.conftest import ROOT, environment_variables, wait_until
from tests.services import RabbitMQ, free_port, tree

# one fixture for all modules: a second one would start Playwright twice in a thread
__all__ = ["chrome"]

#: Seconds that a deploy gives a process to stop.
STOP_SECONDS = 25


class Program:
    """A command in a separate process group; its output goes to a file."""

    def __init__(self, name: str, command: list[str], env: dict[str, str], log: Path, root: Path = ROOT) -> None:
        self.name, self.command, self.env, self.log, self.root = name, command, env, log, root
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> Program:
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                self.command, env=self.env, cwd=self.root, stdout=output, stderr=output, start_new_session=True
            )
        return self

    def wait_for_output(self, expected: str, timeout: float = 120.0) -> None:
        """Wait until the output contains a text."""
        wait_until(
            lambda: expected in self.output(),
            timeout,
            lambda: f"{self.name} did not print {expected!r}:\n{self.output()[-3000:]}",
        )

    def output(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def terminate(self) -> int:
        """Send SIGTERM and return the exit code. A process that runs longer than STOP_SECONDS fails the test."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOP_SECONDS)

    def kill(self) -> None:
        """Send SIGKILL to the process and its descendants, as the loss of a machine does."""
        if self.process is not None and self.process.poll() is None:
            for pid in sorted(tree(self.process.pid)):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self.process.wait()


class _SmtpServer(Controller):
    """An SMTP server that closes its connections at the end: clients are killed, or keep a connection open."""

    def __init__(self, handler: Any) -> None:
        self._protocols: list[Any] = []
        super().__init__(handler, hostname="127.0.0.1", port=free_port(), ready_timeout=60)

    def factory(self) -> Any:
        self._protocols.append(super().factory())
        return self._protocols[-1]

    def stop(self, no_assert: bool = False) -> None:
        self.loop.call_soon_threadsafe(self._close_connections)
        super().stop(no_assert)

    def _close_connections(self) -> None:
        for protocol in self._protocols:
            if protocol.transport is not None:
                protocol.transport.close()


class Mailbox:
    """An SMTP server that counts mails by Message-ID; `slow` is the seconds that it takes over each."""

    def __init__(self) -> None:
        self.slow = 0.0
        self.received: Counter[str] = Counter()
        self.recipients: dict[str, str] = {}
        self._controller = _SmtpServer(self)
        self._controller.start()

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self._controller.port}"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
        await asyncio.sleep(self.slow)
        message_id = str(message_from_bytes(envelope.content)["Message-ID"])
        self.received[message_id] += 1
        self.recipients[message_id] = envelope.rcpt_tos[0]
        return "250 OK"

    def close(self) -> None:
        self._controller.stop()


class Installation:
    """Aura's processes on one database; `root` is the folder of the version that runs."""

    def __init__(self, folder: Path, variables: dict[str, str], root: Path = ROOT) -> None:
        self.folder, self.root = folder, root
        self.variables = variables
        self.port = free_port()
        self.programs: list[Program] = []
        self.engine = make_engine(variables["DATABASE_URL"].replace("postgresql://", "postgresql+psycopg2://"), 2)

    def env(self) -> dict[str, str]:
        hidden = set(environment_variables())
        env = {name: value for name, value in os.environ.items() if name not in hidden}
        path = f"{Path(sys.executable).parent}{os.pathsep}{env.get('PATH', '')}"
        # no digests, so that notifications can be counted
        defaults = {"PATH": path, "PORT": str(self.port), "HOST": "127.0.0.1", "AURA_DIGEST_ABOVE": "0"}
        if "RABBITMQ_URL" in self.variables:  # the passwords of the test servers; embedded, it is the default of `aura`
            defaults["AURA_ENV"] = "development"
        if self.root != ROOT:
            defaults["PYTHONPATH"] = str(self.root)
        return env | defaults | self.variables

    def start(self, name: str, *command: str) -> Program:
        program = Program(name, list(command), self.env(), self.folder / f"{name}.log", self.root)
        self.programs.append(program)
        return program.start()

    def procfile(self, name: str) -> Program:
        """Start a process of the Procfile with its exact command."""
        lines = dict(line.split(": ", 1) for line in (self.root / "Procfile").read_text().splitlines() if ": " in line)
        return self.start(name, "sh", "-c", f"exec {lines[name]}")

    def aura(self, *arguments: str, stdin: str | None = None, code: int = 0) -> subprocess.CompletedProcess[str]:
        """Run `aura` with this standard input; another exit code than `code` fails the test."""
        result = subprocess.run(
            ["aura", *arguments],
            env=self.env(),
            cwd=self.root,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=900,
        )
        assert result.returncode == code, result.stderr
        return result

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def wait_until_ready(self) -> None:
        """Wait until the web process answers that tickets can be accepted, and grant the key of `tests.access`."""

        def ready() -> bool:
            try:
                with urllib.request.urlopen(self.url("/health/ready"), timeout=10) as answer:
                    return bool(answer.status == 200)
            except OSError:
                return False

        wait_until(ready, 120, lambda: f"the web process is not ready:\n{self._outputs()}")
        grant(self.engine)

    def log_in(self, context: BrowserContext, name: str = "") -> None:
        """Log a browser in; without a name as the administrator."""
        log_in(context, self.url(""), self.env() | {"AURA_ENV": "development", "PYTHONPATH": str(ROOT)}, name)

    def _outputs(self) -> str:
        return "\n".join(f"{program.name}: {program.output()[-1000:]}" for program in self.programs)

    def scalar(self, query: str, **values: Any) -> Any:
        """Return the first value of a query."""
        with self.engine.connect() as connection:
            return connection.execute(text(query), values).scalar()

    def rows(self, query: str) -> list[Any]:
        with self.engine.connect() as connection:
            return list(connection.execute(text(query)))

    def wait_until_notified(self, tickets: int, timeout: float = 120.0) -> None:
        """Wait until this many tickets are notified and no job is left; no progress for `timeout` seconds fails the test."""
        best, last = (0, 0), time.monotonic()
        while (now := self._state()) != (tickets, 0):
            # a busy machine is only slow
            progress = now[0], self.scalar("SELECT coalesce(max(id), 0) FROM attempts WHERE outcome = 'completed'")
            if progress > best:
                best, last = progress, time.monotonic()
            stuck = f"(notified, jobs) is {now}, not ({tickets}, 0), without progress for {timeout:g} s"
            assert time.monotonic() - last < timeout, stuck
            time.sleep(0.1)

    def _state(self) -> tuple[int, int]:
        """Return how many tickets are notified, and how many jobs are left."""
        notified = self.scalar("SELECT count(*) FROM tickets WHERE stage = 'notified'")
        return notified, self.scalar("SELECT count(*) FROM jobs")

    def check_each_once(self) -> None:
        """Check that each ticket has one verdict, each step completed once, and each notification is sent."""
        assert self.rows("SELECT ticket_id FROM verdicts GROUP BY ticket_id HAVING count(*) <> 1") == []
        completed_twice = (
            "SELECT key, actor FROM attempts WHERE outcome = 'completed' GROUP BY key, actor HAVING count(*) > 1"
        )
        assert self.rows(completed_twice) == []
        assert self.scalar("SELECT count(*) FROM notifications WHERE state <> 'sent'") == 0
        without_notification = (
            "SELECT id FROM tickets t WHERE NOT EXISTS (SELECT 1 FROM notifications n WHERE n.ticket_id = t.id)"
        )
        assert self.rows(without_notification) == []
        assert self.scalar("SELECT count(*) FROM dead_letters") == 0

    def close(self) -> None:
        for program in self.programs:
            program.kill()
        self.engine.dispose()


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    mailbox = Mailbox()
    yield mailbox
    mailbox.close()


@pytest.fixture
def build(tmp_path: Path) -> Iterator[Callable[..., Installation]]:
    """Return a function that makes a installation of these environment variables."""
    installations: list[Installation] = []

    def build(**variables: str) -> Installation:
        installations.append(Installation(tmp_path, variables))
        return installations[-1]

    yield build
    for installation in installations:
        installation.close()


@pytest.fixture
def service_installation(
    build: Callable[..., Installation],
    rabbitmq: RabbitMQ,
    rabbitmq_url: str,
    postgres_url: str,
    redis_url: str,
    mailbox: Mailbox,
) -> Installation:
    """An installation on RabbitMQ, PostgreSQL, Redis and SMTP, with migrated tables."""
    installation = build(
        RABBITMQ_URL=rabbitmq_url, DATABASE_URL=postgres_url, REDIS_URL=redis_url, SMTP_URL=mailbox.url
    )
    installation.aura("migrate")
    return installation


@pytest.fixture
def embedded_installation(build: Callable[..., Installation], sqlite_url: str, mailbox: Mailbox) -> Installation:
    """An installation in embedded mode: SQLite, a broker inside the process, and SMTP."""
    return build(DATABASE_URL=sqlite_url, SMTP_URL=mailbox.url)
