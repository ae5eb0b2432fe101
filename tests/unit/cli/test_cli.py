"""The command: data on stdout, everything else on stderr, and never a traceback for what the user can mend."""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import time_machine
from pytest_httpserver import HTTPServer

import actors
from aura import cli
from aura.cli import dead_letters_replay, options
from aura.web import health
from db import audit, dead_letters, jobs, queue_controls, reading, transaction, workers
from db.jobs import Claimed, Failure, NewJob
from db.models import DeadLetter, Incident, Job, Ticket
from tests.commands import Run
from tests.conftest import ROOT, environment_variables
from tests.embedded import Hand, all_jobs, claim, count, letters, move, one_job, promise
from tests.services import free_port


@pytest.fixture
def letter() -> int:
    """The number of a dead letter."""
    return die("classify", "17", "f" * 12)


def die(actor: str, key: str, fingerprint: str) -> int:
    """Bury the job of this actor and key, promised before or now. Returns the dead letter."""
    promise(NewJob(actor, key))
    claimed = claim(actor, *[job.id for job in all_jobs() if (job.actor, job.key) == (actor, key)])
    with transaction() as session:
        failure = Failure("RuntimeError", "boom [/red]", "Traceback: [/x]", fingerprint)
        jobs.dead_letter(session, [(job, failure) for job in claimed])
    return letters()[-1].id


def unreadable(raw: bytes, queue: str = "ai.classify") -> int:
    """Keep a message that could not be read. Returns the dead letter."""
    with transaction() as session:
        dead_letters.record_message(session, queue, raw, ValueError("not JSON"))
    return letters()[-1].id


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
            "incidents",
            "models",
            "learn",
            "evaluate",
            "replay",
            "spend",
            "jobs",
            "queues",
            "workers",
            "dead",
            "schedule",
            "agents",
            "endpoints",
            "subscribe",
            "subscriptions",
            "preferences",
            "notices",
            "intake",
            "keys",
            "users",
            "migrate",
            "clock",
            "doctor",
        ]
    ],
    *[["tickets", name] for name in ("list", "show", "correct", "resolve", "status", "assign", "comment", "reopen")],
    *[["incidents", name] for name in ("list", "accept", "dismiss")],
    *[["models", name] for name in ("list", "use", "show")],
    *[["jobs", name] for name in ("list", "cancel")],
    *[["queues", name] for name in ("list", "pause", "resume", "limit", "definitions")],
    *[["workers", name] for name in ("list", "drain")],
    *[["dead", name] for name in ("list", "groups", "show", "export", "replay", "discard")],
    *[["schedule", name] for name in ("list", "run", "pause", "resume", "backfill")],
    *[["agents", name] for name in ("list", "import")],
    *[["intake", name] for name in ("imap", "maildir", "file", "list", "show", "accept")],
    *[["keys", name] for name in ("create", "list", "revoke")],
    *[["users", name] for name in ("create", "list", "password", "disable")],
    *[["endpoints", name] for name in ("add", "list", "rotate", "test", "remove")],
    *[["subscriptions", name] for name in ("add", "list", "remove", "import", "export")],
    *[["notices", name] for name in ("list", "waiting", "resend", "settle", "preview")],
    *[["preferences", name] for name in ("list", "set", "remove")],
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

    assert sorted(paths(get_group(cli.app), [])) == sorted(COMMANDS)


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
            (["dead", "replay"], "name one dead letter, or --fingerprint of those alike, or --all"),
            (["dead", "replay", "1", "--all"], "name one dead letter, or --fingerprint of those alike, or --all"),
            (["dead", "discard", "--all", "--fingerprint", "f", "--reason", "x"], "name one dead letter, or "),
            (["dead", "replay", "--all", "--args", "[]"], "--args and --body correct one dead letter: name its number"),
            (["dead", "replay", "1", "--args", "["], "--args is no JSON: "),
            (["dead", "replay", "1", "--args", "{}"], '--args must be a JSON list, such as ["first", 2]'),
            (["dead", "replay", "99", "--body", __file__], "there is no dead letter 99"),
            (["dead", "export", "99", "x"], "there is no dead letter 99"),
            (["jobs", "cancel", "--reason", "x"], "name one job, or --ticket and its number"),
            (["jobs", "cancel", "1", "--ticket", "1", "--reason", "x"], "name one job, or --ticket and its number"),
            (["jobs", "cancel", "99", "--reason", "x"], "there is no job 99: it is done or was given up; `aura jobs"),
            (["jobs", "cancel", "--ticket", "99", "--reason", "x"], "no job is promised for ticket 99; `aura tickets"),
            (["queues", "pause", "ai.clasify"], "there is no queue 'ai.clasify': did you mean ai.classify?"),
            (["queues", "resume", "email"], "there is no queue 'email': did you mean notify.email?"),
            (["queues", "limit", "x", "3"], "there is no queue 'x': there are ai.classify, ai.reanalyze, "),
            (
                ["queues", "pause", "ai.classify", "--for", "0s"],
                "a pause lasts more than 0 seconds and at most 366 days",
            ),
            (["queues", "limit", "ai.classify", "0"], "a limit is at least 1; to stop a queue, pause it"),
            (["queues", "limit", "ai.classify", "few"], "'few' is no limit: say a number, or none"),
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
        "arguments",
        [
            ["tickets", "show", "x"],
            ["nothing"],
            ["import", "nothing.csv"],
            ["dead", "show"],
            ["dead", "list", "--state", "x"],
            ["dead", "replay", "1", "--body", "nothing.json"],
            ["queues", "pause", "ai.classify", "--for", "10"],
            ["queues", "pause", "ai.classify", "--for", "-10m"],
        ],
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
        assert {"received", "verdict", "notification", "attempt"} == {each["kind"] for each in whole["timeline"]}

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
        promise(NewJob("classify", "1", delay=60))
        claim("intake", all_jobs()[0].id)

        rows = run("jobs", "list", "--format", "json").json()
        assert [(row["actor"], row["state"]) for row in rows] == [("intake", "running"), ("classify", "scheduled")]
        running = run("jobs", "list", "--state", "running", "--format", "json").json()
        assert [row["actor"] for row in running] == ["intake"]
        assert run("jobs", "list", "--actor", "notify").err == "No such jobs.\n"
        assert "intake" in run("jobs", "list").out

    def test_no_jobs_is_good_news(self, run: Run):
        assert run("jobs", "list").err == "No jobs: everything that was promised is done.\n"


