"""`aura tickets`."""

from __future__ import annotations

import io
import sys

import pytest

from tests.commands import Run
from tests.embedded import Hand, one_job
from tests.unit.remote_engine import submit, ticket_of

pytestmark = pytest.mark.usefixtures("sqlite")


def test_a_created_ticket_is_stored_with_its_first_job(run: Run):
    result = run("tickets", "create", "VPN drops", "every ten minutes", "-r", "ada@example.com", "--priority", "hoch")

    assert (result.code, result.out) == (0, "ticket 1 created\n")
    assert "No worker is running: start `aura run`" in result.err
    assert (one_job().actor, one_job().key) == ("intake", "1")


def test_an_external_id_creates_one_ticket(run: Run):
    assert run("tickets", "create", "x", "--external-id", "7", "--format", "json").json() == {"id": 1, "new": True}
    assert run("tickets", "create", "x", "--external-id", "7", "--format", "json").json() == {"id": 1, "new": False}
    assert run("tickets", "create", "x", "--external-id", "7").out == "ticket 1 exists already\n"


def test_a_used_external_id_with_another_text_fails_and_names_the_ticket(run: Run):
    run("tickets", "create", "x", "--external-id", "7")
    result = run("tickets", "create", "y", "--external-id", "7")

    assert (result.code, result.out) == (1, "")
    assert "ticket 1, which has another title" in result.err


def test_a_description_is_read_from_stdin(run: Run, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("line 1\nline 2\n"))
    run("tickets", "create", "VPN", "-")

    assert run("tickets", "show", 1, "--format", "json").json()["description"] == "line 1\nline 2"


def test_a_ticket_with_markup_in_its_text_is_listed_and_shown(run: Run, hand: Hand):
    awkward = r"VPN [/red] [bold] \[/nope] :smile: drops \\"
    run("tickets", "create", awkward, "[/x] from home", "-r", "ada@example.com")
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


def test_the_list_is_filtered_and_limited(run: Run):
    for number in range(3):
        run("tickets", "create", f"ticket {number}")

    assert [row["id"] for row in run("tickets", "list", "--limit", 2, "--format", "json").json()] == [3, 2]
    assert run("tickets", "list", "--stage", "notified", "--format", "json").json() == []
    empty = run("tickets", "list", "--category", "Network")
    assert (empty.code, empty.out) == (0, "")
    assert "No tickets" in empty.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["create", " "], "a ticket needs a title or a description"),
        (["create", "x", "--priority", "hunter2"], "priority: "),
        (["show", "99"], "there is no ticket 99"),
        (["show", "9" * 30], "there is no ticket"),
        (["assign", "1"], "name one of AGENT and --nobody; `aura agents list` shows the agents"),
    ],
)
def test_an_invalid_argument_is_one_line_on_stderr(run: Run, arguments: list[str], message: str):
    result = run("tickets", *arguments)

    assert (result.code, result.out) == (1, "")
    assert message in result.err.splitlines()[0]
    assert "hunter2" not in result.err


def test_a_missing_ticket_is_answered_with_the_command_that_lists_tickets(run: Run):
    assert run("tickets", "show", "99").err.splitlines()[1:] == ["hint: `aura tickets list` shows those that exist"]


def test_the_commands_correct_and_resolve(hand: Hand, run: Run) -> None:
    ticket = submit()
    hand.run()
    category = "Email" if ticket_of(ticket).category != "Email" else "Access"
    assert f"ticket {ticket}: category changed" in run("tickets", "correct", ticket, "--category", category).out
    assert f"ticket {ticket} confirmed" in run("tickets", "correct", ticket, "--category", category).out
    assert "there are low, medium" in run("tickets", "correct", ticket, "--priority", "now").err
    assert run("tickets", "resolve", ticket, "Restarted it", "--format", "json").json() == {
        "id": ticket,
        "status": "resolved",
        "visibility": "internal",
    }
    found = ticket_of(ticket)
    assert (found.status, found.resolution) == ("resolved", "Restarted it")
    assert found.resolved_at is not None


@pytest.mark.parametrize(
    ("options", "visibility"),
    [
        ((), "internal"),
        (("--internal",), "internal"),
        (("--public",), "public"),
        (("--visibility", "public"), "public"),
        (("--visibility", "internal"), "internal"),
    ],
)
def test_a_comment_and_a_resolution_are_public_only_when_asked(run: Run, options: tuple[str, ...], visibility: str):
    ticket = submit()
    commented = run("tickets", "comment", ticket, "x", *options, "--format", "json").json()
    assert commented["visibility"] == visibility
    if options != ("--internal",):
        assert run("tickets", "resolve", ticket, "y", *options, "--format", "json").json()["visibility"] == visibility
        assert run("tickets", "show", ticket, "--format", "json").json()["resolution_visibility"] == visibility
    assert f"visibility={visibility}" in run("tickets", "show", ticket).out


def test_options_of_visibility_that_differ_are_refused(run: Run):
    ticket = submit()
    for options in (("--public", "--internal"), ("--public", "--visibility", "internal")):
        refused = run("tickets", "comment", ticket, "x", *options)
        assert (refused.code, "name one of --public and --internal" in refused.err) == (1, True)
