"""The command: data on stdout, everything else on stderr, and never a traceback for what the user can mend."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import aura
from db import dead_letters, jobs, transaction
from db.jobs import Failure, Promise
from db.models import Ticket
from db.sessions import dispose
from tests.conftest import ROOT, environment_variables
from tests.embedded import Hand, all_jobs, claim, count, letters, one_job, promise
from tests.services import free_port


@dataclass(frozen=True, slots=True)
class Result:
    """What a command printed and returned."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        assert self.code == 0, self.err
        return json.loads(self.out)


Run = Callable[..., Result]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """A function that runs `aura` with arguments in this process, as its main() does."""

    def run(*arguments: Any) -> Result:
        monkeypatch.setattr(sys, "argv", ["aura", *map(str, arguments)])
        monkeypatch.setattr(aura.out, "width", 200)
        capsys.readouterr()
        code = 0
        try:
            aura.main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 0
        finally:
            dispose()
        printed = capsys.readouterr()
        return Result(code, printed.out, printed.err)

    return run


@pytest.fixture
def letter() -> int:
    """The number of a dead letter."""
    promise(Promise("classify", "17"))
    claimed = claim("classify", one_job().id)
    with transaction() as session:
        jobs.bury(
            session, [(job, Failure("RuntimeError", "boom [/red]", "Traceback: [/x]", "f" * 12)) for job in claimed]
        )
    return letters()[0].id


COMMANDS = [
    [],
    *[
        [name]
        for name in [
            "demo",
            "run",
            "submit",
            "import",
            "tickets",
            "jobs",
            "dead",
            "agents",
            "migrate",
            "clock",
            "doctor",
        ]
    ],
    *[["tickets", name] for name in ("list", "show")],
    ["jobs", "list"],
    *[["dead", name] for name in ("list", "show", "replay", "discard")],
    *[["agents", name] for name in ("list", "import")],
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_explains_itself(run: Run, command: list[str]):
    result = run(*command, "--help")

    assert result.code == 0
    assert " ".join(["aura", *command, "[OPTIONS]"]) in result.out
    assert "--help" in result.out


def test_the_list_of_commands_is_complete():
    from typer.main import get_group

    def paths(group: Any, above: list[str]) -> list[list[str]]:
        inner = getattr(group, "commands", {})
        return [above, *[path for name, each in inner.items() for path in paths(each, [*above, name])]]

    assert sorted(paths(get_group(aura.app), [])) == sorted(COMMANDS)


# -- tickets ----------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("sqlite")
class TestTickets:
    def test_a_submitted_ticket_is_stored_and_promised(self, run: Run):
        result = run("submit", "VPN drops", "every ten minutes", "-r", "ada@example.com", "--priority", "hoch")

        assert (result.code, result.out) == (0, "ticket 1\n")
        assert "No worker is running; tickets wait until you start `aura run`." in result.err
        assert (one_job().actor, one_job().key) == ("intake", "1")

    def test_with_json_stdout_is_json_alone(self, run: Run):
        assert run("submit", "x", "--external-id", "7", "--format", "json").json() == {"id": 1, "new": True}
        assert run("submit", "y", "--external-id", "7", "--format", "json").json() == {"id": 1, "new": False}
        assert run("submit", "y", "--external-id", "7").out == "ticket 1 (known before)\n"

    def test_a_description_can_come_from_standard_input(self, run: Run, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr(sys, "stdin", io.StringIO("line 1\nline 2\n"))
        run("submit", "VPN", "-")

        assert run("tickets", "show", 1, "--format", "json").json()["description"] == "line 1\nline 2"

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (["submit", " "], "aura: a ticket needs a title or a description"),
            (["submit", "x", "--priority", "hunter2"], "priority: "),
            (["tickets", "show", "99"], "aura: there is no ticket 99; `aura tickets list` shows those there are"),
            (["tickets", "show", "9" * 30], "there is no ticket"),
            (["dead", "show", "9" * 30], "there is no dead letter"),
            (["dead", "replay", "99"], "aura: there is no dead letter 99; `aura dead list` shows those there are"),
            (["dead", "discard", "99", "--reason", "x"], "there is no dead letter 99"),
            (["import", __file__], "only .csv, .jsonl and .ndjson files"),
            (["import", __file__, "--map", "colour=x"], "--map colour=x: use FIELD=COLUMN with one of title, "),
            (["import", __file__, "--map", "title"], "--map title: use FIELD=COLUMN"),
            (["agents", "import", __file__], "test_cli.py"),
        ],
        ids=lambda value: " ".join(value)[:30] if isinstance(value, list) else "",
    )
    def test_what_cannot_be_done_is_one_line_on_stderr(self, run: Run, arguments: list[str], words: str):
        result = run(*arguments)

        assert (result.code, result.out) == (1, "")
        *_progress, line = result.err.strip().splitlines()
        assert line.startswith("aura: ")
        assert words in line
        assert "Traceback" not in result.err
        assert "hunter2" not in result.err

    @pytest.mark.parametrize(
        "arguments", [["tickets", "show", "x"], ["nothing"], ["import", "nothing.csv"], ["dead", "show"]]
    )
    def test_a_wrong_call_is_exit_code_2(self, run: Run, arguments: list[str]):
        result = run(*arguments)

        assert (result.code, result.out) == (2, "")
        assert "Usage: " in result.err

    def test_a_ticket_is_listed_and_shown_whatever_its_text(self, run: Run, hand: Hand):
        awkward = r"VPN [/red] [bold] \[/nope] :smile: drops \\"
        run("submit", awkward, "[/x] from home", "-r", "ada@example.com")
        hand.run()

        listed = run("tickets", "list")
        assert listed.code == 0, listed.err
        assert r"VPN [/red] [bold] \[/nope]" in listed.out
        shown = run("tickets", "show", 1)
        assert shown.code == 0, shown.err
        assert awkward in shown.out
        assert "verdict" in shown.out
        (row,) = run("tickets", "list", "--format", "json").json()
        assert (row["title"], row["stage"], row["category"]) == (awkward, "notified", "Network")
        whole = run("tickets", "show", 1, "--format", "json").json()
        assert {"received", "verdict", "notification", "attempt"} == {each["what"] for each in whole["timeline"]}

    def test_a_listing_is_filtered_and_limited(self, run: Run):
        for number in range(3):
            run("submit", f"ticket {number}")

        assert [row["id"] for row in run("tickets", "list", "--limit", 2, "--format", "json").json()] == [3, 2]
        assert run("tickets", "list", "--stage", "notified", "--format", "json").json() == []
        empty = run("tickets", "list", "--category", "Network")
        assert (empty.code, empty.out) == (0, "")
        assert "No tickets" in empty.err

    def test_jobs_are_listed_with_their_state(self, run: Run):
        run("submit", "x")
        promise(Promise("classify", "1", delay=60))
        claim("intake", all_jobs()[0].id)

        rows = run("jobs", "list", "--format", "json").json()
        assert [(row["actor"], row["state"]) for row in rows] == [("intake", "running"), ("classify", "later")]
        assert run("jobs", "list", "--actor", "notify").err.startswith("No jobs")
        assert "intake" in run("jobs", "list").out