@pytest.mark.usefixtures("sqlite")
class TestControl:
    def test_a_job_is_cancelled_and_the_way_back_is_told(self, run: Run):
        promise(NewJob("classify", "17"))

        cancelled = run("jobs", "cancel", one_job().id, "--reason", "a test")

        letter = letters()[0].id
        assert cancelled.out == (
            f"job 1 (classify 17) is cancelled; `aura dead replay {letter} --force` would bring it back\n"
        )
        assert all_jobs() == []
        assert "a test" in run("dead", "list", "--state", "discarded").out
        assert "--force` brings it back" in run("dead", "replay", letter).err
        assert run("dead", "replay", letter, "--force").out == "classify 17 is due again\n"

    def test_all_jobs_of_a_ticket_are_cancelled_also_those_that_run(self, run: Run):
        promise(NewJob("classify", "17"), NewJob("notify", "17"), NewJob("notify", "18"))
        claim("notify", *[job.id for job in all_jobs()])
        promise(NewJob("intake", "18"))

        text = run("jobs", "cancel", "--ticket", 17, "--reason", "a test").out
        rows = run("jobs", "cancel", "--ticket", 18, "--reason", "a test", "--format", "json").json()

        assert [line.partition("; ")[0] for line in text.splitlines()] == [
            "job 1 (classify 17) is cancelled",
            "job 2 (notify 17) is cancelled",
        ]
        assert "; what it was doing just now will not be kept; " in text.splitlines()[1]
        assert [(row["actor"], row["key"], row["was_running"]) for row in rows] == [
            ("notify", "18", True),
            ("intake", "18", False),
        ]
        assert all_jobs() == []

    def test_a_queue_is_paused_limited_and_resumed(self, run: Run):
        paused = run("queues", "pause", "ai.classify", "--for", "10m", "--reason", "429 [/red]")
        assert re.fullmatch(r"ai.classify: paused until \d{4}-\d\d-\d\d [\d:]{8} UTC \(429 \[/red\]\)\n", paused.out)
        limited = run("queues", "limit", "ai.classify", 3)
        assert limited.out == paused.out.replace(": ", ": at most 3 at once, ")
        assert "at most 3 at once, paused until " in run("queues", "list").out
        assert run("queues", "resume", "ai.classify").out == "ai.classify: at most 3 at once\n"
        assert run("queues", "pause", "ai.classify", "--format", "json").json() == {
            "queue": "ai.classify",
            "paused": True,
            "paused_until": None,
            "limit": 3,
            "reason": "",
        }
        assert run("queues", "limit", "ai.classify", "none").out == "ai.classify: paused until it is resumed\n"
        assert run("queues", "resume", "ai.classify").out == "ai.classify: not held back\n"

    def test_a_pause_that_changes_nothing_says_so(self, run: Run):
        first = run("queues", "pause", "ai.classify", "--for", "1d")
        second = run("queues", "pause", "ai.classify", "--for", "10m")
        assert second.out == first.out
        assert "It is paused for longer than that, and stays so; --shorten would cut it." in second.err
        assert "paused for longer" not in first.err

        third = run("queues", "pause", "ai.classify", "--for", "10m", "--shorten")
        assert third.out != first.out
        assert third.err == ""

    @pytest.mark.parametrize(
        ("time", "seconds"), [("90s", 90), ("10m", 600), ("2h", 7200), ("1d", 86400), ("1.5h", 5400), ("2H", 7200)]
    )
    def test_a_time_is_written_as_people_say_it(self, time: str, seconds: float):
        assert options.seconds_of(time) == seconds

    @pytest.mark.parametrize("time", ["", "10", "m", "10x", "ten", "-1m", "1h30", "1e3s", "10 m m"])
    def test_what_is_no_time_is_refused_with_what_is(self, run: Run, time: str):
        result = run("queues", "pause", "ai.classify", "--for", time)

        assert (result.code, result.out) == (2, "")
        assert "is no time: write it as 90s, 10m, 2h or 1d" in " ".join(result.err.replace("│", " ").split())

    def test_the_queues_are_listed_with_what_waits(self, run: Run):
        promise(NewJob("classify", "17"), NewJob("renamed", "1"))

        rows = run("queues", "list", "--format", "json").json()

        assert [row["queue"] for row in rows][:2] == ["ai.classify", "ai.reanalyze"]
        assert (rows[0]["available"], rows[0]["actors"], rows[0]["paused"]) == (1, ["classify"], False)
        # nobody will ever take this one
        assert (rows[-1]["queue"], rows[-1]["actors"], rows[-1]["available"]) == (None, ["renamed"], 1)
        assert "renamed" in run("queues", "list").out

    def test_a_queue_that_is_no_more_can_still_be_resumed(self, run: Run):
        with transaction() as session:
            queue_controls.pause(session, "of.old")

        assert run("queues", "resume", "of.old").out == "of.old: not held back\n"


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
        assert run("dead", "list", "--state", "discarded").err == "No discarded letters.\n"
        assert run("dead", "list", "--actor", "email").err == "No such dead letters.\n"
        assert run("dead", "list", "--fingerprint", "x", "--format", "json").json() == []

    def test_one_is_shown_with_every_attempt(self, run: Run, letter: int):
        with transaction() as session:
            job = Claimed(letters()[0].job_id or 0, "classify", "17", [], "", (), 0, 1)
            jobs.record_attempts(session, "w", "dead", 0.25, [(job, "first [/x] boom")])

        shown = run("dead", "show", letter)
        assert "Traceback: [/x]" in shown.out
        assert "first [/x] boom" in shown.out
        whole = run("dead", "show", letter, "--format", "json").json()
        assert (whole["traceback"], whole["raw"], whole["raw_hex"]) == ("Traceback: [/x]", None, None)
        assert [(each["number"], each["outcome"], each["error"]) for each in whole["ledger"]] == [
            (1, "dead", "first [/x] boom")
        ]

    def test_alike_are_one_line(self, run: Run, letter: int):
        unreadable(b"{")
        unreadable(b"{{")

        text = run("dead", "groups")
        messages, job = run("dead", "groups", "--format", "json").json()
        assert (job["letters"], job["fingerprint"], job["newest"]) == (1, "f" * 12, letter)
        assert (messages["letters"], messages["actor"], messages["key"]) == (2, "", "ai.classify")
        assert "(message in ai.classify)" in text.out
        # it is copied into the next command, also from a narrow terminal
        assert "f" * 12 in run("dead", "groups", width=60).out
        assert run("dead", "groups", "--state", "replayed").err == "No replayed letters.\n"

    def test_those_since_a_moment_are_chosen(self, run: Run, letter: int):
        unreadable(b"{")
        move(DeadLetter, created_at=-3 * 3600)
        clock = run("dead", "list", "--format", "json").json()[0]["created_at"]

        assert run("dead", "groups", "--since", "2h").err == "No dead letters.\n"
        assert len(run("dead", "list", "--since", "4h", "--format", "json").json()) == 2
        assert len(run("dead", "list", "--since", clock, "--format", "json").json()) == 2
        assert run("dead", "replay", "--all", "--since", "2h", "--format", "json").json()["replayed"] == 0
        assert run("dead", "discard", "--all", "--since", "2h", "--reason", "x", "--format", "json").json() == {
            "discarded": 0
        }
        assert run("dead", "replay", "--all", "--since", "4h", "--format", "json").json()["replayed"] == 1
        assert "leave the number out" in run("dead", "replay", letter, "--since", "4h").err
        assert "is no moment" in run("dead", "list", "--since", "yesterday").err.replace("\n", " ")

    @pytest.mark.parametrize(("clock", "day"), [("09:04", 25), ("09:05", 26), ("23:50", 26)])
    def test_a_time_of_day_is_the_last_one_in_our_zone(self, configure: Callable[..., Any], clock: str, day: int):
        configure(AURA_TIMEZONE="Asia/Tokyo")
        with time_machine.travel(f"2026-11-26T{clock}+09:00"):
            assert options.moment_of("9:05").isoformat() == f"2026-11-{day}T09:05:00+09:00"

    def test_one_is_replayed_once(self, run: Run, letter: int):
        result = run("dead", "replay", letter)
        assert result.out == "classify 17 is due again\n"
        assert "No worker is running" in result.err
        assert (one_job().actor, one_job().key) == ("classify", "17")

        again = run("dead", "replay", letter)
        assert (again.code, again.out) == (1, "")
        assert f"dead letter {letter} was replayed before" in again.err

    def test_one_is_replayed_with_other_arguments(self, run: Run, letter: int):
        assert run("dead", "replay", letter, "--args", '["x", {"y": 1}]', "--format", "json").json() == {"replayed": 1}
        assert one_job().args == ["x", {"y": 1}]

    def test_one_that_was_replayed_too_often_names_the_setting_and_the_way(
        self, run: Run, letter: int, configure: Callable[..., Any]
    ):
        configure(AURA_REPLAY_LIMIT="0")

        refused = run("dead", "replay", letter)
        assert (refused.code, refused.out) == (1, "")
        assert (
            "AURA_REPLAY_LIMIT is 0: see `aura dead show 1` and mend the cause, or replay it with --force"
            in refused.err
        )
        many = run("dead", "replay", "--all")
        assert many.out == "0 replayed\n"
        assert "1 left alone: replayed 0 times before (AURA_REPLAY_LIMIT). Mend the cause, or --force." in many.err
        forced = run("dead", "replay", "--all", "--force")
        assert forced.out == "1 replayed\n"
        assert "left alone" not in forced.err

    def test_many_are_replayed_in_batches(self, run: Run, letter: int, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr(dead_letters_replay, "BATCH", 2)
        for number in range(5):
            die("email", f"n{number}", "busy")
        unreadable(b"{")

        assert run("dead", "replay", "--fingerprint", "busy", "--limit", 1).out == "1 replayed\n"
        assert one_job().key == "n0"
        assert run("dead", "replay", "--fingerprint", "busy", "--format", "json").json() == {
            "replayed": 4,
            "replayed_too_often": 0,
            "unreadable": 0,
        }
        rest = run("dead", "replay", "--all")
        assert rest.out == "1 replayed\n"
        assert "1 left alone: messages that could not be read. Correct each: aura dead export ID FILE" in rest.err
        assert len(all_jobs()) == 6

    def test_what_dies_during_a_bulk_replay_is_not_replayed_by_it(
        self, run: Run, letter: int, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setattr(dead_letters_replay, "BATCH", 1)
        once = dead_letters.replay_many

        def replay_and_die(session: Any, ids: Any) -> int:
            done = once(session, ids)
            die("classify", "17", "again")
            return done

        monkeypatch.setattr(dead_letters, "replay_many", replay_and_die)
        assert run("dead", "replay", "--all").out == "1 replayed\n"
        assert [each.state for each in letters()] == ["replayed", "dead"]

    def test_one_is_discarded_with_its_reason(self, run: Run, letter: int):
        assert run("dead", "discard", letter, "--reason", "a test").out == f"dead letter {letter} is discarded\n"

        (row,) = run("dead", "list", "--state", "discarded", "--format", "json").json()
        assert row["reason"] == "a test"

    def test_many_are_discarded_with_one_reason(self, run: Run, letter: int):
        for number in range(3):
            die("email", f"n{number}", "busy")

        assert run("dead", "discard", "--fingerprint", "busy", "--limit", 2, "--reason", "x").out == "2 discarded\n"
        with reading() as session:
            (row,) = audit.listing(session)
        assert (row["action"], row["subject"]) == ("dead_letter.discard", "fingerprint/busy")
        assert row["details"] == {"letters": 2, "reason": "x"}
        assert run("dead", "discard", "--all", "--reason", "y", "--format", "json").json() == {"discarded": 2}
        assert [each.reason for each in letters()] == ["y", "x", "x", "y"]

    @pytest.mark.parametrize(
        ("raw", "shown", "text", "hexed"),
        [
            (b"\xff\x00{", "00000000  ff 00 7b      ", None, "ff007b"),
            (b"\x1b[31m red", "00000000  1b 5b 33 31 6d 20 72 65 64 ", "\x1b[31m red", None),
            ('{"a":\r\n "ü [/red]"}'.encode(), '{"a":\n "ü [/red]"}', '{"a":\r\n "ü [/red]"}', None),
            (b"", "The message, 0 bytes", "", None),
        ],
    )
    def test_a_message_is_shown_whatever_its_bytes(
        self, run: Run, raw: bytes, shown: str, text: str | None, hexed: str | None
    ):
        message = unreadable(raw)

        result = run("dead", "show", message)
        assert result.code == 0
        assert shown in result.out
        assert "\x1b" not in result.out
        whole = run("dead", "show", message, "--format", "json").json()
        assert (whole["raw"], whole["raw_hex"]) == (text, hexed)

    @pytest.mark.parametrize("byte", [b"a", b"\xff"])
    def test_of_a_long_message_the_beginning_is_shown(self, run: Run, byte: bytes):
        shown = run("dead", "show", unreadable(byte * 1_000_000)).out

        assert "1000000 bytes" in shown
        assert shown.endswith("…\n")
        assert len(shown) < 10_000

    def test_a_message_is_exported_corrected_and_accepted(self, run: Run, tmp_path: Path):
        raw, file = b'{"title": "VPN\xff', tmp_path / "message.json"
        message = unreadable(raw, "tickets.intake")

        told = run("dead", "export", message, file)
        assert told.out == f"15 bytes. Correct them, then: aura dead replay {message} --body {file}\n"
        assert file.read_bytes() == raw
        refused = run("dead", "replay", message, "--body", file)
        assert (refused.code, refused.out) == (1, "")
        assert "tickets.intake cannot read it either: not JSON" in refused.err
        assert letters()[0].state == "dead"

        file.write_text('{"title": "VPN"}')
        assert run("dead", "replay", message, "--body", file).out == "the message for tickets.intake is accepted\n"
        assert (one_job().actor, json.loads(one_job().args[0])) == ("receive", {"title": "VPN"})
        assert letters()[0].state == "replayed"
        assert "was replayed before" in run("dead", "replay", message, "--body", file).err

    def test_a_hint_is_no_correction_and_a_job_is_no_message(self, run: Run, letter: int, tmp_path: Path):
        message, file = unreadable(b"{"), tmp_path / "hint.json"
        file.write_bytes(actors.broker.get_actor("classify").message_with_options(args=([1],)).encode())

        assert "this is a hint" in run("dead", "replay", message, "--body", file).err
        assert "is a job, not a message: it takes --args" in run("dead", "replay", letter, "--body", file).err
        assert "is a job, not a message; see `aura dead show 1`" in run("dead", "export", letter, file).err
        assert {each.state for each in letters()} == {"dead"}


@pytest.mark.slow
@pytest.mark.usefixtures("sqlite")
def test_the_commands_of_the_operations_page_work_as_written(run: Run, tmp_path: Path):
    # Given what the page speaks of: letters 1 to 3 alike, 4 replayed too often, 5 and 6 messages; jobs, also of ticket 17;
    # two incidents
    for number in range(3):
        die("email", f"n{number}", "3f2a91c0d7e4")
    promise(NewJob("reanalyze", "3", replays=3))
    die("reanalyze", "3", "again")
    unreadable(b"{", "tickets.intake")
    unreadable(b"{", "tickets.intake")
    promise(NewJob("classify", "17"))
    for number in range(20, 27):
        promise(NewJob("classify", str(number)))
    with transaction() as session:
        session.add_all([Incident(title=title, category="Network") for title in ("VPN", "Payroll")])

    page = (ROOT / "docs" / "operations.md").read_text()
    lines = []
    for block, text in enumerate(re.findall(r"^```sh\n(.*?)^```$", page, re.M | re.S)):
        lines += [(block, line) for line in text.splitlines()]
    assert len(lines) > 15
    for number, (block, line) in enumerate(lines):
        if number and lines[number - 1][0] != block:  # what one answer has replayed is no use to the next
            for each in range(2):
                die("email", f"block {block}, {each}", "3f2a91c0d7e4")
        command = shlex.split(line, comments=True)
        if command[0] == "$EDITOR":
            (tmp_path / command[1]).write_text('{"title": "VPN"}')
        else:
            assert command[0] == "aura"
            result = run(*command[1:])
            assert result.code == 0, f"{line}\n{result.err}"
            assert result.out or "--state running" in line, line  # nothing runs


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
    assert rows["rabbitmq"]["fix"] == "start RabbitMQ, or correct RABBITMQ_URL"
    assert "hunter2" not in result.out + run("doctor").out


@pytest.mark.usefixtures("sqlite")
def test_the_doctor_finds_work_that_nobody_hints(run: Run):
    def work() -> tuple[bool, str]:
        (row,) = [row for row in json.loads(run("doctor", "--format", "json").out) if row["name"] == "work"]
        return row["ok"], row["fix"]

    promise(NewJob("classify", "1"))
    assert work() == (True, "")
    move(Job, due_at=-120)
    assert work() == (False, "start `dramatiq actors` or `aura run`")
    with transaction() as session:
        workers.beat(session, "r" * 32, "desk:1", "relay")
    assert work() == (True, "")


@pytest.mark.parametrize(
    ("status", "detail"),
    [
        (200, ""),
        (401, "the provider refuses the key"),
        (404, "the provider has no model never-made"),
        (500, "InternalServerError"),
    ],
)
def test_the_doctor_tries_openais_key_and_model(
    configure: Callable[..., Any], httpserver: HTTPServer, status: int, detail: str
):
    model = {"id": "never-made", "object": "model", "created": 1, "owned_by": "nobody"}
    httpserver.expect_request("/v1/models/never-made").respond_with_json(model, status=status)
    configure(OPENAI_API_KEY="sk-hunter2", OPENAI_BASE_URL=httpserver.url_for("/v1"), AI_MODEL="never-made")

    found = health.check_openai()

    assert (found.ok, found.detail) == (not detail, detail or "model never-made")
    assert bool(found.fix) != found.ok


def test_the_doctor_misses_a_redis_that_processes_would_share_and_the_pipelines(configure: Callable[..., Any]):
    service = {"RABBITMQ_URL": "amqp://a:b@127.0.0.1:1/", "DATABASE_URL": "postgresql://a:b@127.0.0.1:1/a"}
    configure(**service)
    assert (health.check_redis().ok, health.check_pipelines().ok) == (True, True)
    configure(**service, OPENAI_API_KEY="k", AURA_PIPELINES="nowhere")
    assert (health.check_redis().fix, health.check_pipelines().fix) == ("set REDIS_URL", "correct AURA_PIPELINES")
    assert (health.check_redis().ok, health.check_pipelines().ok) == (False, False)


def aura_settings() -> Any:
    from aura.settings import get_settings

    return get_settings


def test_the_doctor_misses_the_tables_and_the_database(run: Run, sqlite_url: str, configure: Callable[..., Any]):
    configure(DATABASE_URL=sqlite_url)
    result = run("doctor")
    assert result.code == 1
    assert "-> run `aura migrate`" in result.out

    configure(DATABASE_URL=f"postgresql://aura:hunter2@127.0.0.1:{free_port()}/aura")
    result = run("doctor")
    assert result.code == 1
    assert "-> start PostgreSQL, or correct DATABASE_URL" in result.out
    assert "hunter2" not in result.out


@pytest.mark.slow
def test_the_installed_command_prints_no_traceback(tmp_path: Path):
    environment = {name: value for name, value in os.environ.items() if name not in environment_variables()}
    environment |= {"DATABASE_URL": "mysql://aura:hunter2@host/aura", "PYTHONPATH": str(ROOT)}

    result = subprocess.run(
        [sys.executable, "-m", "aura", "tickets", "list"], env=environment, cwd=tmp_path, capture_output=True, text=True
    )

    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith("aura: DATABASE_URL: must be postgresql://")
    assert "hunter2" not in result.stderr
