"""The snippets of how-to/send-tickets.md, run against the real processes."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

from tests.acceptance.conftest import Installation
from tests.conftest import ROOT
from tests.install import tool

PAGE = (ROOT / "docs/how-to/send-tickets.md").read_text()
#: The package of `npm install amqplib`, in a tested version; it has no dependencies.
AMQPLIB = "amqplib@2.3.1"
#: Calls each web framework's snippet as a browser, or the program around it, would.
FRAMEWORKS = """
import flask_app
form = {"what": "The gate of hall 2 does not open", "who": "kim@example.com", "form_id": "form-1"}
for _ in range(2):  # a double click
    assert flask_app.app.test_client().post("/help", data=form).status_code == 202
import django_app
django_app.request_help(7, "The lift stands still", "kim@example.com")
import fastapi_app
from fastapi.testclient import TestClient
assert TestClient(fastapi_app.app).post("/help", json=form | {"form_id": "form-2"}).json()["ticket"] > 0
"""


def blocks(language: str) -> dict[str, str]:
    """The snippets of a language by the file that their first line names."""
    matches = re.findall(rf"^```{language}\n((?:#|//) (\S+)\n.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    return {name: code for code, name in matches}


def test_each_snippet_sends_a_ticket_once(service_installation: Installation) -> None:
    installation = service_installation
    installation.procfile("worker").wait_for_output("Worker process is ready")
    installation.procfile("web")
    key = json.loads(
        installation.aura("api-keys", "create", "snippets", "--scope", "submit", "--format", "json").stdout
    )["key"]
    installation.wait_until_ready()
    folder = installation.folder / "snippets"
    folder.mkdir()
    files = blocks("python") | blocks("js")
    for name, code in files.items():
        (folder / name).write_text(code)
    (folder / "frameworks.py").write_text(FRAMEWORKS)
    env = installation.env() | {"AURA_URL": installation.url(""), "AURA_KEY": key, "PYTHONPATH": str(folder)}

    def run(*command: str, good: bool = True) -> None:
        result = subprocess.run(command, env=env, cwd=folder, capture_output=True, text=True, timeout=120)
        assert (result.returncode == 0) == good, f"{command}\n{result.stdout}{result.stderr}"

    programs = {".py": sys.executable, ".mjs": tool("node")}
    run(tool("npm"), "install", "--no-save", "--no-audit", "--no-fund", "--ignore-scripts", AMQPLIB)
    alone = ["script.py", "same_transaction.py", "publish.py", "create_ticket.mjs", "publish.mjs"]
    assert set(files) == {"aura_client.py", "flask_app.py", "django_app.py", "fastapi_app.py", *alone}
    for name in (*alone, "frameworks.py"):
        for _ in range(1 if name == "same_transaction.py" else 2):
            run(programs[Path(name).suffix], name)
    # a message that RabbitMQ returns is an error
    for name in ("publish.py", "publish.mjs"):
        (folder / f"unrouted_{name}").write_text(files[name].replace("ticket.created", "no.queue"))
        run(programs[Path(name).suffix], f"unrouted_{name}", good=False)
    shell = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    tool("curl")
    for command in shell:
        for _ in range(2):
            run("sh", "-e", "-c", command)
    sent = {
        "script": 1,
        "same transaction": 1,
        "pika": 1,
        "fetch": 1,
        "amqplib": 1,
        "flask": 1,
        "django": 1,
        "fastapi": 1,
        "curl": 1,
        "bulk": 2,
    }
    installation.wait_until_notified(sum(sent.values()))
