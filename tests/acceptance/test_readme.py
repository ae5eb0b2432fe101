"""Every command and every snippet of the README, run as it stands there."""

from __future__ import annotations

import re
import subprocess
import sys

from tests.acceptance.conftest import House, Mailbox
from tests.conftest import ROOT, wait_until
from tests.install import tool

README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def test_the_snippets_work_as_written(service_house: House, mailbox: Mailbox) -> None:
    house = service_house
    house.procfile("worker").says("Worker process is ready")
    house.procfile("web")
    house.serves()
    assert blocks("sh")
    assert len(blocks("python")) == 2

    # The shell's own words, but for the port and where the command is installed
    tool("curl")
    answers = []
    for block in blocks("sh"):
        command = block.replace("127.0.0.1:8000", f"127.0.0.1:{house.port}").replace(".venv/bin/aura", "aura")
        result = subprocess.run(
            ["sh", "-e", "-c", command], env=house.env(), cwd=ROOT, capture_output=True, text=True, timeout=120
        )
        assert result.returncode == 0, f"{command}\n{result.stdout}{result.stderr}"
        answers.append(result.stdout)
    assert answers[0] == '{"id":1,"url":"/tickets/1"}'
    assert '"timeline"' in answers[1]

    for block in blocks("python"):
        result = subprocess.run(
            [sys.executable, "-c", block], env=house.env(), cwd=ROOT, capture_output=True, text=True, timeout=60
        )
        assert result.returncode == 0, f"{block}\n{result.stderr}"

    # One by curl, one by submit, the examples, one from Python, one by message; and the mail that was asked for
    examples = house.ask("SELECT count(*) FROM tickets WHERE source = 'import'")
    assert examples > 75
    house.finished(examples + 4, 90)
    subject = "SELECT count(*) FROM notifications WHERE subject = 'Hi' AND state = 'sent'"
    wait_until(lambda: house.ask(subject) == 1, 20, "the message of the last snippet is not sent")
    wait_until(lambda: house.ask("SELECT count(*) FROM verdicts WHERE ticket_id = 1") == 2, 20, "no second verdict")


def test_the_demo_prints_what_the_readme_shows(embedded_house: House) -> None:
    """The README's rows are the demo's, but for the seconds at the end."""
    shown = next(block for block in blocks("console") if "make demo" in block).splitlines()[1:]
    printed = embedded_house.aura("demo").stdout.splitlines()
    for line in shown:
        if line.strip() == "...":
            continue
        wanted = re.sub(r"in [\d.]+ seconds", "in N seconds", line).rstrip()
        assert wanted in [re.sub(r"in [\d.]+ seconds", "in N seconds", each).rstrip() for each in printed], line
