"""`aura subscriptions`."""

from __future__ import annotations

import pytest

from tests.commands import Run
from tests.unit.desk.stored_settings import everything

pytestmark = pytest.mark.usefixtures("database")


@pytest.mark.usefixtures("slack")
def test_subscriptions_are_added_listed_and_removed(run: Run):
    assert run("subscriptions", "list").err.startswith("No subscriptions. Add one: aura subscriptions add")
    result = run(
        "subscriptions",
        "add",
        "boss@example.com",
        "--event",
        "Escalated",
        "--category",
        "network",
        "--priority",
        "high",
    )
    line = "boss@example.com: ticket.escalated by email, category Network, priority high or above"
    assert result.out == line + "\n"
    conditions = ("--event", "ticket.escalated", "--category", "Network", "--priority", "high")
    again = run("subscriptions", "add", "boss@example.com", *conditions)
    assert again.out == line + " (exists already)\n"
    assert run("subscriptions", "add", "desk-slack", "--format", "json").json()["channel"] == "slack"
    assert run("subscriptions", "add", "ada", "--team", "Night").out == "ada: every event by in_app, team Night\n"

    rows = run("subscriptions", "list", "--format", "json").json()
    assert [row["recipient"] for row in rows] == ["ada", "boss@example.com", "desk-slack"]
    assert len(run("subscriptions", "list", "--recipient", "ada", "--format", "json").json()) == 1
    wrong = run("subscriptions", "remove", rows[0]["id"], 99)
    assert wrong.err.startswith("aura: subscription 99 does not exist")
    assert len(everything()[0]) == 3
    assert run("subscriptions", "remove", rows[0]["id"], rows[1]["id"]).code == 0
    assert [row["recipient"] for row in everything()[0]] == ["desk-slack"]
