"""What import-linter cannot see: what is loaded when."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from aura import VERSION
from tests.conftest import ROOT, environment_variables

PACKAGES = {"aura", "pipelines", "actors", "db", "bench", "tests"}


def imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def test_settings_import_nothing_of_aura_but_its_errors():
    tree = ast.parse((ROOT / "aura/settings.py").read_text())

    ours = {name for name in imported(tree) if name.partition(".")[0] in PACKAGES}
    assert ours <= {"aura", "aura.errors", "aura.error_text"}, "database_url and service_passwords are modules of aura"


def test_the_help_of_the_command_imports_no_other_package():
    script = """
import atexit, sys

atexit.register(lambda: print(*{".".join(name.split(".")[:2]) for name in sys.modules}, file=sys.stderr))
sys.argv = ["aura", "--help"]
from aura import cli
cli.main()
"""

    result = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)

    assert "aura demo" in result.stdout, result.stderr
    ours = {name for name in result.stderr.split() if name.partition(".")[0] in PACKAGES}
    assert ours <= {"aura", "aura.cli", "aura.errors", "aura.settings"}


def test_the_version_of_the_command_imports_no_third_party_package():
    script = """
import sys
before = set(sys.modules)
sys.argv = ["aura", "--version"]
from importlib.metadata import entry_points
(command,) = entry_points(group="console_scripts", name="aura")
command.load()()
third_party = {name.partition(".")[0] for name in set(sys.modules) - before} - set(sys.stdlib_module_names)
print(*sorted(third_party))
"""

    result = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)

    assert result.stdout.splitlines() == [f"aura {VERSION}", "aura"], result.stderr


def test_every_package_is_checked_by_import_linter():
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests", "bench"}

    assert packages <= PACKAGES, "add the new package to [importlinter] in setup.cfg and to PACKAGES"


CLOSED = "127.0.0.1:1"


@pytest.mark.slow
@pytest.mark.parametrize(
    "variables",
    [
        {"DATABASE_URL": f"postgresql://{CLOSED}/aura", "RABBITMQ_URL": f"amqp://{CLOSED}/"},
        {"DATABASE_URL": "sqlite:////nowhere/aura.db"},
    ],
    ids=["services", "embedded"],
)
def test_a_worker_loads_no_more_than_it_needs_and_connects_to_nothing(variables: dict[str, str], tmp_path: Path):
    script = """
import socket, sqlite3, sys

def refuse(*_, **__):
    raise SystemExit("importing actors opened a connection")

socket.socket.connect = socket.create_connection = sqlite3.connect = refuse
import psycopg2
psycopg2.connect = refuse
import actors, pipelines
heavy = {"openai", "fastapi", "starlette", "uvicorn", "sklearn", "numpy", "scipy", "alembic", "typer", "httpx2"}
heavy |= {"redis", "pybreaker", "opentelemetry", "jinja2", "babel", "lxml", "chardet", "sentry_sdk", "apscheduler"}
loaded = sorted(heavy & set(sys.modules))
print(loaded, type(actors.broker.source).__name__)
"""
    environment = {name: value for name, value in os.environ.items() if name not in environment_variables()}

    result = subprocess.run(
        [sys.executable, "-c", script],
        env=environment | variables | {"PYTHONPATH": str(ROOT), "OPENAI_API_KEY": "sk-test", "AURA_ENV": "development"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )

    source = "RabbitmqSource" if "RABBITMQ_URL" in variables else "LocalQueues"
    assert (result.stdout.strip(), result.returncode) == (f"[] {source}", 0), result.stderr


def import_cost(modules: str) -> float:
    """Return the CPU seconds of a process that imports the modules."""
    script = f"import {modules}, time; print(time.process_time())"
    return float(subprocess.check_output([sys.executable, "-c", script], cwd=ROOT, text=True))


@pytest.mark.slow
def test_importing_the_actors_costs_little_more_than_the_libraries_below_them():
    below = "dramatiq, pika, sqlalchemy.orm, sqlalchemy.dialects.postgresql, psycopg2, pydantic_settings, structlog"
    libraries, ours = [import_cost(below)], [import_cost("actors")]

    # the least of each counts: other processes only make an import dearer
    while min(ours) > 2.5 * min(libraries) and len(ours) < 12:
        libraries.append(import_cost(below))
        ours.append(import_cost("actors"))

    assert min(ours) < 2.5 * min(libraries)
