"""`aura notifications`."""

from __future__ import annotations

import pytest

from db import notifications, reading, transaction
from db.models import Notification
from tests.commands import Run
from tests.embedded import all_jobs

SENT, DOUBT, DELAYED = "a" * 32, "b" * 32, "c" * 32


@pytest.fixture(autouse=True)
def three(sqlite: str) -> None:
    """A notification that was sent, one in doubt and one that is delayed."""
    row = {"event": "ticket.classified", "subject": "s", "body": "b", "role": "agent"}
    with transaction() as session:
        for number, state, channel in (
            (SENT, "sent", "email"),
            (DOUBT, "in_doubt", "slack"),
            (DELAYED, "delayed", "email"),
        ):
            session.add(
                Notification(
                    id=number, dedupe_key=number, state=state, channel=channel, recipient=f"{state}@x.example", **row
                )
            )


def states() -> dict[str, str]:
    with reading() as session:
        return {row.id: row.state for row in session.query(Notification)}


def ids(run: Run, *options: str) -> set[str]:
    return {row["id"] for row in run("notifications", "list", "--format", "json", *options).json()}


def test_notifications_are_listed_by_state_channel_and_recipient(run: Run):
    assert ids(run) == {SENT, DOUBT, DELAYED}
    assert ids(run, "--state", "in_doubt") == {DOUBT}
    assert ids(run, "--channel", "email") == {SENT, DELAYED}
    assert ids(run, "--recipient", "sent@x.example") == {SENT}
    assert len(ids(run, "--limit", "2")) == 2
    assert "1 in doubt: `aura notifications list --state in_doubt`" in run("notifications", "list").err
    assert run("notifications", "list", "--ticket", "7").err.startswith("No such notifications.")


def test_delayed_notifications_are_counted_by_recipient(run: Run):
    [row] = run("notifications", "delayed", "--format", "json").json()
    assert (row["channel"], row["recipient"], row["delayed"]) == ("email", "delayed@x.example", 1)


def test_a_notification_is_resent_by_a_job_of_its_channel(run: Run):
    assert run("notifications", "resend", DELAYED).out == f"{DELAYED} enqueued for email\n"
    assert [(job.actor, job.key) for job in all_jobs()] == [("email", DELAYED)]
    assert states()[DELAYED] == "enqueued"


def test_notifications_in_doubt_are_settled_all_or_none(run: Run):
    refused = run("notifications", "settle", DOUBT, SENT)
    assert (refused.code, refused.out) == (1, "")
    assert states()[DOUBT] == "in_doubt"

    assert run("notifications", "settle", DOUBT).out == f"{DOUBT} settled as delivered\n"
    assert states()[DOUBT] == "sent"
    with reading() as session:
        assert notifications.in_doubt_count(session) == 0


def test_an_unknown_notification_resends_none(run: Run):
    result = run("notifications", "resend", DELAYED, "nothing")
    assert (result.code, result.out) == (1, "")
    assert all_jobs() == []


def test_the_texts_of_an_event_are_previewed_for_each_role(run: Run):
    english = run("notifications", "preview", "--event", "Escalated")
    assert "VPN drops every ten minutes" in english.out
    assert "--- ticket.escalated to the " in english.err
    rows = run("notifications", "preview", "--event", "ticket.escalated", "--language", "de", "--format", "json").json()
    assert {row["language"] for row in rows} == {"de"}
    [row] = run("notifications", "preview", "--event", "escalated", "--role", "agent", "--format", "json").json()
    assert (row["role"], row["event"]) == ("agent", "ticket.escalated")
    assert "<" in run("notifications", "preview", "--event", "escalated", "--format", "html").out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["--event", "exploded"], "there is no 'exploded'; there are "), (["--ticket", "99"], "there is no ticket 99")],
)
def test_an_unknown_event_or_ticket_has_no_preview(run: Run, arguments: list[str], message: str):
    result = run("notifications", "preview", *arguments)
    assert (result.code, result.out) == (1, "")
    assert message in result.err
