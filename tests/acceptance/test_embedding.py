"""Aura inside another project: its settings.py, web.py and ai/ do not collide, and Django shares its transaction."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from aura import VERSION
from tests.acceptance.conftest import STOP_SECONDS, Program
from tests.conftest import environment_variables

BIN = Path(sys.executable).parent

SETTINGS = """\
import os
import sys
from urllib.parse import urlsplit

sys.modules["psycopg"] = None  # Django prefers psycopg 3, which the benchmarks install

url = urlsplit(os.environ.get("DATABASE_URL", "postgresql://user:password@localhost/name"))
SECRET_KEY = "only for tests"
ALLOWED_HOSTS = ["testserver"]
ROOT_URLCONF = "urls"
USE_TZ = True
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": url.path.strip("/"),
        "USER": url.username,
        "PASSWORD": url.password or "",
        "HOST": url.hostname,
        "PORT": url.port,
    }
}
"""

URLS = """\
from django.db import connection, transaction
from django.http import HttpRequest, HttpResponse
from django.urls import path

from db import join_transaction, tickets
from db.new_tickets import NewTicket
from pipelines import triage


class Refused(Exception):
    pass


@transaction.atomic
def order(request: HttpRequest) -> HttpResponse:
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO orders (item) VALUES (%s)", [request.GET["item"]])
    with join_transaction(connection.connection) as session:
        [number] = tickets.create(session, "shop", [(NewTicket(title=f"Deliver {request.GET['item']}"), {})])
        triage.send(number)
    if "refuse" in request.GET:
        raise Refused
    return HttpResponse(str(number))


urlpatterns = [path("order", order)]
"""

CHECK = """\
import os

import django

os.environ["DJANGO_SETTINGS_MODULE"] = "settings"
django.setup()

from django.db import connection
from django.test import Client

import ai, settings, web

assert (settings.ROOT_URLCONF, web.NAME, ai.NAME) == ("urls", "the project's web", "the project's ai")


def rows():
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT (SELECT count(*) FROM orders), (SELECT count(*) FROM tickets),"
            " (SELECT count(*) FROM jobs WHERE actor = 'intake'), (SELECT count(*) FROM outbox)"
        )
        return cursor.fetchone()


with connection.cursor() as cursor:
    cursor.execute("CREATE TABLE orders (item text)")
client = Client(raise_request_exception=False)

assert client.get("/order?item=lamp&refuse").status_code == 500
assert rows() == (0, 0, 0, 0), rows()
assert client.get("/order?item=lamp").status_code == 200
orders, tickets, jobs, events = rows()
assert (orders, tickets, jobs) == (1, 1, 1), rows()
# the connection still belongs to Django
assert client.get("/order?item=desk").status_code == 200
assert client.get("/order?item=chair&refuse").status_code == 500
assert rows()[:3] == (2, 2, 2), rows()
print("ok")
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with a settings.py, a web.py and an ai/ that do not belong to Aura."""
    folder = tmp_path / "project"
    (folder / "ai").mkdir(parents=True)
    (folder / "ai" / "__init__.py").write_text('NAME = "the project\'s ai"\n')
    (folder / "web.py").write_text('NAME = "the project\'s web"\n')
    (folder / "settings.py").write_text(SETTINGS)
    (folder / "urls.py").write_text(URLS)
    (folder / "check.py").write_text(CHECK)
    return folder


def environment(**variables: str) -> dict[str, str]:
    hidden = {*environment_variables(), "PYTHONPATH"}
    path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    return (
        {name: value for name, value in os.environ.items() if name not in hidden}
        | {"PATH": path, "AURA_ENV": "development"}
        | variables
    )


def run(project: Path, *command: str, **variables: str) -> str:
    ran = subprocess.run(
        command, cwd=project, env=environment(**variables), capture_output=True, text=True, timeout=120
    )
    assert ran.returncode == 0, f"{command}\n{ran.stdout}{ran.stderr}"
    return ran.stdout


def test_commands_and_imports_work_beside_modules_of_the_same_names(project: Path) -> None:
    assert run(project, sys.executable, "-m", "aura", "--version") == f"aura {VERSION}\n"
    assert run(project, sys.executable, "-c", "from pipelines import triage; print(triage.name)") == "triage\n"
    imported = "import actors, settings, web, ai; print(settings.ROOT_URLCONF, web.NAME, ai.NAME)"
    assert run(project, sys.executable, "-c", imported) == "urls the project's web the project's ai\n"


def test_the_worker_command_starts_and_stops_in_another_project(
    project: Path, tmp_path: Path, rabbitmq_url: str, postgres_url: str
) -> None:
    variables = {"RABBITMQ_URL": rabbitmq_url, "DATABASE_URL": postgres_url}
    run(project, sys.executable, "-m", "aura", "migrate", **variables)
    command = [str(BIN / "dramatiq"), "actors", "--processes", "1", "--threads", "2"]
    worker = Program("worker", command, environment(**variables), tmp_path / "log", project).start()
    try:
        worker.wait_for_output("Worker process is ready")
        assert worker.process is not None
        worker.process.send_signal(signal.SIGTERM)
        assert worker.process.wait(STOP_SECONDS) == 0, worker.output()
    finally:
        worker.kill()
    assert not re.search("ImportError|Traceback", worker.output())


def test_a_django_view_sends_a_ticket_in_its_own_transaction(project: Path, postgres_url: str) -> None:
    run(project, sys.executable, "-m", "aura", "migrate", DATABASE_URL=postgres_url)
    assert run(project, sys.executable, "check.py", DATABASE_URL=postgres_url) == "ok\n"
