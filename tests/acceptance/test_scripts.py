"""deploy/scripts: start.sh runs everything, services.sh private servers, health.sh checks them."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests import access
from tests.acceptance.conftest import Program
from tests.conftest import ROOT, wait_until
from tests.install import install
from tests.services import free_port, missing, reserve_port

SCRIPTS = ROOT / "deploy/scripts"


@pytest.fixture
def environment() -> Iterator[dict[str, str]]:
    """Yield the environment of the scripts; the servers are stopped after the test."""
    install(missing)
    # as root not in TMPDIR, which the user postgres may be unable to enter
    folder = Path(tempfile.mkdtemp(prefix="aura-", dir="/tmp" if os.geteuid() == 0 else None))
    folder.chmod(0o755)
    ports = {name: str(free_port()) for name in ("RABBITMQ_MANAGEMENT_PORT", "POSTGRES_PORT", "REDIS_PORT", "PORT")}
    bin = Path(sys.executable).parent
    environment = ports | {
        "PATH": f"{bin}{os.pathsep}{os.environ['PATH']}",
        "AURA_SERVICES": str(folder),
        "RABBITMQ_HOST": "127.0.0.1",
        "RABBITMQ_PORT": str(rabbitmq_port()),
    }
    # the pipe closes with this process, however it ends
    guard = ["sh", "-c", f"read _; exec {SCRIPTS}/services.sh stop"]
    stopping = subprocess.Popen(guard, env=environment, stdin=subprocess.PIPE, start_new_session=True)
    yield environment
    stopping.communicate(timeout=180)
    shutil.rmtree(folder)


def rabbitmq_port() -> int:
    """Return a free port; what belongs to RabbitMQ listens 20,000 ports higher."""
    while not reserve_port(20_000 + (port := free_port(range(5_000, 11_000)))):
        pass
    return port


def run_script(name: str, *arguments: str, environment: dict[str, str]) -> tuple[int, str]:
    """Run a script. Returns its exit code and its output."""
    command = ["sh", str(SCRIPTS / f"{name}.sh"), *arguments]
    ran = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=300)
    return ran.returncode, ran.stdout + ran.stderr


def test_start_runs_everything_health_checks_it_and_services_stops_it(
    environment: dict[str, str], tmp_path: Path
) -> None:
    address = f"http://127.0.0.1:{environment['PORT']}"

    def stage() -> str:
        with suppress(OSError), urllib.request.urlopen(access.request(f"{address}/tickets/1"), timeout=30) as answer:
            return str(json.load(answer)["stage"])
        return ""

    def is_healthy() -> bool:
        return run_script("health", environment=asking)[0] == 0

    # Given everything, from one script
    start = Program("start", ["sh", "deploy/scripts/start.sh"], environment, tmp_path / "start.log").start()
    try:
        start.wait_for_output("Uvicorn running", 300)
        env = (Path(environment["AURA_SERVICES"]) / "env").read_text()
        asking = environment | dict(line.removeprefix("export ").split("=", 1) for line in env.splitlines())

        # When all is up, then the checks pass, and a ticket is notified
        wait_until(is_healthy, 180, lambda: run_script("health", environment=asking)[1])
        assert run_script("services", "health", environment=environment)[0] == 0
        access.grant(asking["DATABASE_URL"])
        body = json.dumps({"title": "Printer jams", "description": "Paper jam", "requester": "ann@example.com"})
        request = access.request(f"{address}/tickets", body.encode())
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert answer.status == 202
        wait_until(lambda: stage() == "notified", 240, start.output)

        # When it is stopped, then it exits with 0, and the checks fail
        assert start.terminate() == 0, start.output()
    finally:
        start.kill()
    code, text = run_script("health", environment=asking)
    assert code == 1
    assert "ok   rabbitmq alarms" in text
    assert "FAIL web" in text

    # When the servers are stopped, then none of them answers
    assert run_script("services", "stop", environment=environment)[0] == 0
    code, text = run_script("services", "status", environment=environment)
    assert (code, text.count("does not answer")) == (1, 3)
    code, text = run_script("health", environment=asking)
    assert code == 1
    assert "FAIL rabbitmq alarms" in text


def test_a_port_in_use_is_named(environment: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", int(environment["POSTGRES_PORT"]))):
        code, text = run_script("services", "start", environment=environment)
    assert code == 1
    assert f"port {environment['POSTGRES_PORT']} is taken by another server" in text
    assert "POSTGRES_PORT" in text


def test_an_unknown_command_is_answered_with_the_usage(environment: dict[str, str]) -> None:
    code, text = run_script("services", "restart", environment=environment)
    assert code == 1
    assert "services.sh start|stop|status|health" in text