@pytest.mark.usefixtures("sqlite")
class TestImport:
    def test_a_file_is_imported_and_bad_rows_are_named_on_stderr(self, run: Run, tmp_path: Path):
        file = tmp_path / "tickets.csv"
        file.write_text("Wer,Was\nada,VPN [/red]\n,\nbob,Mail\n")

        result = run("import", file, "--map", "requester=Wer", "--map", "title=Was")

        assert (result.code, result.out) == (0, "3 rows: 2 new tickets, 0 known before, 1 rejected\n")
        assert f"{file}:3: a ticket needs a title or a description" in result.err.replace("\n", "")
        again = run("import", file, "--map", "requester=Wer", "--map", "title=Was", "--format", "json")
        assert again.json() == {"rows": 3, "new": 0, "known": 2, "rejected": 1}
        assert count(Ticket) == 2

    def test_agents_are_imported_and_listed(self, run: Run):
        assert "Add some: aura agents import FILE.csv" in run("agents", "list").err
        assert run("agents", "import", ROOT / "examples" / "agents.csv").out.endswith(" agents\n")

        rows = run("agents", "list", "--format", "json").json()
        assert rows == sorted(rows, key=lambda row: row["name"])
        assert run("agents", "list").out


@pytest.mark.usefixtures("sqlite")
class TestDeadLetters:
    def test_they_are_listed_and_shown(self, run: Run, letter: int):
        (row,) = run("dead", "list", "--format", "json").json()
        assert (row["id"], row["actor"], row["key"], row["error"]) == (letter, "classify", "17", "boom [/red]")
        assert "boom [/red]" in run("dead", "list").out
        shown = run("dead", "show", letter)
        assert "Traceback: [/x]" in shown.out
        assert run("dead", "show", letter, "--format", "json").json()["traceback"] == "Traceback: [/x]"
        assert run("dead", "list", "--state", "discarded").err == "No discarded letters.\n"

    def test_one_is_replayed_once(self, run: Run, letter: int):
        assert run("dead", "replay", letter).out == "classify 17 is due again\n"
        assert (one_job().actor, one_job().key) == ("classify", "17")

        again = run("dead", "replay", letter)
        assert (again.code, again.out) == (1, "")
        assert f"dead letter {letter} was replayed before" in again.err

    def test_one_is_discarded_with_its_reason(self, run: Run, letter: int):
        assert run("dead", "discard", letter, "--reason", "a test").out == f"dead letter {letter} is discarded\n"

        (row,) = run("dead", "list", "--state", "discarded", "--format", "json").json()
        assert row["reason"] == "a test"

    def test_bytes_that_are_no_text_are_shown(self, run: Run):
        with transaction() as session:
            dead_letters.record_message(session, "ai.classify", b"\xff\x00{", ValueError("not JSON"))

        shown = run("dead", "show", letters()[0].id)
        assert shown.code == 0
        assert "\\xff" in shown.out
        assert run("dead", "show", letters()[0].id, "--format", "json").json()["raw"] == "\\xff\x00{"


