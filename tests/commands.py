"""Runs the command `aura` in the process of the test."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest
import typer.main

from aura import cli
from aura.cli import output
from db.database import dispose


@dataclass(frozen=True, slots=True)
class Result:
    """The exit code and the output of a command."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        assert self.code == 0, self.err
        return json.loads(self.out)


Run = Callable[..., Result]

#: Typer reads the signature of every command at each call, which takes longer than most commands do.
read_once = cache(typer.main.get_command)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """A function that runs `aura` with arguments in this process, as its main() does."""

    def run(*arguments: Any, width: int = 200) -> Result:
        monkeypatch.setattr(typer.main, "get_command", read_once)
        monkeypatch.setattr(sys, "argv", ["aura", *map(str, arguments)])
        monkeypatch.setattr(output.out, "width", width)
        capsys.readouterr()
        code = 0
        try:
            cli.main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 0
        finally:
            dispose()
        printed = capsys.readouterr()
        return Result(code, printed.out, printed.err)

    return run
