"""`aura dead-letters`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import actors
from aura.cli import dead_letter_actions
from db import audit, dead_letters, jobs, reading, transaction
from db.jobs import Claimed, Failure, NewJob
from db.models import DeadLetter
from tests.commands import Run
from tests.embedded import all_jobs, claim, enqueue, letters, move, one_job

pytestmark = pytest.mark.usefixtures("sqlite")


@pytest.fixture
def letter() -> int:
    """Return the number of a dead letter."""
    return die("classify", "17", "f" * 12)


def die(actor: str, key: str, fingerprint: str) -> int:
    """Make the job of this actor and key a dead letter, and return its number; enqueues it first."""
    enqueue(NewJob(actor, key))
    claimed = claim(actor, *[job.id for job in all_jobs() if (job.actor, job.key) == (actor, key)])
    with transaction() as session:
        failure = Failure("RuntimeError", "boom [/red]", "Traceback: [/x]", fingerprint)
        jobs.dead_letter(session, [(job, failure) for job in claimed])
    return letters()[-1].id


def unreadable(raw: bytes, queue: str = "ai.classify") -> int:
    """Store an unreadable message. Returns the number of its dead letter."""
    with transaction() as session:
        dead_letters.record_message(session, queue, raw, ValueError("not JSON"))
    return letters()[-1].id


def test_dead_letters_are_listed(run: Run, letter: int):
    (row,) = run("dead-letters", "list", "--format", "json").json()
    assert (row["id"], row["actor"], row["key"], row["error"]) == (letter, "classify", "17", "boom [/red]")
    assert "boom [/red]" in run("dead-letters", "list").out
    assert run("dead-letters", "list", "--state", "discarded").err == "No discarded letters.\n"
    assert run("dead-letters", "list", "--actor", "email").err == "No such dead letters.\n"
    assert run("dead-letters", "list", "--fingerprint", "x", "--format", "json").json() == []


def test_a_dead_letter_is_shown_with_each_attempt(run: Run, letter: int):
    with transaction() as session:
        job = Claimed(letters()[0].job_id or 0, "classify", "17", [], "", (), 0, 1)
        jobs.record_attempts(session, "w", "dead", 0.25, [(job, "first [/x] boom")])

    shown = run("dead-letters", "show", letter)
    assert "Traceback: [/x]" in shown.out
    assert "first [/x] boom" in shown.out
    whole = run("dead-letters", "show", letter, "--format", "json").json()
    assert (whole["traceback"], whole["raw"], whole["raw_hex"]) == ("Traceback: [/x]", None, None)
    assert [(each["number"], each["outcome"], each["error"]) for each in whole["ledger"]] == [
        (1, "dead", "first [/x] boom")
    ]


def test_dead_letters_of_one_error_are_one_group(run: Run, letter: int):
    unreadable(b"{")
    unreadable(b"{{")

    text = run("dead-letters", "groups")
    messages, job = run("dead-letters", "groups", "--format", "json").json()
    assert (job["letters"], job["fingerprint"], job["newest"]) == (1, "f" * 12, letter)
    assert (messages["letters"], messages["actor"], messages["key"]) == (2, "", "ai.classify")
    assert "(message in ai.classify)" in text.out
    # it is copied into the next command, also from a narrow terminal
    assert "f" * 12 in run("dead-letters", "groups", width=60).out
    assert run("dead-letters", "groups", "--state", "replayed").err == "No replayed letters.\n"


def test_since_selects_newer_dead_letters(run: Run, letter: int):
    unreadable(b"{")
    move(DeadLetter, created_at=-3 * 3600)
    clock = run("dead-letters", "list", "--format", "json").json()[0]["created_at"]

    assert run("dead-letters", "groups", "--since", "2h").err == "No dead letters.\n"
    assert len(run("dead-letters", "list", "--since", "4h", "--format", "json").json()) == 2
    assert len(run("dead-letters", "list", "--since", clock, "--format", "json").json()) == 2
    assert run("dead-letters", "replay", "--all", "--since", "2h", "--format", "json").json()["replayed"] == 0
    assert run("dead-letters", "discard", "--all", "--since", "2h", "--reason", "x", "--format", "json").json() == {
        "discarded": 0
    }
    assert run("dead-letters", "replay", "--all", "--since", "4h", "--format", "json").json()["replayed"] == 1
    assert "omit ID" in run("dead-letters", "replay", letter, "--since", "4h").err


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


@pytest.mark.parametrize(
    ("raw", "shown", "text", "hexed"),
    [
        (b"\xff\x00{", "00000000  ff 00 7b      ", None, "ff007b"),
        (b"\x1b[31m red", "00000000  1b 5b 33 31 6d 20 72 65 64 ", "\x1b[31m red", None),
        ('{"a":\r\n "ü [/red]"}'.encode(), '{"a":\n "ü [/red]"}', '{"a":\r\n "ü [/red]"}', None),
        (b"", "Message of 0 bytes", "", None),
    ],
)
def test_a_message_of_any_bytes_is_shown_readably(
    run: Run, raw: bytes, shown: str, text: str | None, hexed: str | None
):
    message = unreadable(raw)

    result = run("dead-letters", "show", message)
    assert result.code == 0
    assert shown in result.out
    assert "\x1b" not in result.out
    whole = run("dead-letters", "show", message, "--format", "json").json()
    assert (whole["raw"], whole["raw_hex"]) == (text, hexed)


@pytest.mark.parametrize("byte", [b"a", b"\xff"])
def test_the_beginning_of_a_long_message_is_shown(run: Run, byte: bytes):
    shown = run("dead-letters", "show", unreadable(byte * 1_000_000)).out

    assert "Message of 1000000 bytes" in shown
    assert shown.endswith("…\n")
    assert len(shown) < 10_000


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
    ("arguments", "message"),
    [
        (["show", "9" * 30], "there is no dead letter"),
        (["replay", "99"], "there is no dead letter 99"),
        (["discard", "99", "--reason", "x"], "there is no dead letter 99"),
        (["replay"], "name one of ID, --fingerprint and --all"),
        (["replay", "1", "--all"], "name one of ID, --fingerprint and --all"),
        (["discard", "--all", "--fingerprint", "f", "--reason", "x"], "name one of ID, "),
        (["replay", "--all", "--args", "[]"], "--args and --body correct one dead letter: name its ID"),
        (["replay", "99", "--body", __file__], "there is no dead letter 99"),
        (["export", "99", "x"], "there is no dead letter 99"),
    ],
)
def test_an_invalid_argument_is_one_line_on_stderr(run: Run, arguments: list[str], message: str):
    result = run("dead-letters", *arguments)

    assert (result.code, result.out) == (1, "")
    assert message in result.err.splitlines()[0]


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