# -- databases and doctor ---------------------------------------------------------------------------------------------


def test_a_sqlite_file_is_made_and_migrated_on_the_spot(run: Run, sqlite_url: str, configure: Callable[..., Any]):
    configure(DATABASE_URL=sqlite_url)

    assert run("submit", "first", "--format", "json").json() == {"id": 1, "new": True}


def test_migrating_says_what_it_did(run: Run, database_url: str, configure: Callable[..., Any]):
    configure(DATABASE_URL=database_url)

    assert "(was empty)" in run("migrate").out
    assert "(nothing to do)" in run("migrate").out


@pytest.mark.integration
def test_an_empty_postgresql_asks_for_a_migration(run: Run, postgres_url: str, configure: Callable[..., Any]):
    configure(DATABASE_URL=postgres_url)

    result = run("tickets", "list")

    assert (result.code, result.out) == (1, "")
    assert "is at revision none" in result.err
    assert "run `aura migrate`" in result.err


@pytest.mark.parametrize(
    "command",
    [["tickets", "list"], ["submit", "x"], ["dead", "list"], ["migrate"], ["clock"], ["jobs", "list"]],
    ids=" ".join,
)
def test_a_database_that_is_away_is_one_line(run: Run, configure: Callable[..., Any], command: list[str]):
    configure(DATABASE_URL=f"postgresql://aura:hunter2@127.0.0.1:{free_port()}/aura")

    result = run(*command)

    assert (result.code, result.out) == (1, "")
    assert "(see `aura doctor`)" in result.err
    assert "hunter2" not in result.err
    assert "Traceback" not in result.err


def test_a_wrong_setting_is_named_with_the_fix(run: Run, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DATABASE_URL", "mysql://aura:hunter2@host/aura")

    result = run("tickets", "list")
    doctor = run("doctor", "--format", "json")

    assert (result.code, result.out) == (1, "")
    assert "DATABASE_URL: must be postgresql://" in result.err
    assert doctor.code == 1
    (row,) = json.loads(doctor.out)
    assert (row["name"], row["ok"]) == ("settings", False)
    assert "DATABASE_URL" in row["detail"]
    assert "hunter2" not in result.err + doctor.out


@pytest.mark.usefixtures("sqlite")
def test_the_doctor_is_content_with_embedded_mode(run: Run):
    result = run("doctor")
    rows = run("doctor", "--format", "json").json()

    assert result.code == 0
    assert "FAIL" not in result.out
    assert {"settings", "database", "rabbitmq", "redis", "openai"} <= {row["name"] for row in rows}
    assert all(row["ok"] for row in rows)


@pytest.mark.usefixtures("sqlite")
def test_the_doctor_says_what_is_away_and_what_to_do(run: Run, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("RABBITMQ_URL", f"amqp://aura:hunter2@127.0.0.1:{free_port()}/")
    monkeypatch.setenv("REDIS_URL", f"redis://:hunter2@127.0.0.1:{free_port()}/0")
    aura_settings().cache_clear()

    result = run("doctor", "--format", "json")

    assert result.code == 1
    rows = {row["name"]: row for row in json.loads(result.out)}
    assert {name for name, row in rows.items() if not row["ok"]} == {"rabbitmq", "redis"}
    assert rows["rabbitmq"]["fix"] == "start it, or correct RABBITMQ_URL"
    assert "hunter2" not in result.out + run("doctor").out


def aura_settings() -> Any:
    from settings import get_settings

    return get_settings


def test_the_doctor_misses_the_tables_and_the_database(run: Run, sqlite_url: str, configure: Callable[..., Any]):
    configure(DATABASE_URL=sqlite_url)
    result = run("doctor")
    assert result.code == 1
    assert "-> run `aura migrate`" in result.out

    configure(DATABASE_URL=f"postgresql://aura:hunter2@127.0.0.1:{free_port()}/aura")
    result = run("doctor")
    assert result.code == 1
    assert "-> start it, or correct DATABASE_URL" in result.out
    assert "hunter2" not in result.out


def test_the_installed_command_prints_no_traceback(tmp_path: Path):
    environment = {name: value for name, value in os.environ.items() if name not in environment_variables()}
    environment |= {"DATABASE_URL": "mysql://aura:hunter2@host/aura", "PYTHONPATH": str(ROOT)}

    result = subprocess.run(
        [sys.executable, "-m", "aura", "tickets", "list"], env=environment, cwd=tmp_path, capture_output=True, text=True
    )

    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith("aura: DATABASE_URL: must be postgresql://")
    assert "hunter2" not in result.stderr
