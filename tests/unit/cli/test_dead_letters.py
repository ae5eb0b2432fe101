"""`aura dead-letters`."""

from __future__ import annotations

import pytest

from db import jobs, transaction
from db.jobs import Claimed
from db.models import DeadLetter
from tests.commands import Run
from tests.embedded import letters, move
from tests.unit.cli.dead import unreadable

pytestmark = pytest.mark.usefixtures("sqlite")


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
