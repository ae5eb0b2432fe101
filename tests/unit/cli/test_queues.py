"""`aura queues`."""

from __future__ import annotations

import re

import pytest

from db import queue_controls, transaction
from db.jobs import NewJob
from tests.commands import Run
from tests.embedded import enqueue

pytestmark = pytest.mark.usefixtures("sqlite")


def test_a_queue_is_paused_limited_and_resumed(run: Run):
    paused = run("queues", "pause", "ai.classify", "--for", "10m", "--reason", "429 [/red]")
    assert re.fullmatch(r"ai.classify: paused until \d{4}-\d\d-\d\d [\d:]{8} UTC \(429 \[/red\]\)\n", paused.out)
    limited = run("queues", "limit", "ai.classify", 3)
    assert limited.out == paused.out.replace(": ", ": limit 3, ")
    assert "limit 3, paused until " in run("queues", "list").out
    assert run("queues", "resume", "ai.classify").out == "ai.classify: limit 3\n"
    assert run("queues", "pause", "ai.classify", "--format", "json").json() == {
        "queue": "ai.classify",
        "paused": True,
        "paused_until": None,
        "limit": 3,
        "reason": "",
    }
    assert run("queues", "limit", "ai.classify", "none").out == "ai.classify: paused\n"
    assert run("queues", "resume", "ai.classify").out == "ai.classify: no pause, no limit\n"


def test_a_shorter_pause_needs_the_option_shorten(run: Run):
    first = run("queues", "pause", "ai.classify", "--for", "1d")
    second = run("queues", "pause", "ai.classify", "--for", "10m")
    assert second.out == first.out
    assert "The queue is already paused for longer; --shorten replaces that pause." in second.err
    assert "--shorten" not in first.err

    third = run("queues", "pause", "ai.classify", "--for", "10m", "--shorten")
    assert third.out != first.out
    assert third.err == ""


def test_the_queues_are_listed_with_their_backlog(run: Run):
    enqueue(NewJob("classify", "17"), NewJob("renamed", "1"))

    rows = run("queues", "list", "--format", "json").json()

    assert [row["queue"] for row in rows][:2] == ["ai.classify", "ai.reanalyze"]
    assert (rows[0]["available"], rows[0]["actors"], rows[0]["paused"]) == (1, ["classify"], False)
    # no worker has this actor
    assert (rows[-1]["queue"], rows[-1]["actors"], rows[-1]["available"]) == (None, ["renamed"], 1)
    assert "renamed" in run("queues", "list").out


def test_a_removed_queue_can_be_resumed(run: Run):
    with transaction() as session:
        queue_controls.pause(session, "of.old")

    assert run("queues", "resume", "of.old").out == "of.old: no pause, no limit\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["pause", "ai.clasify"], "queue 'ai.clasify' does not exist: did you mean ai.classify?"),
        (["resume", "email"], "queue 'email' does not exist: did you mean notify.email?"),
        (["limit", "x", "3"], "queue 'x' does not exist: the queues are ai.classify, ai.reanalyze, "),
        (["pause", "ai.classify", "--for", "0s"], "more than 0 seconds and at most 366 days"),
        (["limit", "ai.classify", "0"], "a limit is at least 1"),
        (["limit", "ai.classify", "few"], "'few' is not a limit: use a number, or none"),
    ],
)
def test_an_invalid_argument_is_one_line_on_stderr(run: Run, arguments: list[str], message: str):
    result = run("queues", *arguments)

    assert (result.code, result.out) == (1, "")
    assert message in result.err
