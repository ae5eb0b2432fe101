"""LOG_FORMAT=json: every line of every process is one JSON object, with its traceback inside."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.services import free_port, wait_until

pytestmark = pytest.mark.integration

DRAMATIQ = [str(Path(sys.executable).with_name("dramatiq")), "actors", "--threads", "1", "--skip-logging"]
AURA = [sys.executable, "-m", "aura"]


class Process:
    """A process whose output is in a file."""

    def __init__(self, path: Path, command: list[str], env: dict[str, str]) -> None:
        self.path = path
        with path.open("wb") as output:
            self.process = subprocess.Popen(
                command, env=env, cwd=path.parent, stdout=output, stderr=output, start_new_session=True
            )

    def lines(self, but: str = "$.") -> list[dict[str, Any]]:
        """Return the lines, but those that match; fails for one that is not a JSON object."""
        found = []
        for line in self.path.read_text().splitlines():
            if re.match(but, line):
                continue
            try:
                found.append(json.loads(line))
            except ValueError:
                pytest.fail(f"not JSON: {line!r} in\n{self.path.read_text()}")
            assert isinstance(found[-1], dict), line
        return found

    def wait_for(self, text: str, seconds: float = 90) -> None:
        wait_until(lambda: text in self.path.read_text() or self.process.poll() is not None, seconds, f"no {text!r}")
        assert text in self.path.read_text()

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(how)
        return self.process.wait(60)


@pytest.fixture
def start(tmp_path: Path, postgres: str) -> Iterator[Callable[..., Process]]:
    started: list[Process] = []

    def run(command: list[str], **variables: str) -> Process:
        env = {**os.environ, "DATABASE_URL": postgres, "AURA_ENV": "development", "LOG_FORMAT": "json"}
        env |= {"PYTHONPATH": str(ROOT), **variables}
        started.append(Process(tmp_path / f"log-{len(started)}", command, env))
        return started[-1]

    yield run
    for each in started:
        if each.process.poll() is None:
            os.killpg(each.process.pid, signal.SIGKILL)
            each.process.wait()


def children(process: Process) -> list[int]:
    found = subprocess.run(["ps", "--ppid", str(process.process.pid), "-o", "pid="], capture_output=True, text=True)
    return [int(pid) for pid in found.stdout.split()]


def connect(port: int) -> socket.socket:
    """Connect once the server listens: uvicorn says that it runs before the first of several processes listens."""

    def connected() -> socket.socket | None:
        try:
            return socket.create_connection(("127.0.0.1", port), 60)
        except ConnectionRefusedError:
            return None

    return wait_until(connected, 90, "nobody listens")  # type: ignore[return-value]


@pytest.mark.parametrize("processes", ["1", "2"])
def test_web(start: Callable[..., Process], processes: str):
    port = free_port()
    web = start([*AURA, "web", "--port", str(port)], WEB_CONCURRENCY=processes, AURA_ACCESS_LOG="true")
    web.wait_for("Uvicorn running")
    for request in (b"GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", b"\0\0 no http\r\n\r\n"):
        with connect(port) as connection:
            connection.sendall(request)
            connection.recv(4096)
    if processes == "2":
        os.kill(children(web)[-1], signal.SIGKILL)
        web.wait_for("died")
    web.stop()
    events = [line["event"] for line in web.lines()]
    assert any("startup complete" in event for event in events)


def test_web_on_a_port_that_is_taken(start: Callable[..., Process]):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        web = start([*AURA, "web", "--port", str(taken.getsockname()[1])])
        assert web.process.wait(60) != 0
    assert any("address already in use" in json.dumps(line) for line in web.lines())


def test_scheduler(start: Callable[..., Process]):
    scheduler = start([*AURA, "scheduler"])
    scheduler.wait_for("became leader")
    scheduler.stop()
    assert scheduler.lines()


def test_worker_that_is_reloaded_and_loses_its_last_child(start: Callable[..., Process], rabbitmq_url: str):
    worker = start([*DRAMATIQ, "--processes", "1"], RABBITMQ_URL=rabbitmq_url)
    worker.wait_for("Worker process is ready")
    worker.process.send_signal(signal.SIGHUP)
    wait_until(lambda: worker.path.read_text().count("Worker process is ready") >= 2, 90, "no reload")
    for child in children(worker):  # the worker process, and the relay if it has started
        os.kill(child, signal.SIGKILL)
    worker.process.wait(90)
    # Dramatiq's first process, which imports no module of Aura, writes this line by itself
    assert worker.lines(but=r"Worker with PID \d+ exited unexpectedly")


WORKER = [*DRAMATIQ, "--processes", "1"]


@pytest.mark.parametrize("command", [WORKER, *([*AURA, each] for each in ("web", "scheduler", "migrate"))], ids=str)
def test_invalid_settings(start: Callable[..., Process], command: list[str]):
    process = start(command, AURA_WEB_CONNECTIONS="many")
    assert process.process.wait(90) != 0
    [line] = process.lines()
    assert "AURA_WEB_CONNECTIONS" in json.dumps(process.lines())
    assert line["level"] in ("error", "critical")


def test_a_worker_without_rabbitmq(start: Callable[..., Process]):
    keys = "0123456789abcdef0123456789abcdef"
    process = start([*DRAMATIQ, "--processes", "1"], AURA_ENV="production", AURA_ENCRYPTION_KEYS=keys)
    assert process.process.wait(90) == 2
    assert "RABBITMQ_URL" in json.dumps(process.lines())


def test_migrate_and_run(start: Callable[..., Process]):
    migrate = start([*AURA, "migrate"])
    assert migrate.process.wait(90) == 0
    assert "nothing to do" in migrate.lines()[0]["event"]
    run = start([*AURA, "run", "--port", str(free_port())])
    run.wait_for("Application startup complete")
    run.stop()
    assert any("Embedded mode" in line["event"] for line in run.lines())


def test_an_unavailable_database(start: Callable[..., Process]):
    process = start([*AURA, "migrate"], DATABASE_URL=f"postgresql://aura:hunter2@127.0.0.1:{free_port()}/aura")
    assert process.process.wait(60) == 1
    [line] = process.lines()
    assert "connection" in line["event"]
    assert "hunter2" not in json.dumps(line)
