"""Every command and every snippet of the README."""

from __future__ import annotations

import re
import subprocess

from tests.acceptance.conftest import Installation
from tests.conftest import ROOT
from tests.documents import Block, blocks, script
from tests.install import tool

README = ROOT / "README.md"
#: Commands that another test runs, or that run the tests themselves.
SEPARATE = ("make demo", "make test")


def shown(command: str) -> list[str]:
    """Return the lines that the README shows as the output of a command."""
    [block] = [each for each in blocks(README, "console") if each.code.startswith(f"$ {command}\n")]
    return block.code.splitlines()[1:]


def runnable() -> list[Block]:
    return [each for each in blocks(README) if not each.code.startswith(tuple(f"$ {name}" for name in SEPARATE))]


def test_the_snippets_create_tickets(embedded_installation: Installation) -> None:
    embedded_installation.start("run", "aura", "run")
    embedded_installation.wait_until_ready()
    assert {block.language for block in runnable()} == {"sh", "python"}
    tool("curl")
    command = ["bash", "-c", script(runnable(), embedded_installation.port)]
    env = embedded_installation.env() | {"REPOSITORY": str(ROOT)}
    ran = subprocess.run(
        command, env=env, cwd=embedded_installation.folder, capture_output=True, text=True, timeout=120
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stdout == '{"id":1,"url":"/api/v1/tickets/1"}'
    embedded_installation.wait_until_notified(2)


def test_the_demo_prints_the_lines_of_the_readme(embedded_installation: Installation) -> None:
    printed = [without_seconds(line) for line in embedded_installation.aura("demo").stdout.splitlines()]
    for line in shown("make demo"):
        assert line.strip() == "..." or without_seconds(line) in printed, line


def without_seconds(line: str) -> str:
    return re.sub(r"in [\d.]+ seconds", "in N seconds", line).rstrip()


def test_the_makefile_prints_the_lines_of_the_readme() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for line in shown("make test"):
        assert line == "..." or f'"{line}"' in makefile, line
