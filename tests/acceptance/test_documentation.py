"""Every command of the documentation, run page by page against the real processes."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.acceptance.conftest import Installation, Mailbox
from tests.documents import ROOT, blocks, name_of, needs_services, pages, parse, script
from tests.install import tool

#: Pages whose blocks another test runs.
ELSEWHERE = {
    "README.md": "tests/acceptance/test_readme.py",
    "how-to/send-tickets.md": "tests/acceptance/test_integrating.py",
    "how-to/verify-webhooks.md": "tests/unit/docs/test_webhooks_page.py",
}
RUN = [page for page in pages() if name_of(page) not in ELSEWHERE and any(not b.not_run for b in blocks(page))]
EMBEDDED = [page for page in RUN if not needs_services(page)]
SERVICES = [page for page in RUN if needs_services(page)]

#: Three dead letters with one cause, one that was replayed too often, two messages; and a job that is due tomorrow.
SEED = """
from datetime import UTC, datetime, timedelta
from db import transaction
from db.models import DeadLetter, Job
with transaction() as session:
    letter = dict(error_type="SMTPException", error="no", attempts=50, fingerprint="3f2a91c0d7e4")
    for number in range(3):
        session.add(DeadLetter(actor="email", key=f"n{number}", **letter))
        session.flush()
    again = dict(error_type="ValueError", error="no", attempts=8, fingerprint="0a0a0a0a0a0a", replays=3)
    session.add(DeadLetter(actor="reanalyze", key="3", **again))
    session.flush()
    for _ in range(2):
        message = dict(error_type="Malformed", error="no JSON", fingerprint="1b1b1b1b1b1b", raw=b"{")
        session.add(DeadLetter(actor="", key="tickets.intake", **message))
        session.flush()
    session.add(Job(actor="classify", key="999", due_at=datetime.now(UTC) + timedelta(days=1)))
    session.flush()
"""


def seeded(installation: Installation) -> Mapping[str, str]:
    """Store what the pages about dead letters and the HTTP API refer to, and return the ids that the latter names."""
    installation.aura("agents", "import", "examples/agents.csv")
    installation.aura("tickets", "create", "VPN drops every ten minutes", "--requester", "ada@example.com")
    installation.wait_until_notified(1)
    subprocess.run(
        [sys.executable, "-c", SEED],
        env=installation.env() | {"AURA_ENV": "development"},
        cwd=ROOT,
        check=True,
        timeout=60,
    )
    installation.aura("users", "create", "ada", "--role", "admin", stdin="correct horse battery\n")
    [row] = installation.rows("SELECT id, recipient FROM notifications WHERE channel = 'in_app' LIMIT 1")
    return {
        "JOB": str(installation.scalar("SELECT id FROM jobs WHERE key = '999'")),
        "WORKER": installation.scalar("SELECT id FROM workers WHERE kind = 'worker'"),
        "NOTIFICATION": row.id,
        "RECIPIENT": row.recipient.replace(" ", "%20"),
    }


PREPARE: dict[str, Callable[[Installation], Mapping[str, str]]] = {
    "how-to/handle-dead-letters.md": seeded,
    "reference/http-api.md": seeded,
}


def run(page: Path, installation: Installation) -> None:
    """Run the blocks of a page in a folder that looks like a clone; a command that fails is named with its output."""
    tool("curl")
    variables = PREPARE.get(name_of(page), lambda _: {})(installation)
    folder = installation.folder / "clone"
    folder.mkdir()
    for name in ("examples", "tests"):
        (folder / name).symlink_to(ROOT / name)
    text = script([each for each in blocks(page) if not each.not_run], installation.port)
    env = installation.env() | dict(variables) | {"REPOSITORY": str(ROOT), "USER": "ann"}
    ran = subprocess.run(["bash", "-c", text], env=env, cwd=folder, capture_output=True, text=True, timeout=560)
    assert ran.returncode == 0, f"{ran.stdout[-3000:]}\n{ran.stderr[-3000:]}"
    assert not re.findall(r"^HTTP (?!2)\d+", ran.stderr, re.MULTILINE), ran.stderr


@pytest.mark.acceptance
@pytest.mark.parametrize("page", EMBEDDED, ids=name_of)
def test_the_commands_of_a_page_succeed(page: Path, embedded_installation: Installation) -> None:
    embedded_installation.start("run", "aura", "run")
    embedded_installation.wait_until_ready()
    run(page, embedded_installation)


@pytest.mark.acceptance
@pytest.mark.integration
@pytest.mark.parametrize("page", SERVICES, ids=name_of)
def test_the_commands_of_a_page_succeed_on_services(
    page: Path, service_installation: Installation, mailbox: Mailbox
) -> None:
    service_installation.procfile("worker").wait_for_output("Worker process is ready")
    service_installation.procfile("web")
    service_installation.wait_until_ready()
    run(page, service_installation)


def test_a_failing_command_fails_its_page() -> None:
    found = parse("page.md", "```sh\ntrue\n```\n\n```console\n$ false\n```\n")
    ran = subprocess.run(["bash", "-c", script(found, 8000)], capture_output=True, text=True, timeout=60)
    assert ran.returncode == 1
    assert ran.stderr.splitlines()[-1] == "--- page.md:5"
