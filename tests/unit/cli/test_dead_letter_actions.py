"""`aura dead-letters replay` and `discard`: one, a group, and in batches."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import actors
from aura.cli import dead_letter_actions
from db import audit, dead_letters, reading
from tests.commands import Run
from tests.embedded import all_jobs, letters, one_job
from tests.unit.cli.dead import die, unreadable

pytestmark = pytest.mark.usefixtures("sqlite")


def test_a_dead_letter_is_replayed_once(run: Run, letter: int):
    result = run("dead-letters", "replay", letter)
    assert result.out == "classify 17 enqueued\n"
    assert "No worker is running" in result.err
    assert (one_job().actor, one_job().key) == ("classify", "17")

    again = run("dead-letters", "replay", letter)
    assert (again.code, again.out) == (1, "")
    assert f"dead letter {letter} was replayed before" in again.err


def test_a_job_is_replayed_with_new_arguments(run: Run, letter: int):
    assert run("dead-letters", "replay", letter, "--args", '["x", {"y": 1}]', "--format", "json").json() == {
        "replayed": 1
    }
    assert one_job().args == ["x", {"y": 1}]


def test_the_replay_limit_is_named_and_force_overrides_it(run: Run, letter: int, configure: Callable[..., Any]):
    configure(AURA_REPLAY_LIMIT="0")

    refused = run("dead-letters", "replay", letter)
    assert (refused.code, refused.out) == (1, "")
    assert "AURA_REPLAY_LIMIT is 0" in refused.err
    many = run("dead-letters", "replay", "--all")
    assert many.out == "0 replayed\n"
    assert "1 skipped: AURA_REPLAY_LIMIT (0) is reached; fix the cause, or --force" in many.err
    forced = run("dead-letters", "replay", "--all", "--force")
    assert forced.out == "1 replayed\n"
    assert "skipped" not in forced.err


def test_a_bulk_replay_runs_in_batches(run: Run, letter: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(dead_letter_actions, "BATCH", 2)
    for number in range(5):
        die("email", f"n{number}", "busy")
    unreadable(b"{")

    assert run("dead-letters", "replay", "--fingerprint", "busy", "--limit", 1).out == "1 replayed\n"
    assert one_job().key == "n0"
    assert run("dead-letters", "replay", "--fingerprint", "busy", "--format", "json").json() == {
        "replayed": 4,
        "replayed_too_often": 0,
        "unreadable": 0,
    }
    rest = run("dead-letters", "replay", "--all")
    assert rest.out == "1 replayed\n"
    assert "1 skipped: unreadable messages; correct each, see `aura dead-letters export --help`" in rest.err
    assert len(all_jobs()) == 6


def test_a_bulk_replay_does_not_replay_jobs_that_fail_meanwhile(run: Run, letter: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(dead_letter_actions, "BATCH", 1)
    once = dead_letters.replay_many

    def replay_and_die(session: Any, ids: Any) -> int:
        done = once(session, ids)
        die("classify", "17", "again")
        return done

    monkeypatch.setattr(dead_letters, "replay_many", replay_and_die)
    assert run("dead-letters", "replay", "--all").out == "1 replayed\n"
    assert [each.state for each in letters()] == ["replayed", "dead"]


def test_a_dead_letter_is_discarded_with_a_reason(run: Run, letter: int):
    assert run("dead-letters", "discard", letter, "--reason", "a test").out == f"dead letter {letter} discarded\n"

    (row,) = run("dead-letters", "list", "--state", "discarded", "--format", "json").json()
    assert row["reason"] == "a test"


def test_a_group_is_discarded_with_one_audit_entry_per_batch(run: Run, letter: int):
    for number in range(3):
        die("email", f"n{number}", "busy")

    assert run("dead-letters", "discard", "--fingerprint", "busy", "--limit", 2, "--reason", "x").out == "2 discarded\n"
    with reading() as session:
        (row,) = audit.listing(session)
    assert (row["action"], row["subject"]) == ("dead_letter.discard", "fingerprint/busy")
    assert row["details"] == {"letters": 2, "reason": "x"}
    assert run("dead-letters", "discard", "--all", "--reason", "y", "--format", "json").json() == {"discarded": 2}
    assert [each.reason for each in letters()] == ["y", "x", "x", "y"]


def test_a_message_is_exported_corrected_and_replayed(run: Run, tmp_path: Path):
    raw, file = b'{"title": "VPN\xff', tmp_path / "message.json"
    message = unreadable(raw, "tickets.intake")

    exported = run("dead-letters", "export", message, file)
    assert (
        exported.out
        == f"15 bytes written. Correct the message, then: aura dead-letters replay {message} --body {file}\n"
    )
    assert file.read_bytes() == raw
    refused = run("dead-letters", "replay", message, "--body", file)
    assert (refused.code, refused.out) == (1, "")
    assert "the corrected message is still unreadable for tickets.intake: not JSON" in refused.err
    assert letters()[0].state == "dead"

    file.write_text('{"title": "VPN"}')
    assert run("dead-letters", "replay", message, "--body", file).out == "message for tickets.intake accepted\n"
    assert (one_job().actor, json.loads(one_job().args[0])) == ("receive", {"title": "VPN"})
    assert letters()[0].state == "replayed"
    assert "was replayed before" in run("dead-letters", "replay", message, "--body", file).err


def test_a_hint_and_a_job_are_no_corrected_message(run: Run, letter: int, tmp_path: Path):
    message, file = unreadable(b"{"), tmp_path / "hint.json"
    file.write_bytes(actors.broker.get_actor("classify").message_with_options(args=([1],)).encode())

    assert "the file holds a hint" in run("dead-letters", "replay", message, "--body", file).err
    assert "is a job, not a message" in run("dead-letters", "replay", letter, "--body", file).err
    assert "see `aura dead-letters show 1`" in run("dead-letters", "export", letter, file).err
    assert {each.state for each in letters()} == {"dead"}


@pytest.mark.parametrize(
    ("args", "message"),
    [("[", "--args is not valid JSON: "), ("{}", '--args must be a JSON list, such as ["first", 2]')],
)
def test_invalid_arguments_of_a_replayed_job_are_refused(run: Run, letter: int, args: str, message: str):
    assert message in run("dead-letters", "replay", letter, "--args", args).err


def test_a_message_is_not_replayed_without_a_correction(run: Run):
    message = unreadable(b"{")
    refused = run("dead-letters", "replay", message)
    assert refused.code == 1
    assert f"`aura dead-letters export {message} FILE`" in refused.err
