"""Every `aura` command in the documentation exists, with its options; tests/acceptance/test_documentation.py runs them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from aura.cli import app
from tests.documents import blocks, name_of, pages

#: Also commands in prose, such as `aura mail fetch --once`.
_INLINE = re.compile(r"`(aura [a-z-]+[^`\n]*)`")
_COMMANDS: Any = typer.main.get_command(app)
_IN_BLOCK = re.compile(r"(?:^|[;&|(] ?)(?:python -m )?(aura [a-z][^|;&()<>\n]*)", re.MULTILINE)


def commands(page: Path) -> Iterator[str]:
    for block in blocks(page, "sh", "bash", "console"):
        text = re.sub(r"\\\n *", " ", block.code.replace("$ aura", "aura"))
        yield from (
            each[1]
            for each in _IN_BLOCK.finditer(re.sub(r"<<'MAIL'.*?^MAIL$", "", text, flags=re.DOTALL | re.MULTILINE))
        )
    yield from (each[1] for each in _INLINE.finditer(page.read_text()))


def problem(command: str) -> str:
    """Return what is wrong with a command: an unknown name or option; empty when nothing is."""
    known = _COMMANDS
    words = shlex.split(command.replace("'", "\\'") if command.count("'") % 2 else command, comments=True)[1:]
    while words and hasattr(known, "commands"):
        if words[0].startswith("--"):
            return ""
        if words[0] not in known.commands:
            return f"there is no command {words[0]!r}"
        known = known.commands[words.pop(0)]
    options = {name for each in known.params for name in (*each.opts, *each.secondary_opts)} | {"--help"}
    unknown = [word for word in words if re.match(r"--?[a-z]", word) and word.partition("=")[0] not in options]
    return f"there is no option {unknown[0]}" if unknown else ""


@pytest.mark.parametrize("page", [page for page in pages() if any(commands(page))], ids=name_of)
def test_every_command_of_a_page_exists(page: Path) -> None:
    if page.name != "cli.md":
        problems = {command: problem(command) for command in commands(page)}
        assert {command: what for command, what in problems.items() if what} == {}


def test_an_unknown_command_or_option_is_found() -> None:
    assert problem("aura tickets fly") == "there is no command 'fly'"
    assert problem("aura tickets list --fast") == "there is no option --fast"
    assert problem("aura tickets list --limit 5") == ""
