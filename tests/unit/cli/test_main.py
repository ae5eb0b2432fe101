"""The command as a whole: help, exit codes, errors, and the state of the database."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_group

from aura import VERSION, cli
from aura.errors import ConfigurationError, Conflict, InvalidInput, NotFound, Unavailable
from tests.commands import Run
from tests.conftest import ROOT, environment_variables
from tests.services import free_port

COMMANDS = {
    "": [
        *("demo", "run", "import", "migrate", "web", "worker", "scheduler"),
        *("doctor", "evaluate", "train", "backtest", "costs"),
        *("tickets", "mail", "incidents", "models", "jobs", "queues", "dead-letters", "workers", "schedules", "agents"),
        *("endpoints", "subscriptions", "preferences", "notifications", "api-keys", "users", "secrets"),
    ],
    "tickets": [
        "create",
        "list",
        "show",
        "attachments",
        "correct",
        "resolve",
        "status",
        "reopen",
        "assign",
        "comment",
        "participants",
        "import",
    ],
    "mail": ["fetch", "import", "list", "show", "create-ticket", "store-attachments", "login", "logout"],
    "incidents": ["list", "accept", "dismiss"],
    "models": ["list", "use", "show"],
    "jobs": ["list", "retry", "cancel"],
    "queues": ["list", "pause", "resume", "limit", "definitions"],
    "dead-letters": ["list", "groups", "show", "export", "replay", "discard"],
    "workers": ["list", "drain"],
    "schedules": ["list", "run", "pause", "resume", "backfill"],
    "agents": ["list", "import"],
    "endpoints": ["add", "list", "rotate", "test", "remove"],
    "subscriptions": ["add", "list", "remove", "import", "export"],
    "preferences": ["list", "set", "remove"],
    "notifications": ["list", "delayed", "resend", "settle", "preview"],
    "api-keys": ["create", "list", "revoke"],
    "users": ["create", "list", "password", "disable", "login-link", "reset-totp"],
    "secrets": ["generate-key", "decrypt", "rotate"],
}
LEAVES = [
    *[[name] for name in COMMANDS[""] if name not in COMMANDS],
    *[[group, name] for group, names in COMMANDS.items() if group for name in names],
]


def test_the_list_of_commands_is_complete():
    root: Any = get_group(cli.app)

    found = {"": list(root.commands)}
    found |= {name: list(each.commands) for name, each in root.commands.items() if hasattr(each, "commands")}

    assert found == COMMANDS


@pytest.mark.parametrize("group", COMMANDS)
def test_the_help_of_a_group_lists_its_commands(run: Run, group: str):
    result = run(*([group] if group else []), "--help")

    assert result.code == 0
    assert all(name in result.out for name in COMMANDS[group])


@pytest.mark.parametrize("command", LEAVES, ids=" ".join)
def test_the_help_of_a_command_has_an_example_that_parses(command: list[str], tmp_path: Path):
    found: Any = get_group(cli.app)
    for name in command:
        found = found.commands[name]

    [example] = re.findall(r"Example: aura (.+)", found.help)
    *words, arguments = shlex.split(example.partition(" > ")[0].partition(" < ")[0]), None
    assert words[0][: len(command)] == command
    arguments = words[0][len(command) :]
    for each in arguments:
        if re.fullmatch(r"\w+\.(csv|yaml|eml|json)", each):
            (tmp_path / each).touch()
    found.make_context(found.name, arguments)  # raises UsageError for an example that does not parse


@pytest.mark.parametrize(
    "arguments",
    [
        ["tickets", "show", "x"],
        ["nothing"],
        ["import", "nothing.csv"],
        ["dead-letters", "show"],
        ["dead-letters", "list", "--state", "x"],
        ["dead-letters", "replay", "1", "--body", "nothing.json"],
        ["queues", "pause", "ai.classify", "--for", "10"],
        ["queues", "pause", "ai.classify", "--for", "-10m"],
    ],
)
def test_wrong_usage_is_exit_code_2(run: Run, arguments: list[str]):
    result = run(*arguments)

    assert (result.code, result.out) == (2, "")
    assert "Usage: " in result.err


@pytest.mark.parametrize(
    ("error", "code", "lines"),
    [
        (InvalidInput("x"), 1, ["aura: x"]),
        (Conflict("x"), 1, ["aura: x"]),
        (Unavailable("x"), 1, ["aura: x"]),
        (NotFound("x"), 1, ["aura: x", "hint: `aura jobs list` shows those that exist"]),
        (ConfigurationError("x"), 2, ["aura: x"]),
        (OSError(28, "No space left on device"), 1, ["aura: [Errno 28] No space left on device"]),
        (KeyboardInterrupt(), 130, []),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_the_exit_code_follows_from_the_class_of_the_error(
    run: Run, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, lines: list[str]
):
    def fail() -> None:
        raise error

    monkeypatch.setattr("aura.cli.app", fail)

    result = run("jobs", "list")

    assert (result.code, result.out) == (code, "")
    assert result.err.splitlines() == lines


def test_an_error_that_is_none_of_ours_keeps_its_traceback(run: Run, monkeypatch: pytest.MonkeyPatch):
    def fail() -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("aura.cli.app", fail)

    with pytest.raises(ZeroDivisionError):
        run("jobs", "list")


# -- database ---------------------------------------------------------------------------------------------------------


def test_a_sqlite_file_is_created_and_migrated_by_the_first_command(
    run: Run, sqlite_url: str, configure: Callable[..., Any]
):
    configure(DATABASE_URL=sqlite_url)

    assert run("tickets", "create", "first", "--format", "json").json() == {"id": 1, "new": True}


@pytest.mark.integration
def test_an_empty_postgresql_database_needs_a_migration(run: Run, postgres_url: str, configure: Callable[..., Any]):
    configure(DATABASE_URL=postgres_url)

    result = run("tickets", "list")

    assert (result.code, result.out) == (2, "")
    assert "is at revision none" in result.err
    assert "run `aura migrate`" in result.err


@pytest.mark.parametrize(
    "command",
    [["tickets", "list"], ["tickets", "create", "x"], ["dead-letters", "list"], ["migrate"]],
    ids=" ".join,
)
def test_an_unavailable_database_is_one_line_without_the_password(
    run: Run, configure: Callable[..., Any], command: list[str]
):
    configure(DATABASE_URL=f"postgresql://aura:hunter2@127.0.0.1:{free_port()}/aura")

    result = run(*command)

    assert (result.code, result.out) == (1, "")
    assert "(see `aura doctor`)" in result.err
    assert "hunter2" not in result.err
    assert "Traceback" not in result.err


def test_an_invalid_setting_is_named_without_its_value(run: Run, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DATABASE_URL", "mysql://aura:hunter2@host/aura")

    result = run("tickets", "list")

    assert (result.code, result.out) == (2, "")
    assert "DATABASE_URL: must be postgresql://" in result.err
    assert "hunter2" not in result.err


@pytest.mark.slow
def test_python_m_aura_prints_no_traceback_for_an_invalid_setting(tmp_path: Path):
    environment = {name: value for name, value in os.environ.items() if name not in environment_variables()}
    environment |= {"DATABASE_URL": "mysql://aura:hunter2@host/aura", "PYTHONPATH": str(ROOT)}

    result = subprocess.run(
        [sys.executable, "-m", "aura", "tickets", "list"], env=environment, cwd=tmp_path, capture_output=True, text=True
    )

    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("aura: DATABASE_URL: must be postgresql://")
    assert "hunter2" not in result.stderr


@pytest.mark.usefixtures("sqlite")
def test_the_version_is_listed(run: Run):
    assert run("--version").out == f"aura {VERSION}\n"
