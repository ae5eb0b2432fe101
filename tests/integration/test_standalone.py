"""The job system without the service desk, on RabbitMQ and PostgreSQL: the README's example runs, and loads none of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT, environment_variables, wait_until
from tests.standalone import example, program

pytestmark = pytest.mark.integration

SEND = """
import greetings
greetings.greetings.send("Grace")
"""


@pytest.fixture
def environment(own_postgres: str, rabbitmq_url: str, tmp_path: Path) -> dict[str, str]:
    (tmp_path / "greetings.py").write_text(example())
    clean = {name: value for name, value in os.environ.items() if name not in environment_variables()}
    services = {"AURA_ENV": "development", "DATABASE_URL": own_postgres, "RABBITMQ_URL": rabbitmq_url}
    return clean | services | {"PYTHONPATH": f"{ROOT}:{tmp_path}", "PYTHONUNBUFFERED": "1"}


def run(script: str, environment: dict[str, str], folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", script]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)


def test_the_example_of_the_readme_runs_without_the_service_desk(environment: dict[str, str], tmp_path: Path):
    result = run(program(), environment, tmp_path)

    assert (result.stdout.splitlines(), result.returncode) == (["[('Ada', 3)]", "[]"], 0), result.stderr


def test_the_worker_command_of_another_program_has_a_relay_of_its_own(environment: dict[str, str], tmp_path: Path):
    command = [sys.executable, "-m", "dramatiq", "greetings", "--processes", "1", "--threads", "2"]
    output = tmp_path / "output"
    with output.open("w") as file:
        worker: Any = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=file, stderr=file)
    try:
        assert run(SEND, environment, tmp_path).returncode == 0
        wait_until(lambda: "('Grace', 5)" in output.read_text(), 180, "the second step has not run")
    finally:
        worker.send_signal(signal.SIGTERM)
        code = worker.wait(60)
    assert code == 0, output.read_text()
