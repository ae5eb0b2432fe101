"""Embedded mode survives `kill -9`, and the demo notifies every sample ticket."""

from __future__ import annotations

import json
import re
import signal

import pytest

from tests.acceptance.conftest import STOP_SECONDS, Installation, Mailbox
from tests.services import wait_until

THREADS = 4


def test_kill_9_during_an_import_loses_no_ticket(embedded_installation: Installation, mailbox: Mailbox) -> None:
    installation = embedded_installation
    file = installation.folder / "tickets.jsonl"
    lines = [
        json.dumps({"title": f"Docking station {n} is dead", "requester": f"p{n}@example.com"}) for n in range(600)
    ]
    file.write_text("\n".join(lines))

    # Given everything in one process, and an import beside it; mails take a while, so that not all is done before the kill
    mailbox.slow = 0.1
    run = installation.start("run", "aura", "run", "--port", str(installation.port), "--threads", str(THREADS))
    installation.wait_until_ready()
    importing = installation.start("import", "aura", "import", str(file), "--format", "json")
    wait_until(
        lambda: installation.scalar("SELECT count(*) FROM tickets WHERE stage = 'notified'") > 50, 90, "nothing moves"
    )
    # When it is killed and started again
    run.kill()
    assert installation.scalar("SELECT count(*) FROM jobs") > 0, "killed too late to prove anything"
    mailbox.slow = 0.0
    again = installation.start("run-again", "aura", "run", "--port", str(installation.port), "--threads", str(THREADS))
    # Then every accepted ticket is finished, and none twice; what a dead worker held, up to hundreds of jobs, runs one by one
    assert importing.process is not None
    assert importing.process.wait(180) == 0, importing.output()
    accepted = installation.scalar("SELECT count(*) FROM tickets")
    assert accepted == 600
    installation.wait_until_notified(accepted)
    installation.check_each_once()
    # Each start prints a login link of its own
    links = {re.search(r"/login\?token=\S+", each.output())[0] for each in (run, again)}  # type: ignore[index]
    assert len(links) == 2
    # And a mail is repeated only if it was under way at that moment, with its own Message-ID
    assert len(mailbox.received) == installation.scalar("SELECT count(*) FROM notifications WHERE channel = 'email'")
    assert sum(mailbox.received.values()) - len(mailbox.received) <= THREADS


@pytest.mark.parametrize(
    ("command", "words"),
    [("run", "Open http"), ("scheduler", "scheduler started"), ("mail import Maildir", "ticket 1")],
    ids=["run", "scheduler", "mail"],
)
def test_sigint_stops_a_command_that_a_shell_started_in_the_background(
    embedded_installation: Installation, command: str, words: str
) -> None:
    installation = embedded_installation
    if command == "scheduler":  # which is a command of the Procfile
        installation.variables["AURA_ENV"] = "development"
    maildir = installation.folder / "Maildir"
    for name in ("new", "cur", "tmp"):
        (maildir / name).mkdir(parents=True)
    (maildir / "new" / "1").write_text("From: a@example.com\nSubject: The printer jams\n\nAgain.\n")
    # Given a command whose parent ignored SIGINT, as a shell does for what it starts in the background
    arguments = command.replace("Maildir", str(maildir)).split()
    program = installation.start("background", "sh", "-c", "trap '' INT; exec \"$@\"", "sh", "aura", *arguments)
    program.wait_for_output(words)
    # When it is interrupted
    assert program.process is not None
    program.process.send_signal(signal.SIGINT)
    # Then it exits without an error
    assert program.process.wait(STOP_SECONDS) in (0, 130), program.output()
    assert "Traceback" not in program.output()


def test_the_demo_notifies_every_example_ticket(embedded_installation: Installation) -> None:
    result = json.loads(embedded_installation.aura("demo", "--format", "json").stdout)
    assert result["tickets"] == result["notified"] == len(result["results"]) > 75
    assert result["dead"] == 0
    assert {row["category"] for row in result["results"]} == {
        "Hardware", "Software", "Network", "Email", "Access", "Security", "Other",
    }  # fmt: skip
    assert {row["priority"] for row in result["results"]} == {"low", "medium", "high", "critical"}
    assert all(row["notified"] for row in result["results"])
